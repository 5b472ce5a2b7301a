"""``geocore runs``: the run ledger as a list, one run in full, as a table, by SQL."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocore.cli.completing import complete_run, complete_stage
from geocore.cli.output import Json, emit, mistakes

if TYPE_CHECKING:
    import pyarrow

    from geocore.runs.ledger import Ledger

__all__ = ["runs_app"]

_LISTED = 20  # runs, where no table is asked for
_WIDE = 240  # columns where nobody looks on: a file or a pipe folds nothing
_STDOUT = "-"

runs_app = typer.Typer(help="The run ledger: what ran, on what, at what cost.")


@runs_app.callback(
    invoke_without_command=True,
    epilog="Example: geocore runs --sql 'select stage, sum(wall_seconds) from runs group by all'",
)
def runs(
    context: typer.Context,
    stage: Annotated[
        str | None, typer.Option(help="Only this stage.", autocompletion=complete_stage)
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(min=1, help=f"At most so many; as a list {_LISTED} unless told."),
    ] = None,
    sql: Annotated[
        str | None,
        typer.Option(help="Ask the table `runs` (a row a run) by one select; needs DuckDB."),
    ] = None,
    csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="The table, or what --sql gives; - prints.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same as Parquet.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List recent runs; `geocore runs show ID` tells one in full."""
    if context.invoked_subcommand is not None:
        return
    with mistakes():
        if csv == _STDOUT and as_json:
            from geocore.errors import UserError

            raise UserError("--csv -: standard output, where --json writes; expected a file")
        if sql is None and csv is None and parquet is None:
            _list(stage, last or _LISTED, as_json)
            return
        table = _table(stage, last, sql)
        if csv is not None:
            _write_csv(table, csv)
        if parquet is not None:
            _write_parquet(table, parquet)
        if as_json:
            emit(_plain(table.to_pylist()), as_json, lambda: None)
        elif csv is None and parquet is None:
            _show(_flat(table))


@runs_app.command("show", epilog="Example: geocore runs show 20261122T1745")
def runs_show(
    run_id: Annotated[
        str,
        typer.Argument(help="A run, or the beginning of its name.", autocompletion=complete_run),
    ],
    as_json: Json = False,
) -> None:
    """One run in full: asked, read, code, cost, gave."""
    from rich.console import Console

    with mistakes():
        entry = _ledger().show(run_id)
    emit(entry, as_json, lambda: Console().print_json(data=entry))


def _ledger() -> Ledger:
    from geocore.runs.home import ledger_folder, project_root
    from geocore.runs.ledger import Ledger

    return Ledger(ledger_folder(project_root()))


def _list(stage: str | None, last: int, as_json: bool) -> None:
    from geocore.report.words import plain

    ledger = _ledger()
    entries = ledger.runs(stage, last)
    if stage is not None and not entries:
        _check_stage(ledger, stage)

    def show() -> None:
        for entry in entries:
            seconds = entry.get("wall_seconds")
            cost = "" if seconds is None else f"{seconds:8.1f} s"
            pieces = list((entry.get("pieces") or {}).values())
            note = f"{pieces.count('made')} made, {pieces.count('found')} found" if pieces else ""
            study = str(entry.get("study") or "").removeprefix("studies/")
            where = f"  of {study}" if study else ""
            typer.echo(f"{entry['run']}  {entry['state']:<8}{cost:>11}  {note}{where}")
            if entry.get("error"):
                typer.echo(f"    {plain(str(entry['error']))}")

    emit(entries, as_json, show)


def _check_stage(ledger: Ledger, stage: str) -> None:
    """That no run of it is there is no mistake where ``dvc.yaml`` knows the stage."""
    from geocore.errors import UserError
    from geocore.pipeline.dvcfile import read_dvc
    from geocore.runs.home import project_root

    recorded = sorted({entry["stage"] for entry in ledger.runs()})
    known = dict.fromkeys([*read_dvc(project_root()), *recorded])
    if stage not in known:
        there = f"expected one of {', '.join(known)}" if known else "there are no stages"
        raise UserError(f"stage {stage!r} is unknown; {there}")


