"""What a task of ``limit`` found, and how it is written: all of it, or none."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from geocore.healpix.draw import write_png
from geocore.pipeline.stage import Job, Manifest
from geocore.report.canvas import Picture
from geocore.runs.atomic import replacing, write_json, write_text
from geocore.runs.digest import digest_path

__all__ = ["LimitResults", "told", "write_results"]


@dataclass(frozen=True)
class LimitResults:
    """``document`` is ``metrics.json``; ``rows`` below ``header`` the table; pictures by name.

    ``broken``: a line for each law that was missed. ``parts``: keys of the store that were used.
    """

    document: Mapping[str, Any]
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    pictures: Mapping[str, Picture]
    broken: Sequence[str] = ()
    parts: Sequence[str] = field(default=())


def write_results(job: Job, results: LimitResults) -> Manifest:
    """Write the outputs; return their digests, the keys of the parts, and what is broken."""
    with ExitStack() as all_or_none:
        metrics, rows, pictures = (
            all_or_none.enter_context(replacing(job.output(name)))
            for name in ("metrics", "table", "pictures")
        )
        write_json(metrics, results.document)
        write_text(rows, _table(results))
        pictures.mkdir()
        for name, picture in results.pictures.items():
            write_png(pictures / f"{name}.png", picture)
    outputs = [job.output(name) for name in job.stage.gives]
    return {
        "files": {path.name: digest_path(path) for path in outputs},
        "parts": list(dict.fromkeys(results.parts)),
        "broken": list(results.broken),
    }


def told(value: float | None, digits: int = 4) -> float | None:
    """So many digits; None stays none."""
    return None if value is None else float(f"{value:.{digits}g}")


def _table(results: LimitResults) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(results.header)
    for row in results.rows:
        cells = [told(cell) if isinstance(cell, float) else cell for cell in row]
        writer.writerow(["" if cell is None else cell for cell in cells])
    return stream.getvalue()
