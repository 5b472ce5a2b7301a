"""Which samples are kept, and which of them are held out: decided once, from labels and a seed.

Both decisions are made within each class over the source's whole list of labels, before anything
is streamed: neither knows how the samples are later parted. Random order comes from the raw words
of a counter-based generator (Philox 4x64; Salmon et al. 2011), whose stream NumPy never changes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from geocore.data.table import SPLITS
from geocore.errors import UserError

__all__ = ["kept_rows", "make_split"]

Labels = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]
_TRAIN, _VAL, _TEST = range(len(SPLITS))
_KEEP, _HOLD_OUT = range(2)  # streams of random words that share a seed


def kept_rows(labels: Labels, official: Codes | None, limit: int | None, seed: int) -> Labels:
    """Rising row numbers of at most ``limit`` samples, classes balanced; all without a limit.

    Official splits share ``limit`` in proportion to their sizes, each with one sample at least.
    Within one, every class gets the same number, or all it has where that is fewer.
    """
    if limit is None or limit >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    if limit < len(SPLITS):
        raise ValueError(f"limit is {limit}; expected at least {len(SPLITS)}")
    codes = np.zeros(len(labels), np.uint8) if official is None else official
    groups = np.unique(codes)
    sizes = [int((codes == code).sum()) for code in groups]
    kept = []
    for code, quota in zip(groups, _shares(limit, sizes), strict=True):
        rows = np.flatnonzero(codes == code)
        classes, counts = np.unique(labels[rows], return_counts=True)
        for label, count in zip(classes, _levelled(quota, counts), strict=True):
            of_class = rows[labels[rows] == label]
            kept.append(of_class[_order(len(of_class), seed, _KEEP, int(code), int(label))[:count]])
    return np.sort(np.concatenate(kept)).astype(np.int64)


def make_split(
    labels: Labels,
    official: Codes | None,
    *,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    classes: Sequence[str],
) -> Codes:
    """The split of each sample: train 0, val 1, test 2; disjoint, complete and stratified.

    An official test or validation split is kept as it is. What is lacking is taken from the
    training samples of each class: first ``round(n * test_fraction)`` for test, then
    ``round(m * val_fraction)`` of the ``m`` left for validation, and one at least of each, so
    that with fractions below 1/2 one at least stays. ``classes`` name the labels; none do where
    all samples have label 0. Raises ``UserError`` for a class that has too few samples for that.
    """
    for name, fraction in (("val_fraction", val_fraction), ("test_fraction", test_fraction)):
        if not 0 < fraction < 0.5:
            raise ValueError(f"{name} is {fraction}; expected above 0 and below 0.5")
    codes = np.zeros(len(labels), np.uint8) if official is None else official.copy()
    lacking = [code for code in (_TEST, _VAL) if not (codes == code).any()]
    pool = codes == _TRAIN
    _require_enough(labels, pool, [SPLITS[code] for code in sorted([_TRAIN, *lacking])], classes)
    for label in np.unique(labels[pool]):
        rows = np.flatnonzero(pool & (labels == label))
        rows = rows[_order(len(rows), seed, _HOLD_OUT, int(label))]
        for code in lacking:
            fraction = test_fraction if code == _TEST else val_fraction
            count = max(1, round(len(rows) * fraction))
            codes[rows[:count]] = code
            rows = rows[count:]
    return codes


def _require_enough(
    labels: Labels, pool: npt.NDArray[np.bool_], needed: Sequence[str], classes: Sequence[str]
) -> None:
    """Every class that occurs needs one training sample for each split it must fill."""
    number = max(1, len(classes))
    counts = np.bincount(labels[pool], minlength=number)
    occurs = np.bincount(labels, minlength=number) > 0
    few = np.flatnonzero(occurs & (counts < len(needed)))
    if len(few):
        which = "" if pool.all() else "training "
        others = f", and so have {len(few) - 1} other classes" if len(few) > 1 else ""
        named = f"class {classes[few[0]]!r}" if classes else "the source"
        raise UserError(
            f"{named} has {counts[few[0]]} {which}samples{others}; "
            f"expected at least {len(needed)}, one each for {', '.join(needed)}"
        )


def _order(count: int, seed: int, *stream: int) -> npt.NDArray[np.intp]:
    words = np.random.Philox(np.random.SeedSequence([seed, *stream])).random_raw(count)
    return np.argsort(words, kind="stable")


def _shares(total: int, sizes: Sequence[int]) -> list[int]:
    """``total`` in proportion to ``sizes``, whole numbers, each at least 1: largest remainders."""
    whole = sum(sizes)
    shares = [max(1, total * size // whole) for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (-(total * sizes[i] % whole), i))
    for i in by_remainder[: max(0, total - sum(shares))]:
        shares[i] += 1
    while sum(shares) > total:  # what the smallest got above their part, the largest gives
        shares[shares.index(max(shares))] -= 1
    return shares


def _levelled(quota: int, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """As equal a part of each count as ``quota`` allows, the odd ones to the first that have."""
    level = bisect_right(range(quota + 1), quota, key=lambda n: int(np.minimum(counts, n).sum()))
    taken = np.minimum(counts, level - 1)
    more = np.flatnonzero(counts > taken)[: quota - int(taken.sum())]
    taken[more] += 1
    return taken
