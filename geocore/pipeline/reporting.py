"""The body of ``report``: the stage's inputs onto one page."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from geocore.errors import UserError
from geocore.pipeline.stage import Job, Manifest
from geocore.report.rendering import template_digest
from geocore.report.results import Results, is_result
from geocore.report.snapshot import Snapshot
from geocore.report.summary import Sheet, summary_page
from geocore.runs.atomic import write_text
from geocore.runs.digest import digest_file

__all__ = ["write_report"]

_OWNER = "report"  # what an error calls who reads, and the legend of a curve whose it is
_ROWS = 200  # of a table that the page shows


def write_report(job: Job) -> Manifest:
    """Write the page of everything that lies at the job's inputs; return its digest.

    Raises ``UserError`` for an input that does not hold what its name says, and if Jinja2 is not
    installed.
    """
    results, sheets = Results(_OWNER), []
    for name in job.inputs:
        folder, path = job.input(name), job.stage.takes[name].path
        if folder.is_dir():
            for file in sorted(folder.rglob("*.png")):
                results.add(f"{path}/{file.relative_to(folder).as_posix()}", file.read_bytes())
        elif is_result(path):
            results.add(path, folder.read_bytes())
        else:
            sheets.append(_sheet(folder, path))
    found = Snapshot(
        name=job.study or "this pipeline",
        kind="workspace",
        metrics=results.metrics,
        gates=results.gates,
        curves=results.curves,
        pictures=results.pictures,
    )
    title = f"What {job.study or 'this pipeline'} measured"
    page = job.output("page")
    write_text(page, summary_page(found, title, sheets))
    return {
        "files": {page.name: digest_file(page)},
        "templates": template_digest(),
        "gates": len(found.gates),
        "failing": sum(not gate["passed"] for gate in found.gates.values()),
    }


def _sheet(file: Path, path: str) -> Sheet:
    """The table of a CSV file, its first rows if it is long."""
    try:
        head, *rows = csv.reader(io.StringIO(file.read_text(encoding="utf-8")))
    except (UnicodeDecodeError, csv.Error, ValueError):
        raise UserError(f"{_OWNER}: {path}: no CSV; expected a table with a head") from None
    more = [(f"and {len(rows) - _ROWS} more rows",)] if len(rows) > _ROWS else []
    return Sheet(path.removeprefix("results/"), tuple(head), (*map(tuple, rows[:_ROWS]), *more))
