"""``geocore``: run, check, why, estimate, tune, compare, card, papers, new-study, use, doctor, ...

Exit codes: 0 well, 1 a fault was found or a stage failed, 2 a mistake in what was asked. With
``--json`` standard output is one JSON document and progress goes to standard error.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from geocore.cli import studies
from geocore.cli.card import card
from geocore.cli.compare import compare
from geocore.cli.completing import (
    complete_flow,
    complete_preset,
    complete_stage,
    complete_study,
    flow_names,
)
from geocore.cli.estimate import estimate
from geocore.cli.output import FOUND, Json, emit, mistakes
from geocore.cli.runs import runs_app
from geocore.cli.tune import tune

__all__ = ["app", "main"]

app = typer.Typer(
    name="geocore",
    help="Geometric deep learning on spheres, groups and manifolds, as a reproducible pipeline.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
store_app = typer.Typer(
    help="The piece store: what is cached inside stages.",
    no_args_is_help=True,
    epilog="Example: geocore store gc --last 3",
)
app.add_typer(store_app, name="store")
app.add_typer(runs_app, name="runs")


@app.command(epilog="Example: geocore run train -S train.lr=0.001")
def run(
    name: Annotated[
        str | None,
        typer.Argument(help="A stage or flow; none: the pipeline.", autocompletion=complete_flow),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="key=value of params.yaml, for DVC.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="A set of values of presets.yaml.", autocompletion=complete_preset),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            help="Of studies/STUDY instead, with those below it.", autocompletion=complete_study
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a stage and what it needs, through DVC; or a flow that is no stage, by itself."""
    from geocore.config.presets import checked_override, overrides
    from geocore.pipeline.dvcfile import read_dvc
    from geocore.pipeline.inputs import study_folder
    from geocore.runs.home import project_root

    with mistakes():
        root = project_root()
        folder = study_folder(root, study) if study else ""
        stages = read_dvc(root / folder)
        changes = overrides(root, preset, folder) if preset else []
        for change in set_ or []:
            changes += ["-S", checked_override(root, change, folder)]
        command = _command(root, name, list(stages), changes, folder)
    typer.echo("$ " + " ".join(["python", *command[1:]]), err=True)
    done = subprocess.run(command, cwd=root, stdout=sys.stderr if as_json else None)
    code = 0 if done.returncode == 0 else FOUND
    emit({"command": command[1:], "exit_code": done.returncode}, as_json, lambda: None)
    raise typer.Exit(code)


def _command(
    root: Path, name: str | None, stages: list[str], changes: list[str], study: str
) -> list[str]:
    from geocore.errors import UserError

    python = sys.executable
    if name is None or name in stages:
        verb = ["exp", "run", *changes] if changes else ["repro"]
        target = [name] if name else []
        if study:
            target = [f"{study}/dvc.yaml:{name}"] if name else ["-R", study]
        return [python, "-m", "dvc", *verb, *target]
    if study:
        raise UserError(f"{name!r} is no stage of {study}; expected one of {', '.join(stages)}")
    if name in flow_names(root):
        if changes:
            raise UserError(f"flow {name}: takes no -S or --preset; expected a stage for those")
        return [python, "-m", f"flows.{name}"]
    raise UserError(f"{name!r} is no stage and no flow; expected one of {', '.join(stages)}")


@app.command(epilog="Example: geocore check")
def check(as_json: Json = False) -> None:
    """Type-check the wiring: dvc.yaml, prefect.yaml, params.yaml, the stages, their imports."""
    from geocore.runs.home import project_root

    with mistakes():
        root = project_root()
        sys.path.insert(0, str(root))
        from geocore.pipeline.wiring import faults

        found = faults(root)

    def show() -> None:
        for line in found:
            typer.echo(line)
        count = "1 fault" if len(found) == 1 else f"{len(found)} faults"
        typer.echo(count if found else "the wiring holds")

    emit({"faults": found}, as_json, show)
    raise typer.Exit(FOUND if found else 0)


