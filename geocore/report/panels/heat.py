"""Tables of errors whose cells are the warmer, the larger the error is by decades."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geocore.report.panels.equivariance_errors import Element, Errors, Kind, Stat
from geocore.report.panels.fragment import Owner, short
from geocore.report.panels.plot import Plot
from geocore.report.words import figure

__all__ = [
    "GROUPS",
    "Group",
    "Heat",
    "Sheet",
    "by_element",
    "by_layer",
    "by_nside",
    "heat",
    "merged",
    "named",
    "turned",
]

GROUPS = {
    "quarter_turn": "Quarter turns about the vertical",
    "z": "Turns about the vertical",
    "so3": "Rotations in SO(3)",
}
_IN_SHORT = {"quarter_turn": "quarter turn", "z": "vertical", "so3": "SO(3)"}
_COLD = 1e-3  # an error that a colour should show
_ELEMENTS = 64  # columns of a table, the most
_DECADES = 3  # that are told apart at least

Having = Sequence[tuple[Owner, Errors]]


@dataclass(frozen=True)
class Heat:
    """A cell: its words, more of them, how warm it is in percent; ``run`` if it is of one."""

    text: str
    about: str = ""
    heat: int = 0
    run: int | None = None


@dataclass(frozen=True)
class Sheet:
    """A table: what it is, its columns (an owner each, or group and element), its rows."""

    label: str
    head: tuple[Any, ...]
    rows: tuple[tuple[str, tuple[Heat, ...]], ...]


@dataclass(frozen=True)
class Group:
    """What is told of one group: a chart, what its marks and dashed lines mean, a table.

    ``gates`` are lines, each with the run whose it is, None if it is of all.
    """

    title: str
    dtype: str
    plot: Plot | None
    key: str
    gates: tuple[tuple[int | None, str], ...]
    sheet: Sheet
    first: str = "layer"  # what a row is


def by_layer(kind: Kind, layers: Sequence[str], having: Having) -> Sheet:
    """The errors under one group: a row a layer, a column a run."""
    values = [stat.mean for _, errors in having for stat in errors.stats[kind].values()]
    rows = tuple(
        (layer, tuple(_cell(o.index, e.stats[kind].get(layer), values) for o, e in having))
        for layer in layers
    )
    title = GROUPS.get(kind[0], kind[0])
    return Sheet(f"{title}, mean error by layer", tuple(owner for owner, _ in having), rows)


def by_element(errors: Errors) -> Sheet | None:
    """One run's mean errors: a row a layer, a column a group element, warm within its group."""
    every = [(kind, one) for kind, several in errors.elements.items() for one in several]
    columns = every[:_ELEMENTS]
    if not columns:
        return None
    values = {
        kind: [value for one in several for value in one.means.values()]
        for kind, several in errors.elements.items()
    }
    rows = []
    for layer in errors.layers:
        means = [(kind, one.means.get(layer)) for kind, one in columns]
        cells = (Heat(short(v), "", 0 if v is None else heat(v, values[k])) for k, v in means)
        rows.append((layer, tuple(cells)))
    head = tuple((_IN_SHORT.get(kind[0], kind[0]), named(one)) for kind, one in columns)
    label = "mean error by layer and group element"
    label += f", the first {len(columns)} of {len(every)}" if len(every) > len(columns) else ""
    return Sheet(label, head, tuple(rows))


def by_nside(having: Having) -> Sheet | None:
    """The answer's errors: a row a group and nside, a column a run that knows its nside."""
    places = {(kind, n) for _, e in having for kind, mine in e.nsides.items() for n in mine}
    if not places:
        return None
    mine = [(owner, errors.nsides) for owner, errors in having if errors.nsides]
    values = [stat.mean for _, by in mine for one in by.values() for stat in one.values()]
    order = {name: place for place, name in enumerate(GROUPS)}
    rows = []
    for kind, nside in sorted(places, key=lambda p: (order.get(p[0][0], len(order)), p)):
        name = f"{GROUPS.get(kind[0], kind[0])}, {kind[1]}, nside {nside}"
        cells = (_cell(o.index, by.get(kind, {}).get(nside), values) for o, by in mine)
        rows.append((name, tuple(cells)))
    label = "mean error of the answer by group and nside"
    return Sheet(label, tuple(owner for owner, _ in mine), tuple(rows))


def named(element: Element) -> str:
    """``90°``, or ``no. 3`` of a rotation about some other axis."""
    if element.angle is None:
        return f"no. {element.number}"
    return f"{figure(round(turned(element.angle), 1))}°".replace("-", "−")


def turned(angle: float) -> float:
    """The same turn, above -180 and up to 180 degrees."""
    return 180.0 - (180.0 - angle) % 360.0


def _cell(run: int, stat: Stat | None, values: Sequence[float]) -> Heat:
    if stat is None:
        return Heat("–", "", 0, run)
    floor = "" if stat.floor is None else f", floor {short(stat.floor)}"
    about = f"largest {short(stat.largest)}{floor}"
    return Heat(short(stat.mean), about, heat(stat.mean, values), run)


def heat(value: float, values: Sequence[float]) -> int:
    """How far up between the least and the greatest of ``values`` by decades, in percent.

    The greatest counts as at least ``_COLD``, and three decades at least are told apart: rounding
    errors among themselves stay cold, and what is alike looks alike.
    """
    if math.isinf(value):
        return 100
    above = [math.log10(v) for v in values if 0 < v < math.inf]
    if not above or not value > 0:
        return 0
    high = max(*above, math.log10(_COLD))
    low = min(*above, high - _DECADES)
    return max(0, round(100 * (math.log10(value) - low) / (high - low)))


def merged(orders: Sequence[Sequence[str]], having: Sequence[Mapping[str, Stat]]) -> list[str]:
    """All layers, each network's in its own order; what only a later one has stands behind the
    layer that it follows there.
    """
    found: list[str] = []
    for order, stats in zip(orders, having, strict=True):
        place = 0
        for layer in (name for name in order if name in stats):
            if layer in found:
                place = found.index(layer) + 1
            else:
                found.insert(place, layer)
                place += 1
    return found
