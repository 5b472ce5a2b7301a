"""``geocore estimate``: what a stage's kernels, or its networks on a chip, will cost beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocore.cli.completing import complete_stage, complete_study
from geocore.cli.output import Json, emit, mistakes

if TYPE_CHECKING:
    from geocore.pipeline.kernel_estimate import Estimate
    from geocore.pipeline.stage import Job

__all__ = ["estimate"]


def estimate(
    stage: Annotated[
        str | None,
        typer.Argument(
            autocompletion=complete_stage,
            help="A stage with kernels, or synthesize; none: the only one with kernels.",
        ),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Of studies/STUDY instead.", autocompletion=complete_study)
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time to try blocks for.")] = 5.0,
    as_json: Json = False,
) -> None:
    """Predict time, memory and disk of a stage's kernels, from a few small blocks of them.

    Of synthesize: look-up tables, flip-flops and cycles of every variant, before it is trained.
    """
    if stage == "synthesize":
        _chip(stage, study, as_json)
        return
    with mistakes():
        from geocore.pipeline.kernel_estimate import estimate as estimated

        job = _job(stage, study)
        found = estimated(job, seconds)
    emit(_document(job, found), as_json, lambda: _show(job, found))


def _chip(stage: str, study: str | None, as_json: bool) -> None:
    from geocore.cli.estimate_chip import document, show

    with mistakes():
        from geocore.pipeline.synthesis_estimate import estimate_variants

        job = _job(stage, study)
        planned = estimate_variants(job)
    emit(document(job, planned), as_json, lambda: show(job, planned))


def _job(stage: str | None, study: str | None) -> Job:
    """What the stage would be handed; a pipeline without kernels is a mistake."""
    from geocore.errors import UserError
    from geocore.pipeline.dvcfile import read_dvc
    from geocore.pipeline.inputs import study_folder
    from geocore.pipeline.kernel_estimate import with_kernels
    from geocore.pipeline.run import open_job, stage_of
    from geocore.runs.home import project_root

    root = project_root()
    folder = root / study_folder(root, study) if study else root
    stages = read_dvc(folder)
    where = f"study {study!r}" if study else "the root's dvc.yaml"
    able = with_kernels(stages)
    if stage is None:
        if len(able) != 1:
            there = ", ".join(able) or "none"
            raise UserError(f"{where} has stages with kernels: {there}; expected the name of one")
        stage = able[0]
    return open_job(stage_of(stage, stages), folder)


def _document(job: Job, found: Estimate) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "stage": job.stage.name,
        "study": job.study,
        "workers": found.workers,
        "seconds": found.seconds,
        "memory": found.memory,
        "disk": found.disk,
        "kernels": [
            {**asdict(one), "microseconds_a_pair": 1e6 * pair}
            for one, pair in zip(found.predictions, found.pair_seconds, strict=True)
        ],
    }


def _show(job: Job, found: Estimate) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="", pad_edge=False)
    table.add_column("kernel", no_wrap=True)
    for head in ("pairs", "blocks", "us a pair", "time", "memory", "disk"):
        table.add_column(head, justify="right", no_wrap=True)
    for one, pair in zip(found.predictions, found.pair_seconds, strict=True):
        table.add_row(
            one.task,
            f"{one.pairs:,}",
            str(one.blocks),
            f"{1e6 * pair:.3g}",
            _duration(one.seconds),
            _bytes(one.memory),
            _bytes(one.disk),
        )
    total = (_duration(found.seconds), _bytes(found.memory), _bytes(found.disk))
    table.add_row("all", "", "", "", *total)
    Console(width=100).print(table)
    at_once = "1 block" if found.workers == 1 else f"{found.workers} blocks"
    typer.echo(
        f"\nOf {job.params_file}, {at_once} at once, as tried here and now; what is done with the "
        "kernels comes\non top. Memory is that of tensors, beyond what a process with torch holds; "
        "disk is the piece store's.\nBlocks that lie there are not made again."
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.2g} min" if seconds < 5400 else f"{seconds / 3600:.2g} h"


def _bytes(size: float) -> str:
    return f"{size / 2**20:.3g} MiB" if size < 2**30 else f"{size / 2**30:.3g} GiB"
