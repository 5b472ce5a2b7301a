"""The page that a comparison is shown on: one file of HTML that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from geocore.report.columns import Column, columns_of, in_order
from geocore.report.comparison import SECTIONS, Comparison, Missing
from geocore.report.curve_chart import Chart, curve_charts
from geocore.report.panels import (
    chip_panel,
    equivariance_panel,
    provenance_panel,
    twins_panel,
)
from geocore.report.panels.curves import lighter
from geocore.report.pictures import gallery
from geocore.report.programs import plotly, script_json
from geocore.report.rendering import check_installed, render
from geocore.report.rows import Cell, Row, gate_row, grouped, row_of
from geocore.report.seeds import SeedGroup, mean_and_spread, seed_groups
from geocore.report.snapshot import Snapshot
from geocore.report.sphere_panel import sphere_panel
from geocore.report.words import counted, figures

__all__ = ["comparison_page"]

_STYLES = ("style.css", "comparison.css", "spheres.css", "panels.css")
_PROGRAMS = (
    "state.js", "numbers.js", "differences.js", "scales.js", "filter.js", "theme.js", "table.js",
    "coordinates.js", "plots.js", "curves.js", "scatter.js", "pictures.js", "export.js",
    "spheres.js", "spheres-charts.js", "spheres-difference.js", "spheres-hands.js",
    "spheres-panel.js", "panels.js", "start.js",
)  # fmt: skip
_SPHERES = "spheres/maps.arrow"
_WEIGHT = 14_000_000  # bytes of a page; pictures get what all else leaves, in text a third more
_PICTURES = (500_000, 6_000_000)  # bytes that they get at least and at most
_CELL = 150  # bytes of a cell of a table, about
_DRAWN = 400_000  # characters of curves drawn for a reader without programs; more is left out


def comparison_page(comparison: Comparison, snapshots: Sequence[Snapshot]) -> str:
    """The page of a comparison, the text of a self-contained HTML file; equal for equal input.

    ``snapshots`` are those compared. Of a comparison of ``everything`` the page shows what differs,
    and on request the rest. Names, parameters and messages stay text wherever they come from.
    Raises ``UserError`` if Jinja2 is not installed.
    """
    check_installed()
    folder = _common_folder(snapshots)
    if folder:
        snapshots = [replace(s, name=s.name.removeprefix(folder)) for s in snapshots]
        comparison = replace(comparison, names=tuple(s.name for s in snapshots))
    columns, groups = columns_of(comparison), seed_groups(snapshots)
    numbers = {(column.section, column.name): place for place, column in enumerate(columns)}
    rows = _rows(comparison, numbers)
    panels = _panels(snapshots)
    light = lighter([s.curves for s in snapshots])
    charts = curve_charts(list(zip([s.name for s in snapshots], light.curves, strict=True)))
    drawings = sum(len(line.path) for chart in charts for line in chart.lines)
    library = plotly() if charts or len(snapshots) > 2 else None
    data = _data(snapshots, columns, groups, charts, _files(comparison))
    spent = sum(len(panel["html"]) for panel in panels) + len(script_json(data))
    spent += len(library.text) if library else 0
    spent += drawings if library is None or drawings < _DRAWN else 0
    spent += _CELL * len(snapshots) * sum(len(section) for section in rows.values())
    shown, left_out = gallery(
        snapshots, min(max((_WEIGHT - spent) * 3 // 4, _PICTURES[0]), _PICTURES[1])
    )
    return render(
        "comparison.html.jinja",
        styles=_STYLES,
        programs=_PROGRAMS,
        library=library,
        data=data,
        title=_title(comparison.names),
        folder=folder.rstrip("/"),
        snapshots=snapshots,
        names=comparison.names,
        counts=[_counted(comparison, section, rows[section]) for section in SECTIONS],
        equal=[counted(section, comparison.same[section]) for section in SECTIONS],
        heads=[(place, columns[place]) for place in in_order(columns)],
        runs=[_run(place, snapshot, columns, rows) for place, snapshot in enumerate(snapshots)],
        groups=[_group(group, columns) for group in groups],
        gates=rows["gates"],
        params=rows["params"],
        metrics=grouped(rows["metrics"]),
        code=rows["code"],
        data_rows=rows["data"],
        panels=panels,
        plotted=library is not None,
        charts=charts,
        thinned=light.told,
        drawn=drawings < _DRAWN,
        figures=shown,
        left_out=left_out,
    )


def _common_folder(snapshots: Sequence[Snapshot]) -> str:
    """What the names of studies have in common, ``studies/x/``; ``""`` where others are with them.

    It is said once: beside a colour, or above a column, there is room for a few letters.
    """
    if not all(snapshot.study for snapshot in snapshots):
        return ""
    folders = [snapshot.name.split("/")[:-1] for snapshot in snapshots]
    alike = takewhile(lambda parts: len({*parts}) == 1, zip(*folders, strict=False))
    return "".join(f"{part}/" for part, *_ in alike)


def _panels(snapshots: Sequence[Snapshot]) -> list[dict[str, Any]]:
    """What other files make of the snapshots: id, name and HTML of each that shows anything."""
    made = [
        (
            "spheres",
            "spheres",
            sphere_panel([(s.name, s.tables.get(_SPHERES, b"")) for s in snapshots]),
        ),
        ("equivariance", "equivariance", equivariance_panel(snapshots)),
        ("twins", "ensembles and kernels", twins_panel(snapshots)),
        ("chip", "on a chip", chip_panel(snapshots)),
        ("provenance", "provenance", provenance_panel(snapshots)),
    ]
    return [{"id": f"part-{key}", "name": name, "html": html} for key, name, html in made if html]


def _title(names: Sequence[str]) -> str:
    *others, last = names
    if len(names) > 4:
        return f"{len(names)} runs compared"
    return " against ".join(names) if len(names) == 2 else f"{', '.join(others)} and {last}"


def _counted(comparison: Comparison, section: str, rows: Sequence[Row]) -> dict[str, Any]:
    """A link to a section: what is seen there at first, or what ``only differences`` hides."""
    seen = sum(not row.equal for row in rows)
    return {
        "section": section,
        "words": counted(section, seen or len(rows)),
        "there": bool(rows),
        "equal": not seen,
        "differs": any(row.differs for row in comparison.section(section)),
    }


def _rows(comparison: Comparison, numbers: Mapping[tuple[str, str], int]) -> dict[str, list[Row]]:
    """The rows of each section; those that are a column, too, with its number."""
    found = {}
    for section in SECTIONS:
        numbered = [(row, numbers.get((section, row.name))) for row in comparison.section(section)]
        found[section] = [
            gate_row(row, number) if section == "gates" else row_of(section, row, number=number)
            for row, number in numbered
        ]
    return found


def _run(
    place: int, snapshot: Snapshot, columns: Sequence[Column], rows: Mapping[str, Sequence[Row]]
) -> dict[str, Any]:
    """A run's line in the table of runs."""
    cells = {row.number: row.cells[place] for section in rows.values() for row in section}
    return {
        "snapshot": snapshot,
        "gates": _gates(snapshot),
        "cells": [(number, columns[number], cells[number]) for number in in_order(columns)],
    }


