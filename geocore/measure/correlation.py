"""Whether one number rises with another, whatever the shape of the rise."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["mean_ranks", "rank_correlation"]


def mean_ranks(values: Tensor) -> Tensor:
    """Places in the rising order, from 1; equal values have the mean of theirs.

    ``(n,)``, infinite ones too -> ``(n,)`` float64. Raises ``ValueError`` for another shape, no
    values, and NaN.
    """
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"values have shape {tuple(values.shape)}; expected (n,), at least one")
    if bool(values.isnan().any()):
        raise ValueError("values hold NaN; expected numbers that can be ordered")
    ordered = values.double().sort().values
    own = values.double().contiguous()
    below = torch.searchsorted(ordered, own)
    not_above = torch.searchsorted(ordered, own, right=True)
    return (below + not_above + 1).double() / 2


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's ``rho``: the correlation of the mean ranks of both.

    1 if one rises whenever the other does, -1 if it falls, about 0 if they are independent. Both
    ``(n,)``. Raises ``ValueError`` as ``mean_ranks``, for unlike lengths, and where all values of
    one are equal, which have no order. Source: Spearman, Am. J. Psychol. 15 (1904).
    """
    if first.shape != second.shape:
        found = f"{tuple(first.shape)} and {tuple(second.shape)}"
        raise ValueError(f"first and second have shapes {found}; expected one")
    ranks = [mean_ranks(values) for values in (first, second)]
    off = [one - one.mean() for one in ranks]
    norms = [float(one.norm()) for one in off]
    for name, norm in zip(("first", "second"), norms, strict=True):
        if norm == 0:
            raise ValueError(f"{name} has {len(first)} equal values; expected different ones")
    return float(off[0] @ off[1]) / (norms[0] * norms[1])
