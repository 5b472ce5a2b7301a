"""The body of ``collect``: metrics of the studies below -> one table, gains, pages, charts.

A study below is called ``GROUP/NAME``: those of one group are compared. ``NAME_seed1``,
``NAME_seed2``, ... are further runs of ``GROUP/NAME`` with other seeds, and are told as one, by
their mean and standard deviation. What lies deeper counts by its whole path: ``GROUP/NAME/MORE``.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

from geocore.config.collect import CollectParams
from geocore.config.load import leaves, read_yaml
from geocore.errors import UserError
from geocore.pipeline.stage import Job, Manifest
from geocore.pipeline.summaries import Figures, gains, summaries
from geocore.pipeline.trends import write_charts
from geocore.report.comparison import compare
from geocore.report.page import comparison_page
from geocore.report.rendering import template_digest
from geocore.report.results import Results
from geocore.report.snapshot import Snapshot
from geocore.runs.atomic import replacing, write_json, write_text
from geocore.runs.digest import digest_path

__all__ = ["collect"]


def collect(job: Job) -> Manifest:
    """Write ``metrics.json``, ``table.csv``, pages and charts, all or none; return their digests.

    Raises ``UserError`` for metrics that are no JSON, for a figure or an axis that no study below
    has, and for one at or below 0 on an axis, which goes by decades.
    """
    params = job.section(CollectParams)
    measured = {name: _figures(path, params.figures) for name, path in job.each("metrics").items()}
    for figure in params.figures:
        if all(found[figure] is None for found in measured.values()):
            raise UserError(
                f"{job.params_file}: collect.figures names {figure}, which no study below "
                "measures; expected a key of their results/evaluate/metrics.json"
            )
    trained = _trained(job, list(measured), params.against)
    with ExitStack() as all_or_none:
        metrics, table, pages = (
            all_or_none.enter_context(replacing(job.output(name)))
            for name in ("metrics", "table", "pages")
        )
        write_json(metrics, _document(measured, params.baseline))
        write_text(table, _table(measured, params.figures))
        pages.mkdir()
        _write_pages(job, list(measured), params.baseline, pages)
        if params.against:
            charts = all_or_none.enter_context(replacing(job.output("charts")))
            charts.mkdir()
            write_charts(charts, summaries(measured), summaries(trained))
    outputs = [job.output(name) for name in job.stage.outputs(job.sections)]
    return {
        "files": {path.name: digest_path(path) for path in outputs},
        "templates": template_digest(),
        "studies": len(measured),
    }


def _document(measured: Mapping[str, Figures], baseline: str | None) -> dict[str, Any]:
    """``studies``: mean, spread and runs of each; ``gain``: mean less the baseline's."""
    found = summaries(measured)
    told: dict[str, Any] = {
        group: {
            name: {"mean": _nested(one.mean), "sd": _nested(one.sd), "runs": one.runs}
            for name, one in studies.items()
        }
        for group, studies in found.items()
    }
    gained = {
        group: {name: _nested(values) for name, values in studies.items()}
        for group, studies in gains(found, baseline).items()
    }
    return {"studies": told, "gain": gained}


def _write_pages(job: Job, names: list[str], baseline: str | None, folder: Path) -> None:
    """A page for each group of two or more, the baseline first; a folder is never empty."""
    for group in sorted({name.split("/")[0] for name in names}):
        members = [name for name in names if name.split("/")[0] == group]
        members.sort(key=lambda name: (name != f"{group}/{baseline}", name))
        snapshots = [_snapshot(job, name) for name in members]
        if len(snapshots) > 1:
            page = comparison_page(compare(snapshots, everything=True), snapshots)
            write_text(folder / f"{group}.html", page)
    if not any(folder.iterdir()):
        write_text(
            folder / "README.txt", "A page compares the studies of a group of two or more.\n"
        )


def _trained(job: Job, names: Iterable[str], axes: Sequence[str]) -> dict[str, Figures]:
    """Each study's place on each axis; one that trains nothing measures the network above it."""
    files = job.each("training") if axes else {}
    read = {name: _figures(path, axes, "train") for name, path in files.items()}
    for axis in axes:
        places = {name: x for name, found in read.items() if (x := found[axis]) is not None}
        if not places:
            raise UserError(
                f"{job.params_file}: collect.against names {axis}, which no study below trains "
                "with; expected a key of their results/train/metrics.json, among the deps"
            )
        for name, x in places.items():
            if x <= 0:
                raise UserError(
                    f"{files[name]}: {axis} is {x:g}; expected above 0, as collect.against draws "
                    "by decades"
                )
    nothing: Figures = dict.fromkeys(axes)
    return {name: next((read[a] for a in _upwards(name) if a in read), nothing) for name in names}


def _upwards(name: str) -> list[str]:
    return [name, *(above.as_posix() for above in PurePosixPath(name).parents)]


def _figures(path: Path, wanted: Iterable[str], maker: str = "evaluate") -> Figures:
    """Each wanted key's number; None where the metrics have none, or null."""
    try:
        values = leaves(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, AttributeError):
        raise UserError(f"{path}: holds no JSON object; expected what {maker} wrote") from None
    return {figure: _number(values.get(figure)) for figure in wanted}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _nested(values: Mapping[str, float | None]) -> dict[str, Any]:
    """``{"a.b": 1}`` -> ``{"a": {"b": 1}}``, what has no value left out."""
    nested: dict[str, Any] = {}
    for key, value in values.items():
        if value is None:
            continue
        *above, last = key.split(".")
        place = nested
        for step in above:
            place = place.setdefault(step, {})
        place[last] = value
    return nested


def _table(measured: Mapping[str, Figures], figures: Sequence[str]) -> str:
    """A row a study below, seeds apart; an empty cell where it measures no such thing."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["study", *figures])
    for name in sorted(measured):
        row = [measured[name][figure] for figure in figures]
        writer.writerow([name, *("" if value is None else repr(value) for value in row)])
    return stream.getvalue()


def _snapshot(job: Job, name: str) -> Snapshot:
    """One study below as the comparison page takes it."""
    results = Results(name)
    for port in ("metrics", "training", "curves", "pictures"):
        place = job.each(port).get(name)
        if place is None:
            continue
        path = job.stage.takes[port].path
        files = sorted(place.rglob("*.png")) if place.is_dir() else [place]
        for file in files:
            inner = f"/{file.relative_to(place).as_posix()}" if place.is_dir() else ""
            results.add(f"{path}{inner}", file.read_bytes())
    params = job.each("params").get(name)
    return Snapshot(
        name=name,
        kind="workspace",
        about=f"{job.study}/{name}" if job.study else name,
        params={} if params is None else leaves(read_yaml(params)),
        metrics=results.metrics,
        curves=results.curves,
        pictures=results.pictures,
    )