def _table(stage: str | None, last: int | None, sql: str | None) -> pyarrow.Table:
    from geocore.report.ledger_query import query
    from geocore.report.ledger_table import ledger_table
    from geocore.runs.home import project_root

    table = ledger_table(project_root(), stage, last)
    if stage is not None and not table.num_rows:
        _check_stage(_ledger(), stage)
    return table if sql is None else query(table, sql)


def _write_csv(table: pyarrow.Table, target: str) -> None:
    import io

    import pyarrow.csv

    from geocore.cli.target import check_target, write_target

    made = io.BytesIO()
    with _fitting("--csv"):
        pyarrow.csv.write_csv(_flat(table), made)
    text = made.getvalue().decode("utf-8")
    if target == _STDOUT:
        sys.stdout.write(text)
        return
    with _named("--csv"):
        check_target(Path(target), as_json=False)
        write_target(Path(target), text)
    _told(target, table)


def _write_parquet(table: pyarrow.Table, target: Path) -> None:
    import os

    import pyarrow.parquet

    from geocore.cli.target import check_target, is_stdout
    from geocore.errors import UserError
    from geocore.runs.atomic import replacing

    with _named("--parquet"):
        check_target(target, as_json=False)
        if is_stdout(target):
            raise UserError(f"{target}: standard output")
        with replacing(Path(os.path.realpath(target))) as temporary, _fitting("--parquet"):
            pyarrow.parquet.write_table(table, temporary)
    _told(str(target), table)


@contextmanager
def _named(option: str) -> Iterator[None]:
    """What is wrong with a file's place, said of the option that gave it."""
    from geocore.errors import UserError

    try:
        yield
    except UserError as error:
        told = error.lines[0].removeprefix("-o ").split("; expected")[0]
        raise UserError(f"{option} {told}; expected a file that can be written") from None


@contextmanager
def _fitting(option: str) -> Iterator[None]:
    """A column of what such a file cannot hold is a line."""
    import pyarrow as pa

    from geocore.errors import UserError

    try:
        yield
    except pa.ArrowException as error:
        told = " ".join(str(error).split())
        raise UserError(f"{option}: {told}; cast that column, as column::varchar") from None


def _told(target: str, table: pyarrow.Table) -> None:
    from geocore.report.words import plain

    rows = "1 row" if table.num_rows == 1 else f"{table.num_rows} rows"
    typer.echo(f"wrote {plain(target)}, {rows}, {table.num_columns} columns", err=True)


def _flat(table: pyarrow.Table) -> pyarrow.Table:
    """With lists and records, which CSV does not hold, as JSON."""
    import json

    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            values = table.column(place).to_pylist()
            texts = [None if v is None else json.dumps(_plain(v), default=str) for v in values]
            table = table.set_column(place, field.name, pa.array(texts, pa.string()))
    return table


def _plain(value: Any) -> Any:
    """As JSON holds it: no NaN, times in ISO 8601, a sum of integers as a number."""
    from datetime import date
    from decimal import Decimal

    from geocore.report.snapshot import finite

    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, date) else finite(value)


def _show(table: pyarrow.Table) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from geocore.report.words import plain

    def cell(value: Any) -> Text:
        return Text(f"{value:.6g}" if isinstance(value, float) else plain(str(value)))

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDE)
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    columns = [column.to_pylist() for column in table.columns]
    for name, values in zip(table.column_names, columns, strict=True):
        numbers = all(isinstance(v, int | float) for v in values if v is not None) and values
        shown.add_column(cell(name), overflow="fold", justify="right" if numbers else "left")
    for row in zip(*columns, strict=True):
        shown.add_row(*(Text("") if value is None else cell(value) for value in row))
    console.print(shown)
    console.print("1 row" if table.num_rows == 1 else f"{table.num_rows} rows", style="dim")
