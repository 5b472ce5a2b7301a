"""What a snapshot knows of its network's equivariance errors: by layer, group, element, nside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from geocore.errors import UserError
from geocore.report.snapshot import Snapshot

__all__ = ["Element", "Errors", "Kind", "Stat", "errors_of"]

TABLE = "evaluate/equivariance.parquet"
_METRICS = "evaluate.equivariance."
_DTYPE = "float32"  # of all that `evaluate` measures, unless its table says another
_ROWS = 5_000_000  # of a table that is taken in
_FIRST, _LAST = "input", "logits"  # where metrics, which have no order, name them

Kind = tuple[str, str]  # the group, the dtype


@dataclass(frozen=True)
class Stat:
    """The mean and the largest error; ``floor`` is the interpolation's own share, if there is."""

    mean: float
    largest: float
    floor: float | None = None


@dataclass(frozen=True)
class Element:
    """One group element: its number, its angle in degrees about the vertical, errors by layer."""

    number: int
    angle: float | None
    means: Mapping[str, float]


@dataclass(frozen=True)
class Errors:
    """Errors of one snapshot. ``layers`` are in the network's order if that is known (``ordered``).

    ``nsides`` has those of the answer by resolution of the input. ``faults`` are lines about what
    could not be read.
    """

    layers: tuple[str, ...] = ()
    stats: Mapping[Kind, Mapping[str, Stat]] = field(default_factory=dict)
    elements: Mapping[Kind, tuple[Element, ...]] = field(default_factory=dict)
    nsides: Mapping[Kind, Mapping[int, Stat]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    ordered: bool = True

    @property
    def answer(self) -> str:
        """The layer that a network is judged by: its logits, else the last."""
        return _answer(self.layers)


def errors_of(snapshot: Snapshot) -> Errors:
    """From the table that ``evaluate`` wrote, else from its metrics; empty where there are none.

    A table that cannot be read is a line among ``faults``, and the metrics stand in for it.
    """
    faults: tuple[str, ...] = ()
    if TABLE in snapshot.tables:
        try:
            return _of_table(snapshot.tables[TABLE], _nside(snapshot))
        except UserError as error:
            faults = error.lines
    found = _of_metrics(snapshot.metrics, _nside(snapshot))
    return replace(found, faults=faults)


def _of_metrics(metrics: Mapping[str, float | None], nside: int | None) -> Errors:
    """``evaluate.equivariance.GROUP.LAYER.mean`` and its like: a layer's name may hold dots."""
    values: dict[Kind, dict[str, dict[str, float]]] = {}
    for name, value in metrics.items():
        parts = name.removeprefix(_METRICS).split(".")
        if (
            not name.startswith(_METRICS)
            or len(parts) < 3
            or value is None
            or not abs(value) < 1e300
        ):
            continue
        group, *layer, what = parts
        kind = values.setdefault((group, _DTYPE), {})
        kind.setdefault(".".join(layer), {})[what] = float(value)
    stats = {
        kind: {
            layer: Stat(told["mean"], told.get("max", told["mean"]), told.get("floor"))
            for layer, told in layers.items()
            if "mean" in told
        }
        for kind, layers in values.items()
    }
    names = {layer for layers in stats.values() for layer in layers}
    layers = tuple(sorted(names, key=lambda name: (name != _FIRST, name == _LAST, name)))
    return Errors(layers, stats, {}, _by_nside(stats, layers, nside), ordered=False)


def _of_table(content: bytes, nside: int | None) -> Errors:
    import pyarrow as pa

    table = _read(content)
    by_layer = _means(table, ["group", "dtype", "layer"])
    stats: dict[Kind, dict[str, Stat]] = {}
    for row in by_layer:
        stats.setdefault((row["group"], row["dtype"]), {})[row["layer"]] = _stat(row)
    layers = tuple(dict.fromkeys(row["layer"] for row in by_layer))
    elements: dict[Kind, dict[int, tuple[float | None, dict[str, float]]]] = {}
    if "element" in table.column_names:
        for row in _means(table, ["group", "dtype", "element", "layer"]):
            mine = elements.setdefault((row["group"], row["dtype"]), {})
            _, means = mine.setdefault(row["element"], (row.get("angle_min"), {}))
            means[row["layer"]] = row["error_mean"]
    nsides: dict[Kind, dict[int, Stat]] = {}
    if "nside" in table.column_names:
        here = table.filter(pa.compute.equal(table["layer"], _answer(layers)))
        for row in _means(here, ["group", "dtype", "nside"]):
            nsides.setdefault((row["group"], row["dtype"]), {})[row["nside"]] = _stat(row)
    return Errors(
        layers=layers,
        stats=stats,
        elements={
            kind: tuple(Element(number, angle, means) for number, (angle, means) in mine.items())
            for kind, mine in elements.items()
        },
        nsides=nsides or _by_nside(stats, layers, nside),
    )


def _read(content: bytes) -> Any:
    """The table with the columns that are used, each of its type; ``UserError`` in one line."""
    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.parquet

    wanted = {"layer": pa.string(), "group": pa.string(), "error": pa.float64()}
    more = {
        "floor": pa.float64(), "angle": pa.float64(), "element": pa.int64(), "nside": pa.int64(),
        "dtype": pa.string(),
    }  # fmt: skip
    try:
        file = pyarrow.parquet.ParquetFile(pa.BufferReader(content))
        if file.metadata.num_rows > _ROWS:
            raise UserError(f"{TABLE}: has {file.metadata.num_rows} rows; expected at most {_ROWS}")
        there = set(file.schema_arrow.names)
        if missing := [name for name in wanted if name not in there]:
            raise UserError(f"{TABLE}: has no column {', '.join(missing)}; expected what evaluate")
        chosen = {name: kind for name, kind in {**wanted, **more}.items() if name in there}
        table = file.read(columns=list(chosen), use_threads=False)
        table.validate(full=True)
        columns = {name: table[name].cast(kind) for name, kind in chosen.items()}
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{TABLE}: {told[:120]}; expected the table that evaluate writes") from None
    columns.setdefault("dtype", pa.repeat(_DTYPE, table.num_rows))
    for name in ("error", "floor", "angle"):
        if name in columns:  # NaN is how numpy says that there is none
            column = columns[name]
            hole = pyarrow.compute.is_nan(column)
            columns[name] = pyarrow.compute.if_else(hole, pa.scalar(None, pa.float64()), column)
    return pa.table(columns)


def _means(table: Any, keys: list[str]) -> list[dict[str, Any]]:
    """A row for each combination of ``keys`` with an error, in the order of the table."""
    asked = [("error", "mean"), ("error", "max")]
    asked += [("floor", "mean")] if "floor" in table.column_names else []
    asked += [("angle", "min")] if "angle" in table.column_names else []
    grouped = table.group_by(keys, use_threads=False).aggregate(asked).to_pylist()
    there = ("error_mean", *keys)
    return [row for row in grouped if all(row[key] is not None for key in there)]


def _stat(row: Mapping[str, Any]) -> Stat:
    return Stat(row["error_mean"], row["error_max"], row.get("floor_mean"))


def _by_nside(
    stats: Mapping[Kind, Mapping[str, Stat]], layers: tuple[str, ...], nside: int | None
) -> dict[Kind, dict[int, Stat]]:
    """Those of the answer, at the one resolution that the run has."""
    if nside is None:
        return {}
    answer = _answer(layers)
    return {kind: {nside: mine[answer]} for kind, mine in stats.items() if answer in mine}


def _answer(layers: tuple[str, ...]) -> str:
    return _LAST if _LAST in layers else layers[-1] if layers else ""


def _nside(snapshot: Snapshot) -> int | None:
    """The resolution of the maps, if they lie on a HEALPix grid."""
    nside, grid = snapshot.params.get("resample.nside"), snapshot.params.get("resample.grid")
    if not isinstance(nside, int) or isinstance(nside, bool) or grid not in (None, "healpix"):
        return None
    return nside if 0 < nside <= 2**29 else None