@app.command(epilog="Example: geocore why train --study mine")
def why(
    stage: Annotated[
        str, typer.Argument(help="A stage of dvc.yaml.", autocompletion=complete_stage)
    ],
    study: Annotated[
        str | None,
        typer.Option(help="Of studies/STUDY/dvc.yaml instead.", autocompletion=complete_study),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which parameter, file or module makes a stage run again."""
    from dataclasses import asdict

    from geocore.pipeline.why import reasons
    from geocore.runs.home import project_root

    with mistakes():
        found = reasons(project_root(), stage, study)

    def show() -> None:
        if not found:
            typer.echo(f"{stage} is up to date")
            return
        typer.echo(f"{stage} would run again:")
        width = max(len(reason.name) for reason in found)
        for reason in found:
            typer.echo(f"  {reason.kind:<8} {reason.name:<{width}}  {reason.detail}")

    value = {"stage": stage, "study": study, "reasons": [asdict(reason) for reason in found]}
    emit(value, as_json, show)


@app.command(epilog="Example: geocore doctor --json")
def doctor(as_json: Json = False) -> None:
    """Say what is installed, what is missing for which feature, and where caches lie."""
    from rich.console import Console

    from geocore.cli.doctor import examine, render

    report = examine()
    emit(report, as_json, lambda: render(report, Console()))


app.command(epilog="Example: geocore compare main HEAD -o compare.html")(compare)
app.command(epilog="Example: geocore estimate ntk")(estimate)
app.command(epilog="Example: geocore tune mine --seconds 10")(tune)
app.command("papers", epilog="Example: geocore papers --json")(studies.papers)
app.command("card", epilog="Example: geocore card HEAD -o card.md")(card)
app.command("new-study", epilog="Example: geocore new-study mine")(studies.new_study)
app.command("use", epilog="Example: geocore use heal_swin")(studies.use)


@store_app.command("list", epilog="Example: geocore store list")
def store_list(as_json: Json = False) -> None:
    """The pieces: key, what made it, size."""
    from geocore.runs.atomic import tree_size

    with mistakes():
        _, store = _home()
    rows = [
        {"key": piece.key, "verb": piece.manifest["verb"], "bytes": tree_size(piece.folder)}
        for piece in store.pieces()
    ]

    def show() -> None:
        for row in rows:
            typer.echo(f"{row['key']}  {row['verb']:<18} {row['bytes'] / 2**20:10.2f} MiB")
        typer.echo(f"{len(rows)} pieces, {store.size() / 2**20:.1f} MiB")

    emit(rows, as_json, show)


@store_app.command("check", epilog="Example: geocore store check")
def store_check(as_json: Json = False) -> None:
    """Verify every piece against its digests; damaged ones are made again when next needed."""
    with mistakes():
        _, store = _home()
        found = store.check()

    def show() -> None:
        for line in found:
            typer.echo(line)
        typer.echo(f"{len(found)} damaged" if found else "every piece is whole")

    emit({"damaged": found}, as_json, show)
    raise typer.Exit(FOUND if found else 0)


@store_app.command("gc", epilog="Example: geocore store gc --last 3")
def store_gc(
    last: Annotated[int, typer.Option(min=0, help="Done runs of each stage to keep.")] = 5,
    as_json: Json = False,
) -> None:
    """Remove pieces and outputs under way that no recent run names, and locks nobody holds."""
    from dataclasses import asdict

    from geocore.runs.garbage import collect
    from geocore.runs.home import geocore_home, project_root

    with mistakes():
        found = collect(geocore_home(project_root()), _ledger(), last)

    def show() -> None:
        typer.echo(f"removed {found.pieces} pieces, {found.piece_bytes / 2**20:.1f} MiB")
        typer.echo(f"removed {found.work} work folders, {found.work_bytes / 2**20:.1f} MiB")
        typer.echo(f"removed {found.locks} lock files")

    emit(asdict(found), as_json, show)


def _ledger() -> Any:
    from geocore.runs.home import ledger_folder, project_root
    from geocore.runs.ledger import Ledger

    return Ledger(ledger_folder(project_root()))


def _home() -> tuple[Path, Any]:
    from geocore.runs.home import project_root, store_folder
    from geocore.runs.store import Store

    root = project_root()
    return root, Store(store_folder(root))


def main() -> None:
    """The console script."""
    app()
