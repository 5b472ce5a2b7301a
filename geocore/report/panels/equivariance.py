"""The panel of equivariance errors: by layer, by group element, by nside, run beside run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from geocore.report.panels.equivariance_errors import Errors, Kind, Stat, errors_of
from geocore.report.panels.fragment import Owner, fragment, owners, short
from geocore.report.panels.heat import (
    GROUPS,
    Group,
    by_element,
    by_layer,
    by_nside,
    merged,
    named,
    turned,
)
from geocore.report.panels.laws import law_group
from geocore.report.panels.plot import Bound, Plot, Point, field_plot, row_plot
from geocore.report.snapshot import Snapshot
from geocore.report.words import bound_of

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["equivariance_panel"]

# The gate of a group, and which figure of the answer it bounds.
_GATES = {
    "quarter_turn": ("evaluate.quarter_turn_error_max", "largest"),
    "so3": ("evaluate.rotation_error_max", "mean"),
}
_SHAPES = {"quarter_turn": "square", "z": "dot", "so3": "ring"}
_FLOORS = 3  # runs up to which a chart shows the interpolation's own error
_RIGHT_ANGLES = (-180.0, -90.0, 0.0, 90.0, 180.0)

Having = Sequence[tuple[Owner, Errors]]


def equivariance_panel(snapshots: Sequence[Snapshot]) -> Markup:
    """Relative errors ``||f(R x) - R f(x)|| / ||R f(x)||`` of all snapshots that have any.

    Of each group a chart and a table by layer; of each run a table by group element; charts of
    the answer's error by the angle of a turn, and by nside where runs differ in it; the laws of
    constructions in both dtypes. ``''`` where none has any. A table that cannot be read is told in
    a line.
    """
    having = [
        (owner, found)
        for owner, snapshot in zip(owners(snapshots), snapshots, strict=True)
        if (found := errors_of(snapshot)).stats or found.faults
    ]
    kinds = list(dict.fromkeys(kind for _, errors in having for kind in errors.stats))
    laws = law_group(snapshots)
    order = {name: place for place, name in enumerate(GROUPS)}
    kinds.sort(key=lambda kind: (order.get(kind[0], len(order)), kind))
    return fragment(
        "equivariance",
        shown=bool(having or laws),
        owners=[owner for owner, errors in having if errors.stats],
        faults=[(owner, line) for owner, errors in having for line in errors.faults],
        unordered=[owner for owner, e in having if e.stats and not e.ordered],
        groups=[_group(kind, having, snapshots) for kind in kinds],
        laws=laws,
        elements=[(owner, sheet) for owner, errors in having if (sheet := by_element(errors))],
        plots=[plot for plot in (_angles(having), _nsides(having)) if plot is not None],
        nsides=by_nside(having),
    )


def _group(kind: Kind, having: Having, snapshots: Sequence[Snapshot]) -> Group:
    mine = [(owner, errors) for owner, errors in having if kind in errors.stats]
    known_first = sorted((errors for _, errors in mine), key=lambda errors: not errors.ordered)
    layers = merged([e.layers for e in known_first], [e.stats[kind] for e in known_first])
    title = GROUPS.get(kind[0], kind[0])
    points = list(_points(kind, layers, mine))
    gates = list(_gates(kind[0], [owner for owner, _ in mine], snapshots))
    bounds = _bounds(gates, len(mine))
    plot = row_plot(
        title,
        f"{title}: relative error by layer, computed in {kind[1]}; the table has the numbers",
        layers,
        points,
        "relative error, log scale",
        log=True,
        bounds=bounds,
    )
    floors = any(point.shape == "cross" for point in points)
    key = f"dot: mean; bar: up to the largest{'; cross: floor' * floors}"
    lines = tuple((bound.run, bound.told) for bound in bounds)
    return Group(title, kind[1], plot, key, lines, by_layer(kind, layers, mine))


def _points(kind: Kind, layers: Sequence[str], mine: Having) -> Iterator[Point]:
    """A dot a layer and run; where runs are few, a cross for the floor."""
    for owner, errors in mine:
        for row, layer in enumerate(layers):
            stat: Stat | None = errors.stats[kind].get(layer)
            if stat is None:
                continue
            called = f"{owner.name}: {layer}"
            yield Point(
                owner.index,
                stat.mean,
                f"{called}, mean {short(stat.mean)}, largest {short(stat.largest)}",
                row=row,
                high=stat.largest,
                joined=owner.name if errors.ordered else "",
            )
            if stat.floor is not None and len(mine) <= _FLOORS:
                told = f"{called}, floor {short(stat.floor)}"
                yield Point(owner.index, stat.floor, told, row=row, shape="cross")


def _gates(
    group: str, mine: Sequence[Owner], snapshots: Sequence[Snapshot]
) -> Iterator[tuple[Owner, float, str]]:
    """Whose gate, the bound, and in words."""
    name, figured = _GATES.get(group, ("", ""))
    for owner in mine:
        gate = snapshots[owner.index].gates.get(name, {})
        bound = gate.get("bound")
        if isinstance(bound, int | float) and abs(bound) < 1e300:
            yield owner, float(bound), f"gate: the answer's {figured} error {bound_of(gate)}"


def _bounds(gates: Sequence[tuple[Owner, float, str]], runs: int) -> list[Bound]:
    """One line of all runs where they have the same, else each its own."""
    if gates and len(gates) == runs and len({bound for _, bound, _ in gates}) == 1:
        return [Bound(gates[0][1], gates[0][2])]
    return [Bound(bound, f"{owner.name}: {told}", owner.index) for owner, bound, told in gates]


def _angles(having: Having) -> Plot | None:
    """The answer's error by the angle of a turn about the vertical."""
    points = [
        Point(
            owner.index,
            turned(one.angle),
            f"{owner.name}: {GROUPS.get(kind[0], kind[0])}, {named(one)}, error {short(mean)}",
            y=mean,
            shape=_SHAPES.get(kind[0], "cross"),
        )
        for owner, errors in having
        for kind, several in errors.elements.items()
        for one in several
        if one.angle is not None and (mean := one.means.get(errors.answer)) is not None
    ]
    return field_plot(
        "The answer, by the angle of a turn about the vertical",
        "Relative error of the answer by angle in degrees: squares are quarter turns, dots are "
        "others; the tables by group element have the numbers",
        points,
        "angle in degrees; squares are quarter turns",
        "relative error, log scale",
        x_ticks=_RIGHT_ANGLES,
        log_y=True,
    )


def _nsides(having: Having) -> Plot | None:
    """The answer's error by nside, where there is more than one."""
    every = sorted({n for _, e in having for mine in e.nsides.values() for n in mine})
    if len(every) < 2:
        return None
    points = [
        Point(
            owner.index,
            float(nside),
            f"{owner.name}: {GROUPS.get(kind[0], kind[0])}, nside {nside}, mean {short(stat.mean)}",
            y=stat.mean,
            shape=_SHAPES.get(kind[0], "cross"),
            joined=f"{owner.name}: {kind[0]}, {kind[1]}",
        )
        for owner, errors in having
        for kind, mine in errors.nsides.items()
        for nside, stat in sorted(mine.items())
    ]
    return field_plot(
        "The answer, by nside",
        "Mean relative error of the answer by the maps' nside: squares are quarter turns, dots "
        "turns about the vertical, rings rotations in SO(3); the table has the numbers",
        points,
        "nside, log scale; squares: quarter turns, dots: about the vertical, rings: SO(3)",
        "relative error, log scale",
        log_x=True,
        log_y=True,
    )
