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
from geocore.pipeline.constructions import Construction, constructions, worst
from geocore.pipeline.stage import Job, Manifest
from geocore.report.bar_chart import bar_chart
from geocore.runs.atomic import replacing, write_json, write_text
from geocore.runs.digest import digest_path

__all__ = ["LawErrors", "broken", "errors", "measure"]

# Of each kind of error the column of the table.
_COLUMNS = {
    "double": "error_float64",
    "single": "error_float32",
    "sampled": "error_sampled",
    "sampled_single": "error_sampled_float32",
}


@dataclass(frozen=True)
class LawErrors:
    """Largest relative errors, each in float64 and float32; None where a law has no such elements.

    ``double`` and ``single`` over elements for which the law holds to rounding; ``sampled`` and
    ``sampled_single`` over those for which it holds as far as sampling does.
    """

    double: float | None
    single: float | None
    sampled: float | None
    sampled_single: float | None


def measure(job: Job) -> Manifest:
    """Write ``metrics.json``, ``table.csv`` and ``digits.png``, all or none.

    Returns their digests, and ``broken``: a line for each law that ``broken`` finds. Raises
    ``UserError`` where escnn is not installed.
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
        "broken": broken(found, params.error_max),
    }


def errors(row: Construction, params: LawsParams) -> LawErrors:
    """The errors of one construction."""
    double, single = (row.build(params, dtype) for dtype in (torch.float64, torch.float32))
    return LawErrors(
        double=double.exact() if double.exact else None,
        single=single.exact() if single.exact else None,
        sampled=double.sampled() if double.sampled else None,
        sampled_single=single.sampled() if single.sampled else None,
    )


def broken(found: Mapping[str, LawErrors], error_max: float) -> list[str]:
    """A line for each law that does not hold: by a bound in float64, by a number in any column."""
    lines = []
    for name, one in found.items():
        for kind, value in vars(one).items():
            if value is not None and not math.isfinite(value):
                lines.append(f"laws: {name}: {_COLUMNS[kind]} is {value}; expected a finite number")
            elif kind == "double" and value is not None and value > error_max:
                lines.append(
                    f"laws: {name}: {_COLUMNS[kind]} is {value:.4g}; "
                    f"expected at most {error_max:g} (laws.error_max)"
                )
    return lines


def _document(found: Mapping[str, LawErrors]) -> dict[str, Any]:
    """``worst`` over all, and the errors of each; two digits, none where there is none.

    What is not finite is null, and so is the worst over it.
    """
    each = {
        name: {kind: v for kind, v in vars(one).items() if v is not None}
        for name, one in found.items()
    }
    kinds: dict[str, list[float]] = {}
    for one in each.values():
        for kind, value in one.items():
            kinds.setdefault(kind, []).append(value)
    return {
        "worst": {kind: _told(worst(values)) for kind, values in kinds.items()},
        "constructions": {
            name: {kind: _told(value) for kind, value in one.items()} for name, one in each.items()
        },
    }


def _told(value: float) -> float | None:
    return float(f"{value:.1e}") if math.isfinite(value) else None


def _table(rows: tuple[Construction, ...], found: Mapping[str, LawErrors]) -> str:
    """A row a construction; two digits of an error are more than it repeats elsewhere."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["construction", "space", "group", "law", *_COLUMNS.values()])
    for row in rows:
        values = vars(found[row.name]).values()
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
    if error is None or not math.isfinite(error):
        return None
    return max(0.0, -math.log10(max(error, 1e-17)))
