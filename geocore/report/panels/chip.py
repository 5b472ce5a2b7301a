"""The panel of chips: what accuracy costs on a chip, each kind of evidence for itself."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geocore.edge.ledger import EVIDENCE, RESOURCES, Row, read
from geocore.edge.pareto import points
from geocore.errors import UserError
from geocore.report.panels.fragment import Owner, fragment, owners
from geocore.report.panels.plot import SHAPES, Plot, Point, field_plot
from geocore.report.snapshot import Snapshot
from geocore.report.words import figure

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["chip_panel"]

TABLE = "synthesize/ledger.csv"
_COSTS = {"lut": "LUT", "dsp": "DSP"}  # that are drawn
_AXES = {"lut": "look-up tables (LUT)", "dsp": "multipliers (DSP blocks)"}
_MARKS = dict(zip(EVIDENCE, SHAPES, strict=True))
_ABOUT = {
    "estimate": "computed before any synthesis",
    "post-synthesis": "counted before placement",
    "routed": "counted behind place and route",
    "vendor": "counted by the chip's maker",
}

Ledger = tuple[Owner, Sequence[Row]]


@dataclass(frozen=True)
class _Line:
    """A row of the table; ``best`` says that no row of its run and kind beats it in LUTs."""

    owner: Owner
    row: Row
    shape: str
    best: bool
    score: str
    before: str
    uses: tuple[tuple[str, str], ...]
    time: str
    clock: str
    by: str


def chip_panel(snapshots: Sequence[Snapshot]) -> Markup:
    """Accuracy against LUTs and DSPs of all ledgers, a mark a kind of evidence, and a table.

    Of each run and kind (evidence, family, metric) the rows that none of its kind beats are
    joined. Families and metrics have charts of their own: their figures are not of one thing.
    ``''`` where no run has a ledger. One that cannot be read is told in a line.
    """
    ledgers: list[Ledger] = []
    faults: list[tuple[Owner, str]] = []
    for owner, snapshot in zip(owners(snapshots), snapshots, strict=True):
        if TABLE not in snapshot.tables:
            continue
        try:
            ledgers.append((owner, _rows(snapshot.tables[TABLE])))
        except UserError as error:
            faults += [(owner, line) for line in error.lines]
    every = [row for _, rows in ledgers for row in rows]
    kinds = list(dict.fromkeys((row.family, row.metric) for row in every))
    plots, unused = [], []
    for family, metric in kinds:
        for cost in _COSTS:
            plot = _plot(ledgers, cost, family, metric)
            if isinstance(plot, Plot):
                plots.append(plot)
            elif plot:
                unused.append(plot)
    shown = [kind for kind in EVIDENCE if any(row.evidence == kind for row in every)]
    return fragment(
        "chip",
        owners=[owner for owner, _ in ledgers],
        faults=faults,
        plots=plots,
        unused=list(dict.fromkeys(unused)),
        kinds=[(kind, _MARKS[kind], _ABOUT[kind]) for kind in shown],
        metrics=" or ".join(dict.fromkeys(row.metric for row in every)),
        lines=[line for owner, rows in ledgers for line in _lines(owner, rows)],
        resources=[name.upper() for name in RESOURCES],
    )


def _rows(content: bytes) -> list[Row]:
    """The ledger's rows; ``UserError`` in one line, under the table's own name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.csv"
        path.write_bytes(content)
        try:
            return read(path)
        except UserError as error:
            raise UserError(*(line.replace(str(path), TABLE) for line in error.lines)) from None
        except (ValueError, KeyError, TypeError, OSError):
            raise UserError(f"{TABLE}: cannot be read; expected a ledger of syntheses") from None


def _plot(ledgers: Sequence[Ledger], cost: str, family: str, metric: str) -> Plot | str:
    """The chart, or why there is none in a line, or nothing to say."""
    name = _COSTS[cost]
    placed = [
        (owner, point)
        for owner, rows in ledgers
        for point in points(
            [row for row in rows if (row.family, row.metric) == (family, metric)], cost
        )
    ]
    if not placed:
        return ""
    if all(point.cost == 0 for _, point in placed):
        return f"No variant on {family} uses a {name}."
    spots = []
    for owner, point in placed:
        row = point.row
        off = None if cost != "lut" or row.lut_error is None else row.lut_error * point.cost
        about = "" if off is None else f" ± {figure(round(off))}"
        spots.append(
            Point(
                owner.index, point.cost,
                f"{owner.name}: {row.network} {row.variant}, {_bits(row)}, "
                f"{figure(point.cost)}{about} {name}, {metric} {figure(point.accuracy)} "
                f"({row.evidence})",
                y=point.accuracy, shape=_MARKS[row.evidence],
                low=None if off is None else max(point.cost - off, 0.0),
                high=None if off is None else point.cost + off,
                joined=f"{owner.name}: no {row.evidence} beats these" if point.best else "",
                label=f"{row.weight_bits}/{row.activation_bits}" if point.best else "",
            )
        )  # fmt: skip
    plot = field_plot(
        f"{metric.capitalize() if metric.islower() else metric} against {name}, {family}",
        f"{metric} by {name} on {family}: a colour a run, a mark a kind of evidence, lines join "
        "what nothing of its run and kind beats; the table has the numbers",
        spots, _AXES[cost], metric, stairs=True, log_y=False,
    )  # fmt: skip
    return plot or ""


def _lines(owner: Owner, rows: Sequence[Row]) -> list[_Line]:
    best = {id(point.row) for point in points(rows, "lut") if point.best}
    return [_line(owner, row, best=id(row) in best) for row in rows]


def _line(owner: Owner, row: Row, *, best: bool) -> _Line:
    uses = []
    for resource in RESOURCES:
        used, share = getattr(row, resource), row.share(resource)
        text = "–" if used is None else figure(used)
        if resource == "lut" and row.lut_error is not None:
            text += f" ± {100 * row.lut_error:.2g}%"
        uses.append((text, "" if share is None or not used else f"{100 * share:.3g}%"))
    score = "–" if row.accuracy is None else figure(row.accuracy)
    before = "" if row.float_accuracy is None else f"float {figure(row.float_accuracy)}"
    time, clock = "–", ""
    if row.microseconds is not None:
        time, clock = f"{figure(row.microseconds)} µs", f"{row.clock_ns:g} ns, {row.clock_kind}"
    elif row.latency is not None:
        time = f"{figure(row.latency)} cycles"
    by = " ".join(filter(None, (row.tool, row.version))) or "no tool"
    return _Line(
        owner, row, _MARKS[row.evidence], best, score, before, tuple(uses), time, clock, by
    )


def _bits(row: Row) -> str:
    """In words: ``6-bit weights, 6-bit activations``, ``ternary weights``."""
    weights, activations = (
        f"{bits}-bit" if bits[:1].isdigit() else bits
        for bits in (row.weight_bits, row.activation_bits)
    )
    return f"{weights} weights, {activations} activations"