def _gates(snapshot: Snapshot) -> Cell:
    count = len(snapshot.gates)
    fails = sum(not gate["passed"] for gate in snapshot.gates.values())
    if not count:
        return Cell("none measured", missing=True)
    if fails:
        return Cell(f"{fails} of {count} {'fails' if fails == 1 else 'fail'}", verdict="worse")
    return Cell(f"all {count} hold" if count > 1 else "1 holds", verdict="better")


def _group(group: SeedGroup, columns: Sequence[Column]) -> dict[str, Any]:
    """The line of a group of seeds: the parameters they share, mean and spread of each metric."""
    told = []
    for number in in_order(columns):
        column = columns[number]
        values = [column.values[run] for run in group.runs]
        texts = {column.texts[run] for run in group.runs}
        text = texts.pop() if len(texts) == 1 and column.section == "params" else ""
        if column.section == "metrics" and None not in values:
            text = " ± ".join(figures(list(mean_and_spread(values))))
        told.append((number, column, text))
    return {"runs": group.runs, "seeds": group.seeds, "cells": told}


def _data(
    snapshots: Sequence[Snapshot],
    columns: Sequence[Column],
    groups: Sequence[SeedGroup],
    charts: Sequence[Chart],
    files: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What the page's programs read."""
    return {
        "runs": [
            {"name": s.name, "kind": s.kind, "commit": s.base, "about": s.about} for s in snapshots
        ],
        "columns": [column.to_json() for column in columns],
        "main": in_order(columns),
        "groups": [list(group.runs) for group in groups],
        "curves": [_curve(chart) for chart in charts],
        "files": files,
    }


def _files(comparison: Comparison) -> list[dict[str, Any]]:
    """The files of code and data that differ, with their whole digests, for the export."""
    return [
        {
            "section": section,
            "name": row.name,
            "values": [None if isinstance(value, Missing) else value for value in row.values],
        }
        for section in ("code", "data")
        for row in comparison.section(section)
        if row.differs
    ]


def _curve(chart: Chart) -> dict[str, Any]:
    """A chart's lines in numbers of six digits, with null for a gap."""
    return {
        "file": chart.file,
        "column": chart.column,
        "along": chart.along,
        "way": chart.way,
        "lines": [
            {
                "run": line.series,
                "member": line.member,
                "x": [_short(x) for x, _ in line.points],
                "y": [_short(y) for _, y in line.points],
            }
            for line in chart.lines
        ],
    }


def _short(number: float) -> float | None:
    """In six digits, which is more than a drawing shows; None for a gap."""
    return float(f"{number:.6g}") if math.isfinite(number) else None
