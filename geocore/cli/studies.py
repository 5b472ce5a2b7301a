"""``geocore papers``, ``new-study`` and ``use``: how the studies stand, a new one, its network."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from geocore.cli.completing import complete_study
from geocore.cli.output import FOUND, Json, emit, mistakes
from geocore.report.words import plain

if TYPE_CHECKING:
    from geocore.pipeline.studies.state import Study

__all__ = ["new_study", "papers", "use"]

_SHOWN = 4  # causes of staleness that are told of a study


def papers(as_json: Json = False) -> None:
    """Say how the fifteen studies stand: not built, not run, measured, stale; and your own."""
    from dataclasses import asdict

    from geocore.pipeline.studies.papers import PAPERS
    from geocore.pipeline.studies.state import survey
    from geocore.runs.home import project_root

    with mistakes():
        found = survey(project_root())
    fifteen, own = found[: len(PAPERS)], found[len(PAPERS) :]
    counts = Counter(study.state for study in fifteen)

    def show() -> None:
        width = max(len(study.name) for study in found)
        for study in fifteen:
            _show(study, width)
        told = ", ".join(f"{count} {state}" for state, count in counts.items())
        typer.echo(f"\nOf the {len(fifteen)}: {told}.")
        if own:
            typer.echo("\nYour own:")
        for study in own:
            _show(study, width)

    value = {
        "papers": [asdict(study) for study in fifteen],
        "own": [asdict(study) for study in own],
        "counts": dict(counts),
    }
    emit(value, as_json, show)
    raise typer.Exit(FOUND if any(study.state == "broken" for study in found) else 0)


def _show(study: Study, width: int) -> None:
    line = f"{study.name:<{width}}  {study.arxiv or '':<10}  {study.state:<9}  {study.title}"
    typer.echo(plain(line))
    for line in _details(study):
        typer.echo(f"    {plain(line)}")


def _details(study: Study) -> list[str]:
    lines = [study.fault] if study.fault else []
    if study.state == "begun":
        lines.append(f"studies/{study.name}/README.md names no headline figure yet")
    if study.figure is not None:
        figure = study.figure
        paper = "" if figure.published is None else f"; published: {figure.published:g}"
        source = f" ({figure.source})" if figure.source else ""
        lines.append(f"{figure.label}: {figure.value:.4g}{paper}{source}; {_by(study)}")
    shown = study.because[:_SHOWN]
    lines += [f"changed since: {reason}" for reason in shown]
    if len(study.because) > len(shown):
        lines.append(f"and {len(study.because) - len(shown)} more (geocore papers --json)")
    if study.plumbing and not study.because:
        files = f"{len(study.plumbing)} file{'s' * (len(study.plumbing) != 1)}"
        lines.append(f"since then {files} changed that decide no result: {_first(study.plumbing)}")
    return lines


def _first(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]}, ..."


def _by(study: Study) -> str:
    if study.commit:
        changed = " with changes" if study.commit.endswith("+") else ""
        return f"measured by code {study.commit.rstrip('+')}{changed}"
    if study.recorded:
        return f"measured elsewhere, recorded in commit {study.recorded}"
    return "measured by code that neither the ledger nor git knows"


def new_study(
    name: Annotated[
        str, typer.Argument(help="Lower-case letters, digits, _; STUDY/NAME for one below another.")
    ],
    title: Annotated[str | None, typer.Option(help="What its page is called.")] = None,
    as_json: Json = False,
) -> None:
    """Make a folder below studies/ with a pipeline that runs at once and a page to fill."""
    from geocore.pipeline.studies.scaffold import new_study as make
    from geocore.runs.home import project_root

    with mistakes():
        root = project_root()
        files = [path.relative_to(root).as_posix() for path in make(root, name, title)]

    def show() -> None:
        typer.echo(f"made {', '.join(files)}")
        typer.echo(f"run it:  dvc repro studies/{name}/dvc.yaml")

    emit({"study": name, "files": files}, as_json, show)


def use(
    name: Annotated[str, typer.Argument(help="A network: heal_swin, healpix_encoder, ...")],
    study: Annotated[
        str | None,
        typer.Option(
            help="Of studies/STUDY instead of the root's pipeline.", autocompletion=complete_study
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            help="With the settings that this study has for it.", autocompletion=complete_study
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Give a pipeline another network: its keys in params.yaml and in the stages that read it."""
    from geocore.pipeline.studies.networks import use_network
    from geocore.runs.home import project_root

    with mistakes():
        root = project_root()
        sys.path.insert(0, str(root))
        use_network(root, name, study, like)
    where = f"studies/{study}/" if study else ""

    def show() -> None:
        typer.echo(f"{where}params.yaml and {where}dvc.yaml have {name} now")

    emit({"model": name, "study": study}, as_json, show)
