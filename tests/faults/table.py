"""docs/reliability.md from what `make faults` found: written when it has ended."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from geocore.runs.atomic import write_text
from tests.faults.rows import Row, read_rows

__all__ = ["PAGE", "lines", "page", "write"]

PAGE = Path(__file__).parents[2] / "docs/reliability.md"
_BEFORE = """# Faults survived

What was done to the pipeline, and what it cost. `make faults` injects each fault into a project in
small (the smoke preset and less), runs the stage again without it, and holds the result against
that of a run without trouble, byte by byte. Once all has passed it writes this page: all rows are
of one run and one state of the code. Where it was stopped it goes on; after a failure it begins
anew. A part of it runs with `make test`, and leaves this page alone. Moments and places are drawn
from `FAULTS_SEED` (0); the seconds of work that were done twice are kept in `.geocore/faults`, as
they differ from run to run.

Stages run here as bare processes, in the kills too: with their entry in the ledger and their one
line for a mistake, but with neither Prefect nor DVC around them. These two are there only where
Prefect's server is killed. A read-only store has no row for `report` and `gate`, which keep nothing
there.

- **lost**: finished pieces and parts that were gone or were made again.
- **wrong**: results with other bytes, half-written ones that a reader could take for whole, and
  damage that was believed.
- **unclear**: runs that ended neither well nor with a line that says what to do, and runs after
  them that did not end well.

| fault | stage | tries | lost | wrong | unclear | what the user is told |
|---|---|---:|---:|---:|---:|---|
"""


def page(rows: Iterable[Row]) -> str:
    """The page as Markdown; the last line sums up."""
    rows = list(rows)
    sums = (sum(getattr(row, n) for row in rows) for n in ("tries", "lost", "wrong", "unclear"))
    tries, lost, wrong, unclear = sums
    total = f"\n{tries:,} injections: {lost} lost, {wrong} wrong, {unclear} unclear.\n"
    return _BEFORE + lines(rows) + "\n" + total


def lines(rows: Iterable[Row]) -> str:
    """A line of the table a row."""
    return "\n".join(
        f"| {row.fault} | `{row.stage}` | {row.tries:,} | {row.lost} | {row.wrong} | {row.unclear} "
        f"| {_told(row.message)} |"
        for row in rows
    )


def write(folder: Path) -> int:
    """Write the page from the rows that are kept in ``folder``; how many there are."""
    rows = list(read_rows(folder))
    write_text(PAGE, page(rows))
    return len(rows)


def _told(message: str) -> str:
    return f"`{message.replace('|', '/').replace('`', chr(39))}`" if message else ""
