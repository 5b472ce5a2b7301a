"""Members' predictions in a Parquet file, read into mixtures a slice of samples at a time.

The table has one row a sample and member: ``sample`` (integer), ``split`` (text), ``label``
(integer), ``member`` (integer) and ``log_probabilities`` (a list of floats, one a class). Rows may
be member by member, sample by sample, or slices of either, as long as every member has the same
samples in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor

from geocore.measure.mixture_batch import MixtureBatch, RunningMixture

__all__ = ["COLUMNS", "mixture_slices"]

COLUMNS = ("sample", "split", "label", "member", "log_probabilities")
_NUMBERS = 2**21  # samples times classes that are held at a time by default: some 32 MB
_ROWS = 2**15  # rows decoded at a time
_BUFFER = 2**20  # bytes of a column read at a time: a row group may be the whole file

Integers = npt.NDArray[np.int64]


def mixture_slices(
    path: Path, split: str | None = None, samples: int | None = None
) -> Iterator[tuple[Tensor, MixtureBatch]]:
    """``(sample numbers (k,) int64, mixture of all members)`` of at most ``samples`` samples each.

    Memory holds one slice and a batch of rows, whatever the numbers of samples, members and rows;
    the file is read once a slice. By default a slice has two million probabilities. ``split``
    chooses rows, all by default.

    Raises ``ValueError`` in one line for a file that is no Parquet table of members' predictions:
    a missing column, one of another type or with missing values, rows that are no distribution or
    have other numbers of classes, labels that are no classes, members with other samples than each
    other, and a split that there is not.
    """
    if samples is not None and samples < 1:
        raise ValueError(f"samples is {samples}; expected at least 1")
    with _opened(path) as file:
        _check_schema(path, file.schema_arrow)
        classes = _classes(path, file)
        size = min(samples or max(1, _NUMBERS // classes), file.metadata.num_rows)
        start = 0
        while True:
            part = _Slice(path, start, size, classes)
            splits: set[str] = set()
            for rows in _batches(path, file, _ROWS, COLUMNS):
                if split is not None:
                    names = rows.column("split").cast(pa.string())
                    splits.update(names.unique().to_pylist())
                    rows = rows.filter(pc.equal(names, split))
                part.add(rows)
            if split is not None and split not in splits:
                raise ValueError(
                    f"{path} has no split {split!r}; expected one of {', '.join(sorted(splits))}"
                )
            length = part.check()
            yield part.result()
            start += size
            if start >= length:
                return


class _Slice:
    """The samples ``start`` to ``start + size - 1`` of every member, counted along its rows."""

    def __init__(self, path: Path, start: int, size: int, classes: int) -> None:
        self.path, self.start, self.size, self.classes = path, start, size, classes
        self._seen: dict[int, int] = {}  # rows of each member so far
        self._samples, self._known = np.zeros(size, np.int64), np.zeros(size, bool)
        self._mixture = RunningMixture(size, classes)

    def add(self, rows: pa.RecordBatch) -> None:
        if rows.num_rows == 0:
            return
        sample, label, member = (_integers(rows, name) for name in ("sample", "label", "member"))
        values = self._distributions(rows.column("log_probabilities"))
        order = np.argsort(member, kind="stable")
        names, begins = np.unique(member[order], return_index=True)
        for name, own in zip(names.tolist(), np.split(order, begins[1:]), strict=True):
            seen = self._seen.get(name, 0)
            self._seen[name] = seen + len(own)
            low, high = max(seen, self.start), min(seen + len(own), self.start + self.size)
            if low < high:
                own = own[low - seen : high - seen]
                self._place(name, sample[own], label[own], values[own], low - self.start)

    def check(self) -> int:
        """How many samples every member has."""
        first, length = next(iter(self._seen.items()))
        for name, count in self._seen.items():
            if count != length:
                raise ValueError(
                    f"{self.path} has {count} samples of member {name}; "
                    f"expected {length}, as of member {first}"
                )
        return length

    def result(self) -> tuple[Tensor, MixtureBatch]:
        kept = int(self._known.sum())
        return torch.from_numpy(self._samples[:kept].copy()), self._mixture.batch(kept)

    def _place(
        self, member: int, sample: Integers, label: Integers, values: Tensor, at: int
    ) -> None:
        part = slice(at, at + len(sample))
        wrong = self._known[part] & (self._samples[part] != sample)
        if wrong.any():
            place = int(wrong.argmax())
            raise ValueError(
                f"{self.path} has sample {sample[place]} of member {member} where other members "
                f"have {self._samples[at + place]}; expected the same order"
            )
        self._samples[part], self._known[part] = sample, True
        try:
            self._mixture.add(values, torch.from_numpy(label), at)
        except ValueError as error:
            raise ValueError(f"{self.path}, member {member}: {error}") from error

    def _distributions(self, column: pa.Array) -> Tensor:
        for length in pc.unique(pc.list_value_length(column)).to_pylist():
            if length != self.classes:
                raise ValueError(
                    f"{self.path} has a row of {length} log_probabilities; "
                    f"expected {self.classes}, as in the first"
                )
        flat = column.flatten().to_numpy(zero_copy_only=False)  # a missing number becomes NaN
        return torch.from_numpy(np.array(flat, dtype=np.float64).reshape(-1, self.classes))


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is no Parquet file; expected members' predictions") from error


def _batches(
    path: Path, file: pq.ParquetFile, size: int, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Rows of the file in order; ``ValueError`` if they cannot be read or miss a value."""
    try:
        for rows in file.iter_batches(size, columns=list(columns)):
            for name in columns:
                if rows.column(name).null_count:
                    raise ValueError(f"{path} has a missing {name}; expected one a row")
            yield rows
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} cannot be read to its end; expected a whole file") from error


def _check_schema(path: Path, schema: pa.Schema) -> None:
    for name in COLUMNS:
        if name not in schema.names:
            raise ValueError(f"{path} has no column {name}; expected {', '.join(COLUMNS)}")
        found = schema.field(name).type
        if name == "split":
            plain = found.value_type if pa.types.is_dictionary(found) else found
            right, expected = _is_text(plain), "text"
        elif name == "log_probabilities":
            right, expected = _is_list(found), "lists of floats"
        else:
            right, expected = pa.types.is_integer(found), "integers"
        if not right:
            raise ValueError(f"{path} has {name} of type {found}; expected {expected}")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: pa.DataType) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests) and bool(pa.types.is_floating(kind.value_type))


def _classes(path: Path, file: pq.ParquetFile) -> int:
    """The length of the first row's list."""
    first = next(_batches(path, file, 1, COLUMNS[-1:]), None)
    if first is None:
        raise ValueError(f"{path} has no rows; expected one a sample and member")
    row = first.column(0)[0].as_py()
    if not row:
        raise ValueError(f"{path} has no log_probabilities in its first row; expected one a class")
    return len(row)


def _integers(rows: pa.RecordBatch, name: str) -> Integers:
    return np.array(rows.column(name).to_numpy(zero_copy_only=False), dtype=np.int64)
