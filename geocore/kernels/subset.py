"""Which training samples a kernel learns from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["stratified_order"]

_SUBSET = 4  # the stream of the seed that samples are drawn from


def stratified_order(labels: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """An order of the samples ``(n,)`` whose every beginning holds the classes in their shares.

    The ``k``-th sample of a class of ``m`` (from 0, in random order) stands where ``(k + 1/2) / m``
    of all samples are passed: seats by the Sainte-Lague method. Of classes of one size, counts
    differ by 1 at most. A larger subset keeps the smaller one, so it keeps the kernel's blocks too.
    """
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        found = f"{labels.dtype} of shape {labels.shape}"
        raise ValueError(f"labels is {found}; expected integers (n,)")
    place = np.empty(len(labels))
    rank = np.empty(len(labels), np.int64)  # among equal places: the classes in random order
    classes = np.unique(labels)
    turns = _shuffled(len(classes), seed, 0)
    for turn, label in zip(turns.tolist(), classes.tolist(), strict=True):
        rows = np.flatnonzero(labels == label)
        shuffled = rows[_shuffled(len(rows), seed, 1, label)]
        place[shuffled] = (np.arange(len(rows)) + 0.5) / len(rows)
        rank[rows] = turn
    return np.lexsort((rank, place)).astype(np.int64)


def _shuffled(count: int, seed: int, *stream: int) -> npt.NDArray[np.intp]:
    # From raw words of a counter-based generator, whose stream NumPy never changes.
    words = np.random.Philox(np.random.SeedSequence([_SUBSET, seed, *stream])).random_raw(count)
    return np.argsort(words, kind="stable")
