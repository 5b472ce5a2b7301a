"""The body of ``laws``: errors of all constructions -> figures, a table, a chart of digits."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch

from geocore.config.laws import LawsParams
from geocore.healpix.draw import write_png
from geocore.pipeline.constructions import Construction, constructions
from geocore.pipeline.stage import Job, Manifest
from geocore.report.bar_chart import bar_chart
from geocore.runs.atomic import replacing, write_json, write_text
from geocore.runs.digest import digest_path

__all__ = ["LawErrors", "errors", "measure"]


@dataclass(frozen=True)
class LawErrors:
    """Largest relative errors: to rounding in both precisions, and as far as sampling holds."""

    double: float | None
    single: float | None
    sampled: float | None


def measure(job: Job) -> Manifest:
    """Write ``metrics.json``, ``table.csv`` and ``digits.png``, all or none; return their digests.

    Raises ``UserError`` where escnn is not installed.
    """
    params, rows = job.section(LawsParams), constructions()
    found: dict[str, LawErrors] = {}
    with job.progress.bar("laws", len(rows)) as bar:
        for row in rows:
            found[row.name] = errors(row, params)
            bar.advance(note=row.name)
    with ExitStack() as all_or_none:
        metrics, table, picture = (
            all_or_none.enter_context(replacing(job.output(name)))
            for name in ("metrics", "table", "digits")
        )
        write_json(metrics, _document(found))
        write_text(table, _table(rows, found))
        write_png(picture, _chart(found))
    outputs = [job.output(name) for name in job.stage.gives]
    return {
        "files": {path.name: digest_path(path) for path in outputs},
        "constructions": len(found),
    }


def errors(row: Construction, params: LawsParams) -> LawErrors:
    """The errors of one construction."""
    double, single = (row.build(params, dtype) for dtype in (torch.float64, torch.float32))
    return LawErrors(
        double=double.exact() if double.exact else None,
        single=single.exact() if single.exact else None,
        sampled=double.sampled() if double.sampled else None,
    )


def _document(found: Mapping[str, LawErrors]) -> dict[str, Any]:
    """``worst`` over all, and the errors of each; two digits, none where there is none."""
    each = {
        name: {kind: float(f"{v:.1e}") for kind, v in vars(one).items() if v is not None}
        for name, one in found.items()
    }
    kinds = ("double", "single", "sampled")
    worst = {
        kind: max(values)
        for kind in kinds
        if (values := [one[kind] for one in each.values() if kind in one])
    }
    return {"worst": worst, "constructions": each}


def _table(rows: tuple[Construction, ...], found: Mapping[str, LawErrors]) -> str:
    """A row a construction; two digits of an error are more than it repeats elsewhere."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = ["construction", "space", "group", "law"]
    writer.writerow([*head, "error_float64", "error_float32", "error_sampled"])
    for row in rows:
        one = found[row.name]
        values = (one.double, one.single, one.sampled)
        told = ["" if value is None else f"{value:.1e}" for value in values]
        writer.writerow([row.name, row.space, row.group, row.law, *told])
    return stream.getvalue()


def _chart(found: Mapping[str, LawErrors]) -> Any:
    """Decimal digits to which a law holds: ``-log10`` of its error."""
    groups = {
        "float64": [_digits(one.double) for one in found.values()],
        "float32": [_digits(one.single) for one in found.values()],
        "other angles, sampled": [_digits(one.sampled) for one in found.values()],
    }
    title = "To how many decimal digits each law holds"
    return bar_chart(list(found), groups, title, "digits", most=20.0)


def _digits(error: float | None) -> float | None:
    return None if error is None else max(0.0, -math.log10(max(error, 1e-17)))
