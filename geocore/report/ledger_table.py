"""The run ledger as a table: a row a run, a column for each thing that some run knows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocore.errors import UserError
from geocore.report.results import Results
from geocore.runs.digest import digest_bytes
from geocore.runs.home import ledger_folder, store_folder
from geocore.runs.ledger import Ledger

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = ["ledger_frame", "ledger_table"]

# Column -> where an entry has it; they come first, in this order, whether a run knows them or not.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "run": ("run",),
    "stage": ("stage",),
    "study": ("study",),
    "state": ("state",),
    "started": ("started",),
    "ended": ("ended",),
    "wall_seconds": ("wall_seconds",),
    "cpu_seconds": ("cpu_seconds",),
    "peak_rss_mib": ("peak_rss_mib",),
    "device": ("device",),
    "threads": ("threads",),
    "host": ("environment", "host"),
    "python": ("environment", "python"),
    "torch": ("environment", "libraries", "torch"),
    "commit": ("code", "commit"),
    "dirty": ("code", "dirty"),
    "key": ("key",),
    "error": ("error",),
}
_COUNTS = ("pieces_made", "pieces_found")
_TIMES = ("started", "ended")
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("wall_seconds", "cpu_seconds", "peak_rss_mib"), (float, int)),
    "threads": (int,),
    "dirty": (bool,),
}
# What an entry says besides, that is no column: too large, or the machinery's own.
_LEFT_OUT = {
    "code", "environment", "inputs", "outs", "params", "pieces", "snapshot", "manifest", "pid",
    "pid_ticks", *_COLUMNS,
}  # fmt: skip
_INTEGERS = range(-(2**63), 2**63)


def ledger_frame(root: Path, stage: str | None = None, last: int | None = None) -> pandas.DataFrame:
    """The runs of the project at ``root`` as a pandas frame, the newest first.

    One row for each run: what ran (``run``, ``stage``, ``study``, ``state``, ``started`` and
    ``ended`` in UTC), what it cost (``wall_seconds``, ``cpu_seconds``, ``peak_rss_mib``,
    ``pieces_made``, ``pieces_found``), where and by which code (``host``, ``device``, ``threads``,
    ``commit``, ``dirty``), every parameter as ``params.train.lr`` and every number that it
    measured, while its piece is in the store, as ``metrics.evaluate.test.accuracy``. A run without
    the one or the other has none there; a list is JSON. Raises ``UserError`` without pandas.
    """
    try:
        import pandas  # noqa: F401  # what pyarrow hands the table to
    except ImportError:
        raise UserError(
            "pandas is not installed, and a frame needs it: pip install 'geocore[data]'"
        ) from None
    return ledger_table(root, stage, last).to_pandas()


def ledger_table(root: Path, stage: str | None = None, last: int | None = None) -> pyarrow.Table:
    """As ``ledger_frame``, as a table of Arrow: what DuckDB and a Parquet file take."""
    import pyarrow as pa

    entries = Ledger(ledger_folder(root), root).runs(stage, last)
    rows = [dict(_row(entry, store_folder(root))) for entry in entries]
    names = list(dict.fromkeys([*_COLUMNS, *_COUNTS, *sorted({n for row in rows for n in row})]))
    columns = {_text(name): _column(name, [row.get(name) for row in rows]) for name in names}
    return pa.table(columns)


def _row(entry: Mapping[str, Any], store: Path) -> Iterator[tuple[str, Any]]:
    for name, place in _COLUMNS.items():
        value = _at(entry, place)
        if isinstance(value, _KINDS.get(name, (str,))):  # else it is not what the column is of
            yield name, _time(str(value)) if name in _TIMES else value
    pieces = Counter(str(how) for how in _mapping(entry.get("pieces")).values())
    yield from ((name, pieces[name.removeprefix("pieces_")]) for name in _COUNTS)
    for name, value in entry.items():
        if name not in _LEFT_OUT and not isinstance(value, Mapping):
            yield name, value
    snapshot = _mapping(entry.get("snapshot"))  # of a run of the whole pipeline
    params = {**_mapping(snapshot.get("params")), **_mapping(entry.get("params"))}
    metrics = {**_mapping(snapshot.get("metrics")), **_measured(entry, store)}
    yield from ((f"params.{leaf}", value) for leaf, value in params.items())
    yield from ((f"metrics.{name}", value) for name, value in metrics.items())


def _measured(entry: Mapping[str, Any], store: Path) -> Mapping[str, float | None]:
    """The numbers of the run's ``metrics.json``; none where its piece has gone or is damaged.

    Only that file is read, and held against the digest that the run noted: what else a piece
    holds may be large.
    """
    key, stage = entry.get("key"), entry["stage"]
    wanted = [
        digest
        for path, digest in _mapping(entry.get("outs")).items()
        if str(path).endswith(f"results/{stage}/metrics.json")
    ]
    if not wanted or not isinstance(key, str) or not key.isalnum():
        return {}
    results = Results(str(entry["run"]))
    try:
        content = (store / "pieces" / key[:2] / key / "metrics.json").read_bytes()
        if digest_bytes(content) in wanted:
            results.add(f"results/{stage}/metrics.json", content)
    except (OSError, UserError):
        return {}
    return results.metrics


def _column(name: str, values: list[Any]) -> pyarrow.Array:
    """The values in the narrowest type that holds all of them; text where they are of many kinds.

    A number is an integer only where each is: a parameter of 1 and 0.5 is one of real numbers.
    """
    import pyarrow as pa

    if name in _TIMES:
        return pa.array(values, pa.timestamp("us"))
    kinds = {_kind(value) for value in values if value is not None}
    if not kinds:
        return pa.array(values, _empty(name))
    for within, chosen in (
        ({"truth"}, pa.bool_()),
        ({"integer"}, pa.int64()),
        ({"integer", "number"}, pa.float64()),
    ):
        if kinds <= within:
            return pa.array(values, chosen)
    return pa.array([_text(value) for value in values], pa.string())


def _empty(name: str) -> pyarrow.DataType:
    """Of a column in which no run has a value."""
    import pyarrow as pa

    if name in _COLUMNS:
        first = _KINDS.get(name, (str,))[0]
        return {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}.get(first, pa.string())
    return pa.int64() if name in _COUNTS else pa.float64()


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int):
        return "integer" if value in _INTEGERS else "text"
    return "number" if isinstance(value, float) else "text"


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.encode("utf-8", "backslashreplace").decode()  # Arrow holds no lone surrogate


def _time(text: str) -> datetime | None:
    """In UTC, without saying so: DuckDB and pandas compare such ones with plain dates."""
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo is None else time.astimezone(UTC)).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def _at(entry: Mapping[str, Any], place: Iterable[str]) -> Any:
    value: Any = entry
    for key in place:
        value = _mapping(value).get(key)
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
