"""The ledger of syntheses: one row each, and never a figure without who says so.

``evidence`` is the kind of a row: an ``estimate`` was computed before any Verilog was, the others
were counted by a tool: ``post-synthesis`` before placement, ``routed`` behind place and route by an
open tool, ``vendor`` by the chip's maker. Rows of different kinds stand beside each other and are
never averaged.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from geocore.edge.device import PARTS
from geocore.edge.synthesis import Resources
from geocore.errors import UserError
from geocore.runs.atomic import replacing

__all__ = ["DEVICES", "EVIDENCE", "RESOURCES", "Row", "append", "mean", "merge", "read", "write"]

EVIDENCE = ("estimate", "post-synthesis", "routed", "vendor")
CLOCKS = ("assumed", "routed")
METRICS = ("accuracy", "mIoU")
RESOURCES = ("lut", "ff", "dsp", "bram")
# By family, whose figures are not of one thing: tables of four inputs in ECP5, of six in the other;
# an 18 Kbit block of ECP5 is half a block (Lattice FPGA-DS-02012).
DEVICES: Mapping[str, Mapping[str, Resources]] = {
    "UltraScale+": PARTS,
    "ECP5": {"lfe5u-85f": Resources(83_640, 41_820, 83_640, 156, 104.0)},
}
_WORDS: Mapping[str, Sequence[str]] = {
    "evidence": EVIDENCE, "clock_kind": CLOCKS, "metric": METRICS, "family": tuple(DEVICES),
}  # fmt: skip
_SHARES = ("accuracy", "float_accuracy", "sparsity")
_NUMBERS = (*RESOURCES, "latency", "interval", "clock_ns", "lut_error", "equivariance_error")
# What says of which synthesis a row speaks; the rest is what was found.
_IDENTITY = (
    "network", "variant", "evidence", "family", "device", "tool", "version", "clock_kind",
    "clock_ns",
)  # fmt: skip
_ONE_KIND = ("evidence", "family", "clock_kind", "metric")  # alike wherever rows are averaged


@dataclass(frozen=True)
class Row:
    """What is known of one synthesis; None stands for what is not.

    ``weight_bits`` and ``activation_bits`` are words: ``"6"``, ``"binary"``, ``"4 to 8"``.
    ``sparsity`` is the part of the weights that are 0, ``accuracy`` what ``metric`` says of the
    quantised network, ``float_accuracy`` of the one it came from, ``equivariance_error`` that
    source's own. ``lut``, ``ff``, ``dsp`` and ``bram`` (36 Kbit, in halves) are primitives of
    ``family``; ``latency`` and ``interval`` are cycles. A clock is ``assumed``, or ``routed``
    where a tool placed and routed and told it. ``lut_error`` is an estimate's relative standard
    error.

    Raises ``ValueError`` for what cannot be so: a part outside [0, 1], a negative number; an
    estimate that names a tool's version or tells no error, a count without tool and version; a
    ``routed`` or ``vendor`` row without its device, a device of another family; a routed clock
    where nothing was routed.
    """

    network: str
    variant: str
    weight_bits: str
    activation_bits: str
    evidence: str
    family: str
    lut: float
    ff: float | None = None
    dsp: float | None = None
    bram: float | None = None
    latency: float | None = None
    interval: float | None = None
    clock_ns: float | None = None
    clock_kind: str = "assumed"
    sparsity: float | None = None
    metric: str = "accuracy"
    accuracy: float | None = None
    float_accuracy: float | None = None
    equivariance_error: float | None = None
    lut_error: float | None = None
    tool: str = ""
    version: str = ""
    device: str = ""

    def __post_init__(self) -> None:
        for name in ("network", "variant", "weight_bits", "activation_bits"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value or value != value.strip():
                raise ValueError(f"{name} is {value!r}; expected words")
        for name, known in _WORDS.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; expected one of {', '.join(known)}"
                )
        for name in (*_NUMBERS, *_SHARES):
            value = getattr(self, name)
            if value is None and name != "lut":
                continue
            high = 1.0 if name in _SHARES else math.inf
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not (math.isfinite(value) and 0 <= value <= high):
                least = "a number from 0" + (" to 1" if name in _SHARES else "")
                raise ValueError(f"{name} of {self._called} is {value!r}; expected {least}")
        self._check_provenance()

    @property
    def microseconds(self) -> float | None:
        """The latency at the row's clock."""
        if self.latency is None or self.clock_ns is None:
            return None
        return self.latency * self.clock_ns / 1000

    def share(self, resource: str) -> float | None:
        """The part of the device that a resource takes, 1 for all of it; None without a device.

        Raises ``ValueError`` for what is no resource.
        """
        if resource not in RESOURCES:
            raise ValueError(f"resource is {resource!r}; expected one of {', '.join(RESOURCES)}")
        used = getattr(self, resource)
        if not self.device or used is None:
            return None
        return float(used / getattr(DEVICES[self.family][self.device], resource))

    @property
    def _called(self) -> str:
        return f"{self.network} {self.variant} ({self.evidence})"

    def _check_provenance(self) -> None:
        called = self._called
        if self.evidence == "estimate":
            if self.version:
                raise ValueError(
                    f"version of {called} is {self.version!r}; expected none: no tool has run"
                )
            if self.lut_error is None:
                raise ValueError(f"lut_error of {called} is None; expected an estimate's own error")
        else:
            if not self.tool or not self.version:
                found = f"{self.tool!r} {self.version!r}"
                raise ValueError(f"tool of {called} is {found}; expected its name and version")
            if self.lut_error is not None:
                raise ValueError(
                    f"lut_error of {called} is {self.lut_error}; expected None: it was counted"
                )
        if self.evidence in ("routed", "vendor") and not self.device:
            raise ValueError(f"device of {called} is not named; expected what it was routed for")
        known = DEVICES[self.family]
        if self.device and self.device not in known:
            raise ValueError(
                f"device of {called} is {self.device!r}; expected one of {', '.join(known)}, of "
                f"{self.family}"
            )
        if self.clock_kind == "routed" and (
            self.evidence not in ("routed", "vendor") or self.clock_ns is None
        ):
            raise ValueError(
                f"clock_kind of {called} is routed; expected assumed: nothing was routed, or told"
            )


