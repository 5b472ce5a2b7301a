"""``geocore tune``: which ``ensemble.chunk`` is fast on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocore.cli.completing import complete_study
from geocore.cli.output import Json, emit, mistakes

if TYPE_CHECKING:
    from geocore.ensembles.tuning import Tuning
    from geocore.pipeline.stage import Job

__all__ = ["tune"]


def tune(
    study: Annotated[
        str | None,
        typer.Argument(
            help="Of studies/STUDY instead of the root's pipeline.", autocompletion=complete_study
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time to measure for.")] = 20.0,
    as_json: Json = False,
) -> None:
    """Measure chunks of an ensemble, and suggest one; `ensemble.chunk` itself stays as it is."""
    with mistakes():
        job = _job(study)
        found = _measure(job, seconds)
    chunk = job.values["ensemble.chunk"]
    emit(_document(found, chunk), as_json, lambda: _show(found, chunk, job.params_file))


def _job(study: str | None) -> Job:
    """What the stage ``ensemble`` would be handed; a study without one is a mistake."""
    from geocore.errors import UserError
    from geocore.pipeline.dvcfile import read_dvc
    from geocore.pipeline.inputs import study_folder
    from geocore.pipeline.run import open_job, stage_of
    from geocore.runs.home import project_root

    root = project_root()
    folder = root / study_folder(root, study) if study else root
    stages = read_dvc(folder)
    if "ensemble" not in stages:
        where = f"study {study!r}" if study else "the root's dvc.yaml"
        raise UserError(
            f"{where} has no stage ensemble to tune; expected one beside {', '.join(stages)}"
        )
    return open_job(stage_of("ensemble", stages), folder)


def _measure(job: Job, seconds: float) -> Tuning:
    import torch

    from geocore.config.ensemble import EnsembleParams
    from geocore.config.model import ModelParams
    from geocore.config.runtime import RuntimeParams
    from geocore.config.train import TrainParams
    from geocore.ensembles.tuning import tune
    from geocore.pipeline.training import open_source

    table, _ = open_source(job)
    runtime = job.section(RuntimeParams)
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    return tune(
        job.section(ModelParams),
        job.section(TrainParams),
        job.section(EnsembleParams),
        runtime,
        table,
        seconds,
    )


def _document(found: Tuning, chunk: int) -> dict[str, Any]:
    return {
        "members": found.members,
        "steps": found.steps,
        "chunk": chunk,
        "suggested": found.suggested,
        "measured": [
            {
                "chunk": own.chunk,
                "milliseconds_a_step_and_member": 1000 * own.step,
                "bytes_a_member": own.held,
                "processes": found.processes[own.chunk],
                "seconds": found.seconds[own.chunk],
            }
            for own in found.measured
        ],
    }


def _show(found: Tuning, chunk: int, params_file: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="", pad_edge=False)
    heads = ("chunk", "ms a step and member", "MiB a member", "processes", "whole ensemble")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for own in found.measured:
        table.add_row(
            str(own.chunk),
            f"{1000 * own.step:.3g}",
            f"{own.held / 2**20:.3g}",
            str(found.processes[own.chunk]),
            _duration(found.seconds[own.chunk]),
        )
    Console(width=100).print(table)
    typer.echo(
        f"\nFor {found.members} members of {found.steps} steps each, none stopped early, without "
        "validation;\nsteps were measured by one process alone, and its start is counted where "
        "there are several."
    )
    if found.suggested is None:
        typer.echo("Only chunks of 1 could be measured in that time: --seconds asks for more.")
    else:
        missing = found.measured[-1].chunk < found.members
        rest = "; larger ones did not fit into the time (--seconds)" if missing else ""
        typer.echo(f"Suggested: a chunk of {found.suggested}{rest}.")
    typer.echo(
        f"Nothing was changed: ensemble.chunk in {params_file} decides, and is {chunk}. "
        "Another chunk\nmoves weights by rounding at most, and trains the members anew."
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 5400 else f"{seconds / 3600:.3g} h"
