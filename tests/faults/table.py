"""docs/reliability.md from what `make faults` found: written when it has ended."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from geocore.runs.atomic import write_text
from tests.faults.rows import ROWS, Row, read_rows

__all__ = ["PAGE", "page", "write"]

PAGE = Path(__file__).parents[2] / "docs/reliability.md"
_BEFORE = """# Faults survived

What was done to the pipeline, and what it cost. `make faults` injects each fault into a project in
small (the smoke preset and less), runs the stage again without it, and holds the result against
that of a run without trouble, byte by byte; then it writes this page. A part of it runs with
`make test`. Moments and places are drawn from `FAULTS_SEED` (0); the seconds of work that were
done twice are kept in `.geocore/faults`, as they differ from run to run.

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
    lines = [
        f"| {row.fault} | `{row.stage}` | {row.tries:,} | {row.lost} | {row.wrong} | {row.unclear} "
        f"| {_told(row.message)} |"
        for row in rows
    ]
    sums = (sum(getattr(row, n) for row in rows) for n in ("tries", "lost", "wrong", "unclear"))
    tries, lost, wrong, unclear = sums
    total = f"\n{tries:,} injections: {lost} lost, {wrong} wrong, {unclear} unclear.\n"
    return _BEFORE + "\n".join(lines) + "\n" + total


def write() -> None:
    """Write the page; without rows it stays as it is."""
    if rows := list(read_rows(ROWS)):
        write_text(PAGE, page(rows))


def _told(message: str) -> str:
    return f"`{message.replace('|', '/').replace('`', chr(39))}`" if message else ""
