"""Learning curves within what a page may weigh: how many points a line keeps, and which."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from geocore.report.directions import better_when
from geocore.report.snapshot import APART, Curve

__all__ = ["Lighter", "lighter"]

_POINTS = 120_000  # of all lines in all charts, some 2 MB of text
_FEWEST, _MOST = 20, 500  # points of a line: with fewer it says nothing; a chart draws 600


@dataclass(frozen=True)
class Lighter:
    """The curves of each snapshot as they are shown, and what was left out of them in words."""

    curves: tuple[Mapping[str, Curve], ...]
    told: str


@dataclass(frozen=True)
class _File:
    """A curve file of a snapshot: its columns that are shown, and of each line its rows."""

    columns: tuple[str, ...]
    lines: tuple[tuple[int, ...], ...]

    def points(self, lines: int, most: int) -> int:
        """How many the first ``lines`` of it have with ``most`` in a line."""
        return len(self.columns) * sum(min(len(line), most) for line in self.lines[:lines])


def lighter(curves: Sequence[Mapping[str, Curve]], points: int = _POINTS) -> Lighter:
    """The curves with at most ``points`` points in all; as they are if they have no more.

    Else one bound holds for every line: longer ones are thinned evenly to it. Each keeps its first
    and last row, and each file the rows of its best values, so that what is told of a run stays
    true. Where lines are so many that each had fewer than 20 points, of each file the first
    members are left. A file of one line stays, whatever ``points`` is.
    """
    files = {
        (place, name): _file(curve)
        for place, found in enumerate(curves)
        for name, curve in found.items()
    }
    longest = max((len(file.lines) for file in files.values()), default=0)

    def total(lines: int, most: int) -> int:
        return sum(file.points(lines, most) for file in files.values())

    if total(longest, _MOST) <= points:
        return Lighter(tuple(curves), "")
    lines = _largest(1, longest, points, lambda many: total(many, _FEWEST))
    most = _largest(_FEWEST, _MOST, points, lambda many: total(lines, many))
    told = f"at most {most} points a line"
    if lines < longest:
        told += f" and {lines} {'line' if lines == 1 else 'lines'} a run"
    return Lighter(
        tuple(
            {
                name: _thinned(curve, files[place, name], lines, most)
                for name, curve in found.items()
            }
            for place, found in enumerate(curves)
        ),
        f"{told} (more would make the page too heavy)",
    )


def _largest(low: int, high: int, bound: int, size: Callable[[int], int]) -> int:
    """The largest number whose size is within the bound, ``low`` if there is none."""
    numbers = range(low, high + 1)
    return numbers[max(bisect_right(numbers, bound, key=size) - 1, 0)]


def _file(curve: Curve) -> _File:
    columns = tuple(name for name in curve if better_when(name))
    lines: dict[str, list[int]] = {}
    members = curve.get(APART, ())
    for row in range(max((len(curve[name]) for name in columns), default=0)):
        # As text, in which NaN equals NaN: rows of no member are one line.
        lines.setdefault(str(members[row]) if row < len(members) else "", []).append(row)
    return _File(columns, tuple(map(tuple, lines.values())))


def _thinned(curve: Curve, file: _File, lines: int, most: int) -> Curve:
    shown = file.lines[:lines]
    kept = {row for line in shown for row in _even(line, most)}
    for name in file.columns:
        kept.update(_telling(curve[name], shown, better_when(name)))
    rows = sorted(kept)
    return {
        name: [column[row] for row in rows if row < len(column)] for name, column in curve.items()
    }


def _even(line: Sequence[int], most: int) -> Iterator[int]:
    """``most`` rows of a line from its first to its last."""
    if len(line) <= most:
        yield from line
        return
    for place in range(most):
        yield line[round(place * (len(line) - 1) / (most - 1))]


def _telling(column: Sequence[float], lines: Sequence[Sequence[int]], way: str) -> Iterator[int]:
    """The row of a column's best value, and of each line's last value that is a number."""
    choose = max if way == "higher" else min
    best = []
    for line in lines:
        there = [row for row in line if row < len(column) and math.isfinite(column[row])]
        if there:
            best.append(choose(there, key=column.__getitem__))
            yield there[-1]
    if best:
        yield choose(best, key=column.__getitem__)
