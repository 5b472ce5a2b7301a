"""Errors of the laws of constructions, in both dtypes, as the stage ``laws`` measured them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from geocore.report.panels.fragment import Owner, owners, short
from geocore.report.panels.heat import Group, Heat, Sheet, heat
from geocore.report.panels.plot import Bound, Point, row_plot
from geocore.report.snapshot import Snapshot

__all__ = ["law_group"]

_PREFIX = "laws.constructions."
_BOUND = "laws.error_max"  # the parameter that the stage fails by
# What metrics call an error -> in words, and its mark.
_KINDS = {
    "double": ("float64", "dot"),
    "single": ("float32", "ring"),
    "sampled": ("sampled float64", "square"),
    "sampled_single": ("sampled float32", "cross"),
}

Laws = Mapping[str, Mapping[str, float]]  # construction -> kind -> error


def law_group(snapshots: Sequence[Snapshot]) -> Group | None:
    """A chart and a table by construction; None where no snapshot has such errors.

    Exact laws hold to rounding in each dtype; a sampled one is off by its discretisation, too.
    """
    having = [
        (owner, laws)
        for owner, snapshot in zip(owners(snapshots), snapshots, strict=True)
        if (laws := _laws(snapshot.metrics))
    ]
    names = list(dict.fromkeys(name for _, laws in having for name in laws))
    if not names:
        return None
    told = [
        Point(
            owner.index,
            error,
            f"{owner.name}: {name}, {_KINDS[kind][0]}, error {short(error)}",
            row=row,
            shape=_KINDS[kind][1],
        )
        for owner, laws in having
        for row, name in enumerate(names)
        for kind, error in laws.get(name, {}).items()
    ]
    bounds = list(_bounds([owner for owner, _ in having], snapshots))
    plot = row_plot(
        "Laws of constructions",
        "Laws of constructions: error of each, by dtype; the table has the numbers",
        names,
        told,
        "error, log scale",
        log=True,
        bounds=bounds,
    )
    key = "dot: float64; ring: float32; square and cross: the same, sampled"
    gates = tuple((bound.run, bound.told) for bound in bounds)
    sheet = _sheet(names, having)
    return Group("Laws of constructions", "both dtypes", plot, key, gates, sheet, "construction")


def _laws(metrics: Mapping[str, float | None]) -> Laws:
    """From ``laws.constructions.NAME.KIND``: a name may hold dots."""
    found: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        inner, _, kind = name.removeprefix(_PREFIX).rpartition(".")
        told = name.startswith(_PREFIX) and inner and kind in _KINDS
        if told and value is not None and abs(value) < 1e300:
            found.setdefault(inner, {})[kind] = float(value)
    return found


def _sheet(names: Sequence[str], having: Sequence[tuple[Owner, Laws]]) -> Sheet:
    """A row a construction, a column a run, warm by the error in float64."""
    values = [laws[name]["double"] for _, laws in having for name in laws if "double" in laws[name]]
    rows = tuple(
        (name, tuple(_cell(owner.index, laws.get(name, {}), values) for owner, laws in having))
        for name in names
    )
    label = "Error of each law: in float64, below it in other ways"
    return Sheet(label, tuple(owner for owner, _ in having), rows)


def _cell(run: int, errors: Mapping[str, float], values: Sequence[float]) -> Heat:
    known = [kind for kind in _KINDS if kind in errors and kind != "double"]
    others = [f"{_KINDS[kind][0]} {short(errors[kind])}" for kind in known]
    exact = errors.get("double")
    warm = 0 if exact is None else heat(exact, values)
    return Heat(short(exact), ", ".join(others), warm, run)


def _bounds(mine: Sequence[Owner], snapshots: Sequence[Snapshot]) -> Iterator[Bound]:
    """The bound on what is exact in float64: of all if it is one, else each run's own."""
    found = []
    for owner in mine:
        bound = snapshots[owner.index].params.get(_BOUND)
        if isinstance(bound, int | float) and not isinstance(bound, bool) and 0 < bound <= 1:
            found.append((owner, float(bound)))
    told = "gate: an exact law's error in float64 at most"
    if len(found) == len(mine) and len({bound for _, bound in found}) == 1:
        yield Bound(found[0][1], f"{told} {short(found[0][1])}")
        return
    for owner, bound in found:
        yield Bound(bound, f"{owner.name}: {told} {short(bound)}", owner.index)
