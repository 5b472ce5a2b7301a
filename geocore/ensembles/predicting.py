"""What members say of many samples, a batch at a time, and their predictions in a Parquet file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from geocore.ensembles.averaging import holding
from geocore.ensembles.engine import Data
from geocore.ensembles.ensemble_state import EnsembleState
from geocore.ensembles.noise import Noise
from geocore.ensembles.programs import Program
from geocore.runs.atomic import replacing
from geocore.train.randomness import deterministic

__all__ = ["Predicted", "predict_members", "write_members"]

_GROUP = 2**20  # probabilities of a row group: 8 MB
_SUMS = 1e-5  # how far float32 probabilities may be from a sum of one


class Predicted(NamedTuple):
    """Of some members at a batch: ``samples (n,)`` are ids, ``targets (n, ...)`` and ``outputs
    (members, n, ...)``.
    """

    members: range
    samples: Tensor
    targets: Tensor
    outputs: Tensor


def predict_members(
    source: EnsembleState | Program,
    data: Data,
    batch_size: int,
    *,
    weights: Sequence[Tensor] | None = None,
) -> Iterator[Predicted]:
    """One stochastic pass a member and sample, a batch of some members at a time.

    Members come in the order of their seeds, and of each all samples in theirs; those that compute
    together (``Program.blocks``) come together. A state predicts with each member's best weights, a
    program with those that the stack holds, and either with ``weights`` in the stack's layout, as
    of ``averaging.py``; until the iterator is done or closed, the stack holds them.

    A stochastic member's noise is that of the use "prediction": it follows from its seed, the batch
    and ``batch_size``, not from who else is there. Raises ``ValueError`` for a batch size below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; expected at least 1")
    running = source.program if isinstance(source, EnsembleState) else source
    if weights is None and isinstance(source, EnsembleState):
        weights = source.best_weights
    return _predicted(running, data, batch_size, weights)


def write_members(
    path: Path,
    splits: Mapping[str, Iterable[Predicted]],
    *,
    outputs: Literal["logits", "log_probabilities"] = "logits",
) -> int:
    """Write members' log-probabilities as ``geocore.measure.streaming`` reads them; rows written.

    A row a sample and member: ``sample``, ``split``, ``label``, ``member`` and
    ``log_probabilities``, a list of one float64 a class; split after split, in each as the
    predictions come. Of logits it is ``log_softmax`` in float64; log-probabilities are taken as
    they are. Row groups are written as they fill: memory grows neither with samples nor classes
    times members. The file appears once it is whole.

    Raises ``ValueError`` in one line, and leaves the old file, for outputs that are not ``(members,
    n, classes)`` with a sample and a label each, rows that are no distribution or have other
    numbers of classes, labels that are no classes, members of a split with other samples than each
    other, splits with other members, and for nothing to write.
    """
    if outputs not in ("logits", "log_probabilities"):
        raise ValueError(f"outputs is {outputs!r}; expected logits or log_probabilities")
    with replacing(path) as temporary, _Rows(temporary) as rows:
        members: Sequence[int] | None = None
        for split, predictions in splits.items():
            seen: dict[int, _Seen] = {}
            for predicted in predictions:
                values = _distributions(predicted, outputs, split)
                for place, member in enumerate(predicted.members):
                    seen.setdefault(member, _Seen()).add(predicted.samples, predicted.targets)
                    rows.add(split, member, predicted, values[place])
            _check_alike(split, seen)
            if members is not None and members != sorted(seen):
                raise ValueError(
                    f"split {split!r} has {len(seen)} members {_few(sorted(seen))}; expected "
                    f"{_few(members)}, as the first split"
                )
            members = sorted(seen)
        if not rows.written:
            raise ValueError("splits are none; expected at least one")
        return rows.written


class _Seen:
    """How many samples a member has, and which, with their labels."""

    def __init__(self) -> None:
        self.count = 0
        self._digest = hashlib.blake2b(digest_size=16)

    def add(self, samples: Tensor, labels: Tensor) -> None:
        self.count += len(samples)
        both = torch.stack([samples.cpu().long(), labels.cpu().long()], dim=1)
        self._digest.update(both.numpy().tobytes())

    @property
    def digest(self) -> bytes:
        return self._digest.digest()