def merge(*ledgers: Iterable[Row]) -> list[Row]:
    """All rows, each once, in an order that does not depend on theirs.

    Raises ``UserError`` where two rows speak of one synthesis (network, variant, evidence, device,
    tool, version, clock) and differ.
    """
    found: dict[tuple[Any, ...], Row] = {}
    for row in (row for ledger in ledgers for row in ledger):
        if (known := found.setdefault(_identity(row), row)) != row:
            name = next(f for f in _names() if getattr(known, f) != getattr(row, f))
            raise UserError(
                f"{row._called} by {row.tool or 'no tool'} has two rows: {name} is "
                f"{getattr(known, name)} and {getattr(row, name)}; expected a variant's name each"
            )
    return sorted(found.values(), key=_order)


def append(path: Path, rows: Iterable[Row]) -> list[Row]:
    """Add rows to the ledger in ``path``, which may not be there yet; give what it then holds.

    Raises as ``merge`` and ``read``; the file then stays what it was.
    """
    held = merge(read(path) if path.exists() else [], rows)
    write(path, held)
    return held


def write(path: Path, rows: Iterable[Row]) -> None:
    """The rows, merged, as ``.parquet`` or ``.csv``, beside each the percent of its device.

    Equal rows give equal files. Raises ``UserError`` for another suffix, and as ``merge``.
    """
    import pyarrow.csv
    import pyarrow.parquet

    _require_suffix(path)
    table = _table(merge(rows))
    with replacing(path) as temporary:
        if path.suffix == ".parquet":
            pyarrow.parquet.write_table(table, temporary)
        else:
            pyarrow.csv.write_csv(table, temporary)


