"""``geocore compare``: what differs between runs, revisions, experiments and the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocore.cli.completing import complete_name
from geocore.cli.output import emit, mistakes
from geocore.cli.serve import DEFAULT_PORT, Host, Port, Serve, serve

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from geocore.report.comparison import Comparison, Difference
    from geocore.report.snapshot import Snapshot

__all__ = ["compare"]

_WIDE = 240  # columns where nobody looks on: a file or a pipe folds nothing
_STYLES = {"better": "green", "worse": "red", "": "dim"}
_TITLES = {
    "params": "Parameters", "metrics": "Metrics", "gates": "Gates", "code": "Code", "data": "Data",
}  # fmt: skip


def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=complete_name,
            help="Git revisions, experiments, runs, `workspace` or studies (`studies/NAME`, "
            "`REVISION:studies/NAME`); the first is the baseline. "
            "One alone is held against the workspace, a study against HEAD, none means HEAD.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="Write one self-contained HTML page: a file, or a folder for an index.html.",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show what is equal, too.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output.")
    ] = False,
    served: Serve = False,
    host: Host = "127.0.0.1",
    port: Port = DEFAULT_PORT,
) -> None:
    """Compare runs, revisions and experiments: what differs, and by how much."""
    from geocore.cli.target import check_target, is_stdout, write_target
    from geocore.errors import UserError
    from geocore.report.comparison import compare as comparison_of
    from geocore.runs.home import project_root

    target = None if output is None else _file(output)
    with mistakes():
        if served and (target is not None or as_json):
            raise UserError(
                "--serve: shows the page itself; expected no -o and no --json beside it"
            )
        if target is not None:
            check_target(target, as_json=as_json)
        root = project_root()
        asked = _asked(root, names or ["HEAD"])
        if served:
            serve(asked, lambda: _page(_read(root, asked)), root, host=host, port=port)
            return
        snapshots = _read(root, asked)
        comparison = comparison_of(snapshots, everything=everything)
        if target is not None:
            page = _page(snapshots)
            write_target(target, page)
            size = len(page.encode("utf-8")) / 1e6
            typer.echo(f"wrote {target}, {size:.1f} MB", err=True)
            if is_stdout(target):
                return  # tables behind it would spoil the page
    document = {"snapshots": [_about(s) for s in snapshots], **comparison.to_json()}
    emit(document, as_json, lambda: _show(comparison, snapshots))


def _asked(root: Path, names: Sequence[str]) -> list[str]:
    """One alone beside what lies here now, what lies here beside HEAD."""
    from geocore.report.pipeline_of import study_of
    from geocore.report.workspace import WORKSPACE

    if len(names) > 1:
        return list(names)
    (name,) = names
    if name == WORKSPACE:
        return ["HEAD", WORKSPACE]
    study = study_of(name)
    if study and (root / study / "dvc.yaml").is_file():
        return [f"HEAD:{study}", name]
    return [name, WORKSPACE]


def _read(root: Path, names: Sequence[str]) -> list[Snapshot]:
    from geocore.report.alignment import aligned
    from geocore.report.reading import read_snapshot

    return aligned(root, [read_snapshot(root, name) for name in names])


def _page(snapshots: Sequence[Snapshot]) -> str:
    from geocore.report.comparison import compare as comparison_of
    from geocore.report.page import comparison_page

    return comparison_page(comparison_of(snapshots, everything=True), snapshots)


def _file(output: str) -> Path:
    """Where the page goes: a folder, there already or named with a slash at its end, gets one."""
    path = Path(output)
    return path / "index.html" if output.endswith("/") or path.is_dir() else path


def _about(snapshot: Snapshot) -> dict[str, Any]:
    keys = ("name", "kind", "commit", "dirty", "about", "notes")
    return {key: getattr(snapshot, key) for key in keys}


def _show(comparison: Comparison, snapshots: Sequence[Snapshot]) -> None:
    from rich.console import Console
    from rich.text import Text

    from geocore.report.comparison import SECTIONS
    from geocore.report.words import counted, plain

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDE)
    console.print(_heads(snapshots))
    for snapshot in snapshots:
        for note in snapshot.notes:
            console.print(Text(plain(f"{snapshot.name}: {note}"), style="yellow"))
    differing = 0
    for section in SECTIONS:
        rows = comparison.section(section)
        differing += sum(row.differs for row in rows)
        if rows:
            console.print()
            console.print(Text(_TITLES[section], style="bold"))
            console.print(_table(section, rows, comparison.names))
    equal = ", ".join(counted(name, comparison.same[name]) for name in SECTIONS)
    console.print()
    console.print(Text(f"{'' if differing else 'No difference. '}Equal: {equal}.", style="dim"))


def _heads(snapshots: Sequence[Snapshot]) -> Table:
    table = _empty(["", "kind", "commit", "about"])
    for snapshot in snapshots:
        table.add_row(*map(_text, [snapshot.name, snapshot.kind, snapshot.base, snapshot.about]))
    return table


def _table(section: str, rows: Sequence[Difference], names: Sequence[str]) -> Table:
    from geocore.report.words import bound_of

    table = _empty(["", *names])
    for row in rows:
        name, shared = _text(row.name), True
        if section == "gates":
            bounds = [bound_of(value) for value in row.values if isinstance(value, dict)]
            shared = len(set(bounds)) == 1  # else each cell tells its own
            name.append(f"  {bounds[0]}" if shared else "", style="dim")
        table.add_row(name, *_cells(section, row, shared=shared))
    return table


def _cells(section: str, row: Difference, *, shared: bool) -> list[RenderableType]:
    from geocore.report.comparison import Missing
    from geocore.report.words import bound_of, cells, signed

    made: list[RenderableType] = []
    for place, (text, value) in enumerate(zip(cells(section, row), row.values, strict=True)):
        cell = _text(text, style="dim italic" if isinstance(value, Missing) else "")
        if section == "gates" and isinstance(value, dict):
            cell.append("" if shared else f", {bound_of(value)}")
            cell.stylize(_STYLES["better" if value["passed"] else "worse"])
        delta = row.deltas[place] if row.deltas else None
        if place and delta:
            verdict = row.verdicts[place]
            told = f" {signed(delta)}{' ' if verdict else ''}{verdict}"
            cell.append(told, style=_STYLES[verdict])
        made.append(cell)
    return made


def _empty(heads: Sequence[str]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(_text(head), overflow="fold")
    return table


def _text(words: Any, style: str = "") -> Text:
    """Words as they are: no markup of theirs means anything, no control character acts."""
    from rich.text import Text

    from geocore.report.words import plain

    return Text(plain(str(words)), style=style)