class _Rows:
    """Rows of the file, held until there are enough of them for a row group."""

    def __init__(self, path: Path) -> None:
        self.written, self._path = 0, path
        self._held: list[pa.Table] = []
        self._numbers, self._classes = 0, 0
        self._files = ExitStack()
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> _Rows:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
        self._files.close()

    def add(self, split: str, member: int, predicted: Predicted, values: Tensor) -> None:
        count, classes = values.shape
        if self._classes not in (0, classes):
            raise ValueError(
                f"member {member} of split {split!r} has {classes} classes; expected "
                f"{self._classes}, as those before"
            )
        self._classes = classes
        flat = pa.array(values.cpu().contiguous().numpy().reshape(-1))
        self._held.append(
            pa.table(
                {
                    "sample": predicted.samples.cpu().long().numpy(),
                    "split": pa.repeat(split, count),
                    "label": predicted.targets.cpu().long().numpy(),
                    "member": np.full(count, member, np.int64),
                    "log_probabilities": pa.FixedSizeListArray.from_arrays(flat, classes),
                }
            )
        )
        self.written += count
        self._numbers += values.numel()
        if self._numbers >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        table = pa.concat_tables(self._held).combine_chunks()
        if self._writer is None:
            self._writer = self._files.enter_context(pq.ParquetWriter(self._path, table.schema))
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._held, self._numbers = [], 0


def _predicted(
    running: Program, data: Data, batch_size: int, weights: Sequence[Tensor] | None
) -> Iterator[Predicted]:
    stack = running.stack
    with ExitStack() as scope:
        if weights is not None:
            scope.enter_context(holding(stack, weights))
        for members in running.blocks(batch_size):
            noise = None
            if running.stochastic:  # anew for each block, as it keeps what it has drawn
                noise = Noise(stack.seeds, "prediction", batch_size, running.stochastic)
            for number, positions in enumerate(torch.arange(len(data)).split(batch_size)):
                x, targets = data(positions)
                drawn = None if noise is None else noise.stacked(members, number, len(positions))
                with deterministic(stack.seeds[0], stack.device):
                    found = running.outputs(members, x, drawn)
                yield Predicted(members, data.ids[positions], targets, found)


def _distributions(predicted: Predicted, outputs: str, split: str) -> Tensor:
    """``(members, n, classes)`` float64, each row the logarithms of a distribution."""
    members, samples, labels, found = predicted
    shape, count = tuple(found.shape), len(samples)
    if found.ndim != 3 or shape[0] != len(members) or 0 in shape:
        raise ValueError(
            f"outputs of split {split!r} have shape {shape}; expected ({len(members)}, n, classes)"
        )
    if shape[1] != count or tuple(labels.shape) != (count,):
        raise ValueError(
            f"split {split!r} has {count} samples, labels {tuple(labels.shape)} and outputs "
            f"{shape}; expected one of each a sample"
        )
    if labels.is_floating_point() or int(labels.min()) < 0 or int(labels.max()) >= shape[2]:
        raise ValueError(
            f"labels of split {split!r} are {labels.dtype} from {labels.min()} to {labels.max()}; "
            f"expected integers from 0 to {shape[2] - 1}"
        )
    values = found.double()
    if outputs == "logits":
        values = values.log_softmax(dim=-1)
    sums = values.exp().sum(dim=-1)
    wrong = ~((sums - 1).abs() <= _SUMS)  # so that NaN is wrong
    if bool(wrong.any()):
        member, place = (int(part) for part in wrong.nonzero()[0])
        raise ValueError(
            f"sample {int(samples[place])} of member {members[member]} in split {split!r} has "
            f"probabilities that sum to {float(sums[member, place]):.6g}; expected 1"
        )
    return values


def _check_alike(split: str, seen: Mapping[int, _Seen]) -> None:
    """``ValueError`` where a member of a split has other samples than the first, or nobody any."""
    if not seen:
        raise ValueError(f"split {split!r} has no predictions; expected at least one")
    for member, own in seen.items():
        first = next(iter(seen))
        if own.count != seen[first].count:
            raise ValueError(
                f"member {member} has {own.count} samples in split {split!r}; expected "
                f"{seen[first].count}, as member {first}"
            )
        if own.digest != seen[first].digest:
            raise ValueError(
                f"member {member} has other samples or labels in split {split!r} than member "
                f"{first}; expected the same, in order"
            )


def _few(members: Sequence[int]) -> str:
    return f"{members[0]} to {members[-1]}"