def read(path: Path) -> list[Row]:
    """The rows of ``path``, each checked as if it were new, in order.

    Raises ``UserError`` for a file that is not there, columns that are not a ledger's, a row that
    cannot be so, and a percent of the device that does not follow from its row.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    _require_suffix(path)
    if not path.is_file():
        raise UserError(f"{path}: is not there; expected a ledger")
    wanted = _schema()
    try:
        if path.suffix == ".parquet":
            table = pyarrow.parquet.read_table(path)
        else:
            options = pyarrow.csv.ConvertOptions(
                column_types=wanted, strings_can_be_null=False, quoted_strings_can_be_null=False
            )
            table = pyarrow.csv.read_csv(path, convert_options=options)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: {str(error).splitlines()[0]}; expected a ledger") from None
    if not table.schema.equals(wanted):
        strange = set(table.schema.names) ^ set(wanted.names)
        told = ", ".join(sorted(strange)) or "their types or order"
        raise UserError(f"{path}: its columns differ in {told}; expected a ledger's columns")
    rows = []
    for number, line in enumerate(table.to_pylist(), 1):
        try:
            row = Row(**{name: line[name] for name in _names()})
        except ValueError as error:
            raise UserError(f"{path}: row {number}: {error}") from None
        for name, share in _percents(row).items():
            if line[name] != share:
                raise UserError(
                    f"{path}: row {number}: {name} is {line[name]}; expected {share}, which "
                    "follows from the row"
                )
        rows.append(row)
    return merge(rows)


def mean(rows: Sequence[Row], column: str) -> float:
    """The mean of a column of numbers over rows of one kind.

    Raises ``ValueError`` for rows of different evidence, family, kind of clock or metric, whose
    mean nobody could say what it is of; for a column without numbers, and for an empty one.
    """
    if column not in (*_NUMBERS, *_SHARES):
        raise ValueError(f"column is {column!r}; expected one of numbers")
    for name in _ONE_KIND:
        found = sorted({getattr(row, name) for row in rows})
        if len(found) > 1:
            raise ValueError(f"rows have {name} {' and '.join(found)}; expected rows of one kind")
    values = [getattr(row, column) for row in rows]
    if not values or None in values:
        raise ValueError(f"{column} is empty in rows; expected a number in each, and one at least")
    return math.fsum(values) / len(values)


def _names() -> list[str]:
    return [field.name for field in dataclasses.fields(Row)]


def _identity(row: Row) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in _IDENTITY)


def _order(row: Row) -> tuple[Any, ...]:
    """By name, then from the weakest evidence to the strongest."""
    clock = -1.0 if row.clock_ns is None else row.clock_ns
    words = (row.family, row.device, row.tool, row.version, row.clock_kind)
    return (row.network, row.variant, EVIDENCE.index(row.evidence), *words, clock)


def _percents(row: Row) -> dict[str, float | None]:
    """Percent of the device by column, to a thousandth."""
    shares = {name: row.share(name) for name in RESOURCES}
    return {
        f"{name}_percent": None if share is None else round(100 * share, 3)
        for name, share in shares.items()
    }


def _schema() -> Any:
    import pyarrow as pa

    fields = []
    for name, hint in get_type_hints(Row).items():
        inner = get_args(hint)[0] if isinstance(hint, UnionType) else hint
        fields.append((name, pa.string() if inner is str else pa.float64()))
    fields += [(f"{name}_percent", pa.float64()) for name in RESOURCES]
    return pa.schema(fields)


def _table(rows: Sequence[Row]) -> Any:
    import pyarrow as pa

    lines = [dataclasses.asdict(row) | _percents(row) for row in rows]
    return pa.Table.from_pylist(lines, schema=_schema())


def _require_suffix(path: Path) -> None:
    if path.suffix not in (".parquet", ".csv"):
        raise UserError(f"{path}: ends in {path.suffix!r}; expected .parquet or .csv")
