"""How far one categorical distribution is from another: Kullback-Leibler, one way and both."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["check_log_probabilities", "kl_divergence", "symmetrised_kl_divergence"]

_OFF_ZERO = 1e-4  # how far the log of a sum of float32 probabilities may be from 0


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """``KL(p || q) = sum_c p_c (log p_c - log q_c)`` in nats, from 0 (equal) to infinity.

    A class with ``p_c = 0`` adds nothing, whatever ``q_c`` is, and one with ``q_c = 0 < p_c`` makes
    it infinite. Given logarithms, classes whose probability would round to 0 keep it finite.

    Two tensors of one shape ``(..., classes)`` -> ``(...)`` float64. Divergence is never negative:
    what rounding leaves below 0, some 1e-16, is set to 0. Raises ``ValueError`` for other shapes
    and for what is no distribution. Source: Kullback and Leibler (1951).
    """
    _check_pair(log_p, log_q)
    p, q = log_p.double(), log_q.double()
    absent = p == -torch.inf
    gap = torch.where(absent, 0.0, p - q)  # two logs of 0 differ by NaN
    return _weighted(p.exp(), gap).clamp(min=0)


def symmetrised_kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """``KL(p || q) + KL(q || p) = sum_c (p_c - q_c) (log p_c - log q_c)`` in nats: the sum of both
    directions, not its half.

    A class that both exclude adds nothing; one that only one of them excludes makes it infinite.
    Two tensors of one shape ``(..., classes)`` -> ``(...)`` float64. Raises ``ValueError`` as
    ``kl_divergence`` does. Source: Jeffreys (1946); Kullback and Leibler (1951).
    """
    _check_pair(log_p, log_q)
    p, q = log_p.double(), log_q.double()
    # No term is negative, unlike those of the two sums: nothing cancels where p is close to q.
    gap = torch.where(p == q, 0.0, p - q)  # two logs of 0 differ by nothing, not by NaN
    return _weighted(p.exp() - q.exp(), gap)


def check_log_probabilities(name: str, values: Tensor) -> None:
    """Raise ``ValueError`` unless the last axis holds logarithms of numbers that sum to 1."""
    if values.ndim == 0 or values.shape[-1] == 0 or not values.is_floating_point():
        found = f"{values.dtype} of shape {tuple(values.shape)}"
        raise ValueError(f"{name} is {found}; expected floats (..., classes)")
    off = values.double().logsumexp(dim=-1).abs()
    if not bool((off <= _OFF_ZERO).all()):
        worst = torch.where(off.isnan(), torch.inf, off).max()
        raise ValueError(f"{name} has logsumexp 0 within {float(worst):.3g}; expected 0")


def _weighted(weight: Tensor, gap: Tensor) -> Tensor:
    """``sum_c weight_c gap_c``; an infinite gap counts even where its weight rounds to 0."""
    terms: Tensor = torch.where(gap.isinf(), torch.inf, weight * gap)
    return terms.sum(dim=-1)


def _check_pair(log_p: Tensor, log_q: Tensor) -> None:
    if log_p.shape != log_q.shape:
        found = f"{tuple(log_p.shape)} and {tuple(log_q.shape)}"
        raise ValueError(f"log_p and log_q have shapes {found}; expected one, (..., classes)")
    check_log_probabilities("log_p", log_p)
    check_log_probabilities("log_q", log_q)
