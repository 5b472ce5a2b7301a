"""What ``orbits`` writes: figures as a document and a table, and pictures of their laws."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from geocore.healpix.draw import write_png
from geocore.pipeline.orbit_figures import OrbitFigures, excess, limit, slope
from geocore.pipeline.orbit_task import OrbitTask
from geocore.report.line_chart import Mark, line_chart

__all__ = ["Line", "OrbitResults", "Row", "document", "draw", "table"]

_FIGURES = [field.name for field in fields(OrbitFigures) if field.name != "members"]
_LEAST = 1e-17  # what a deviation of 0 is drawn as


@dataclass(frozen=True)
class Row:
    """Figures of so many members, of one kind of inputs on one part of the transformations."""

    step: int
    kind: str
    part: str
    figures: OrbitFigures


@dataclass(frozen=True)
class Line:
    """An ensemble: its rows, and by step how well it answers the test."""

    rows: Sequence[Row]
    scores: Mapping[int, Mapping[str, float]]

    def of(self, step: int, kind: str, part: str) -> list[OrbitFigures]:
        """Those figures, by growing numbers of members."""
        chosen = (step, kind, part)
        return [row.figures for row in self.rows if (row.step, row.kind, row.part) == chosen]


@dataclass(frozen=True)
class OrbitResults:
    """Lines by name, and of the orbit-closed ensemble the largest relative deviation by step."""

    task: OrbitTask
    members: int
    lines: Mapping[str, Line]
    closed: Mapping[int, float]


def document(results: OrbitResults) -> dict[str, Any]:
    """What ``metrics.json`` holds.

    ``closed``: worst and by step. Of each line, by inputs, part and step: ``slope``, ``excess`` and
    ``limit`` (``orbit_figures``) of the deviation, and the figures of one member and of all; its
    ``scores`` by step; ``slope``, of the exact group: the least, the greatest, and the one of test
    inputs at the last step; ``excess``: that, least and greatest over inputs at the last step.
    """
    task, last = results.task, max(results.closed)
    found: dict[str, Any] = {
        "members": results.members,
        "exact": {"group": task.exact, "order": task.order},
        "trained": {"group": task.trained, "order": len(task.places[task.trained])},
        "closed": {
            "worst": _told(max(results.closed.values())),
            "steps": {str(step): _told(value) for step, value in results.closed.items()},
        },
    }
    for name, line in results.lines.items():
        laws = {
            (step, kind, part): _law(line.of(step, kind, part))
            for part in task.places
            for kind in task.asked
            for step in results.closed
        }
        exact = {key: law for key, law in laws.items() if key[2] == task.exact}
        slopes = [law["slope"] for law in exact.values() if law["slope"] is not None]
        ends = [law["excess"] for key, law in exact.items() if key[0] == last and law["excess"]]
        test = exact[last, "test", task.exact]
        told: dict[str, Any] = {
            "slope": {"least": min(slopes, default=None), "greatest": max(slopes, default=None),
                      "last": test["slope"]},
            "excess": {"least": min(ends, default=None), "greatest": max(ends, default=None),
                       "last": test["excess"]},
            "scores": {
                str(step): {key: _told(value) for key, value in scores.items()}
                for step, scores in line.scores.items()
            },
        }  # fmt: skip
        for (step, kind, part), law in laws.items():
            told.setdefault("inputs", {}).setdefault(kind, {}).setdefault(part, {})[str(step)] = law
        found[name] = told
    return found


def table(results: OrbitResults) -> str:
    """A row for each ensemble, step, kind of inputs, part and number of members.

    Last the orbit-closed ensemble, of as many members as the exact group has elements: there the
    deviation is the largest, over all inputs, relative to the root mean square output.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["ensemble", "step", "inputs", "orbit", "members", *_FIGURES])
    for name, line in results.lines.items():
        for row in line.rows:
            told = [_told(getattr(row.figures, figure)) for figure in _FIGURES]
            cells = ["" if value is None else value for value in told]
            writer.writerow([name, row.step, row.kind, row.part, row.figures.members, *cells])
    for step, value in results.closed.items():
        rest = [""] * (len(_FIGURES) - 1)
        writer.writerow(
            ["closed", step, "all", results.task.exact, results.task.order, _told(value), *rest]
        )
    return stream.getvalue()


def draw(folder: Path, results: OrbitResults) -> None:
    """Write ``members.png`` and ``steps.png``; of classes ``osp.png``; ``orbits.png`` of parts."""
    task, last = results.task, max(results.closed)
    _write(
        folder / "members.png",
        {
            f"{name}, {kind}": [
                Mark(found.members, found.deviation) for found in line.of(last, kind, task.exact)
            ]
            for name, line in results.lines.items()
            for kind in task.asked
        },
        (f"Deviation on orbits of {task.exact} after {last} steps", "members", "deviation"),
    )
    steps = {
        f"{name}, {kind}": [
            Mark(step + 1, line.of(step, kind, task.exact)[-1].deviation) for step in results.closed
        ]
        for name, line in results.lines.items()
        for kind in task.asked
    }
    steps["orbit-closed, all, relative"] = [
        Mark(step + 1, value) for step, value in results.closed.items()
    ]
    told = f"Deviation of {results.members} members, and of the {task.order} orbit-closed ones"
    _write(folder / "steps.png", steps, (told, "optimiser steps + 1", "deviation"))
    if task.classifies:
        osp = {
            f"{name}, {kind}": [
                Mark(step + 1, line.of(step, kind, task.exact)[-1].osp or 0.0)
                for step in results.closed
            ]
            for name, line in results.lines.items()
            for kind in task.asked
        }
        told = f"Orbit-same-prediction of {results.members} members on {task.exact}"
        _write(folder / "osp.png", osp, (told, "optimiser steps + 1", f"of {task.order}"))
    if len(task.places) > 1:
        parts = {
            f"{name}, {part}": [
                Mark(found.members, found.deviation) for found in line.of(last, "test", part)
            ]
            for name, line in results.lines.items()
            for part in task.places
        }
        told = f"Deviation of test inputs after {last} steps, trained on {task.trained}"
        _write(folder / "orbits.png", parts, (told, "members", "deviation"))


def _law(found: Sequence[OrbitFigures]) -> dict[str, Any]:
    members, deviations = ([getattr(f, key) for f in found] for key in ("members", "deviation"))
    return {
        "slope": _told(slope(members, deviations)),
        "excess": _told(excess(members, deviations)),
        "limit": _told(limit(members, deviations)),
        "one": dict(_figures(found[0])),
        "all": dict(_figures(found[-1])),
    }


def _figures(found: OrbitFigures) -> Iterator[tuple[str, float | None]]:
    for name in _FIGURES:
        if (value := getattr(found, name)) is not None:
            yield name, _told(value)


def _told(value: float | None) -> float | None:
    """Four digits."""
    return None if value is None else float(f"{value:.4g}")


def _write(path: Path, series: Mapping[str, Sequence[Mark]], words: tuple[str, str, str]) -> None:
    drawn = {
        name: [Mark(mark.x, max(mark.y, _LEAST)) for mark in marks]
        for name, marks in series.items()
    }
    write_png(path, line_chart(drawn, *words))
