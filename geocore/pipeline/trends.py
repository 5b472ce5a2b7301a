"""Charts of ``collect``: a figure against what the networks were trained with, a curve a series.

Where the figure is drawn against ``x`` (a key of the trainings' metrics), a point is a study and a
series is what its points have in common. The number at the end of a component of a study's path
(``rotated_16``, ``cnn_2``) belongs to the axis if ``x`` follows it: if two studies of the group
that differ in that component's number alone differ in ``x``. The series is the path without the
numbers that belong to the axis. So ``rotated_1/cnn_2`` and ``rotated_4/cnn_2`` are points of
``rotated/cnn_2`` against the number of samples, and ``rotated_1/cnn_1`` and ``rotated_1/cnn_2``
points of ``rotated_1/cnn`` against the number of parameters.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from geocore.healpix.draw import write_png
from geocore.pipeline.summaries import Groups
from geocore.report.line_chart import Mark, line_chart

__all__ = ["series", "write_charts"]

_NUMBER = re.compile(r"_\d+$")


def series(along: Mapping[str, float]) -> dict[str, str]:
    """``{study: the series that it is a point of}`` where ``along`` is its place on the axis."""
    deepest = max((name.count("/") for name in along), default=0)
    followed = []
    for place in range(deepest + 1):
        alike: dict[str, set[float]] = {}
        for name, x in along.items():
            alike.setdefault(_without(name, {place}), set()).add(x)
        if any(len(values) > 1 for values in alike.values()):
            followed.append(place)
    return {name: _without(name, followed) for name in along}


def write_charts(folder: Path, measured: Groups, trained: Groups) -> None:
    """``GROUP_FIGURE_AXIS.png`` for each group, figure and axis that have a point; dots as dashes.

    ``measured`` has the figures and ``trained`` the axes, each over the same studies; a bar stands
    for the standard deviation over seeds. A folder is never empty.
    """
    for group, studies in measured.items():
        figures, axes = (
            list(next(iter(found.values())).mean) for found in (studies, trained[group])
        )
        for axis in axes:
            places = {name: one.mean[axis] for name, one in trained[group].items()}
            along = {name: x for name, x in places.items() if x is not None}
            owners = series(along)
            for figure in figures:
                curves: dict[str, list[Mark]] = {}
                for name in sorted(along, key=_naturally):
                    value = studies[name].mean[figure]
                    if value is not None:
                        mark = Mark(along[name], value, studies[name].sd[figure])
                        curves.setdefault(owners[name], []).append(mark)
                if curves:
                    chart = line_chart(curves, f"{group}: {figure}", axis, figure)
                    write_png(folder / f"{_file_name(group, figure, axis)}.png", chart)
    if not any(folder.iterdir()):
        words = "A chart has the studies that tell both its figure and its axis.\n"
        (folder / "README.txt").write_text(words, encoding="utf-8")


def _without(name: str, places: Collection[int]) -> str:
    """The path without the numbers at the end of the components at ``places``."""
    return "/".join(
        _NUMBER.sub("", part) if place in places else part
        for place, part in enumerate(name.split("/"))
    )


def _naturally(name: str) -> list[tuple[int, str]]:
    """Numbers in a name by their size: ``cnn_2`` before ``cnn_10``."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _file_name(*words: str) -> str:
    return "_".join(word.replace(".", "-") for word in words)
