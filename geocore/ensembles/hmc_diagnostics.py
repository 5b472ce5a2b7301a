"""Whether chains have mixed, and how far two of them are apart: the floor of every comparison.

A network's weights can be permuted and their signs flipped without changing its function, so
that chains in different copies of one mode look apart in the weights. What counts is what they
predict: put probabilities in here, not parameters, wherever there is a choice.
"""

from __future__ import annotations

import math
from itertools import combinations

import torch
from torch import Tensor

from geocore.measure.classification import check_probabilities
from geocore.measure.uncertainty import (
    agreement,
    entropy,
    mutual_information,
    total_variation,
)

__all__ = ["chain_distance", "compare", "distance", "effective_sample_size", "mixing", "split_rhat"]


def split_rhat(values: Tensor, *, ranked: bool = True) -> Tensor:
    """``R = sqrt((n - 1) / n + B / (n W))`` of the chains' halves, of ``n`` draws each.

    ``W`` is the mean of their variances and ``B / n`` the variance of their means: 1 for chains
    that have mixed, larger else. ``ranked`` takes the normal scores of the draws' ranks first, so
    that heavy tails do no harm. ``(chains, samples, ...)`` -> ``(...)`` float64; a function that
    never changes has 1, one that differs between chains only has infinity. Raises ``ValueError``
    for fewer than 4 samples. Source: Vehtari et al., arXiv:1903.08008, eqs. 4 and 14.
    """
    halves = _halves(_normal_scores(_checked(values)) if ranked else _checked(values))
    n = halves.shape[1]
    within = halves.var(1).mean(0)
    between = halves.mean(1).var(0)  # two halves at least
    ratio = ((n - 1) / n * within + between) / within
    # Without any spread the ratio is 0 / 0 where all are equal.
    return torch.where((within == 0) & (between == 0), 1.0, ratio).sqrt()


def effective_sample_size(values: Tensor, *, ranked: bool = True) -> Tensor:
    """``chains * samples / (1 + 2 sum_t rho_t)``: as many independent draws tell as much.

    ``rho_t`` is the autocorrelation over split chains, which counts their distance as correlation,
    summed in pairs as long as these are positive and made to fall (Geyer). With ``ranked`` it is
    the bulk ESS. ``(chains, samples, ...)`` -> ``(...)`` float64; a constant counts all draws.
    Raises ``ValueError`` for fewer than 4 samples. Source: Vehtari et al., arXiv:1903.08008,
    eqs. 10 to 13.
    """
    halves = _halves(_normal_scores(_checked(values)) if ranked else _checked(values))
    chains, n = halves.shape[:2]
    centred = halves - halves.mean(1, keepdim=True)
    # The circular correlation of twice the length, padded by zeros, is the plain one.
    spectrum = torch.fft.rfft(centred, n=2 * n, dim=1).abs().square()
    covariance = torch.fft.irfft(spectrum, n=2 * n, dim=1)[:, :n] / n
    within = (covariance[:, 0] * n / (n - 1)).mean(0)
    total = within * (n - 1) / n + halves.mean(1).var(0)
    rho = 1 - (within - covariance.mean(0)) / total
    rho[0] = 1
    pairs = rho[: n // 2 * 2].unflatten(0, (n // 2, 2)).sum(1)
    falling = torch.where((pairs > 0).cumprod(0).bool(), pairs, 0).cummin(0).values
    # Draws that swing from side to side can tell more than independent ones; S log10(S) at most.
    time = (2 * falling.sum(0) - 1).clamp(min=1 / math.log10(chains * n))
    return torch.where(total == 0, float(chains * n), chains * n / time)


def mixing(values: Tensor) -> dict[str, float]:
    """R-hat and ESS of many functions of the draws: the largest, the smallest, the middle.

    ``(chains, samples, ...)``, probabilities at test inputs say. ``rhat_max``, ``rhat_median``,
    ``rhat_above`` (the share above 1.05), ``ess_min``, ``ess_median``.
    """
    rhat = split_rhat(values).flatten()
    ess = effective_sample_size(values).flatten()
    return {
        "rhat_max": float(rhat.max()),
        "rhat_median": float(rhat.median()),
        "rhat_above": float((rhat > 1.05).double().mean()),
        "ess_min": float(ess.min()),
        "ess_median": float(ess.median()),
    }


def distance(first: Tensor, second: Tensor) -> dict[str, float]:
    """How far two ensembles' predictions are apart: means over the inputs.

    Both ``(members, n, classes)`` with their own numbers of members; with ``q`` the members' mean,
    ``agreement`` and ``total_variation`` of ``q``, ``entropy`` ``|H[q] - H[q']|`` and
    ``mutual_information`` ``|MI - MI'|`` in nats. Raises ``ValueError`` for other shapes and for
    what is no distribution.
    """
    for name, values in (("first", first), ("second", second)):
        if values.ndim != 3 or 0 in values.shape or values.shape[1:] != first.shape[1:]:
            found = tuple(values.shape)
            raise ValueError(f"{name} has shape {found}; expected (members, n, classes), one n")
        check_probabilities(values)
    first, second = first.double(), second.double()
    q, r = first.mean(0), second.mean(0)
    apart = mutual_information(first) - mutual_information(second)
    return {
        "agreement": agreement(q, r),
        "total_variation": total_variation(q, r),
        "entropy": float((entropy(q) - entropy(r)).abs().mean()),
        "mutual_information": float(apart.abs().mean()),
    }


def chain_distance(probabilities: Tensor) -> dict[str, float]:
    """The mean of ``distance`` over all pairs of chains: what is no larger means nothing.

    ``(chains, samples, n, classes)``. Raises ``ValueError`` for a single chain, and as
    ``distance``.
    """
    if probabilities.ndim != 4 or len(probabilities) < 2:
        found = tuple(probabilities.shape)
        raise ValueError(
            f"probabilities has shape {found}; expected (chains, samples, n, classes), 2 chains"
        )
    pairs = [distance(*pair) for pair in combinations(probabilities, 2)]
    return {name: sum(one[name] for one in pairs) / len(pairs) for name in pairs[0]}


def compare(ensemble: Tensor, posterior: Tensor) -> dict[str, float]:
    """``distance`` of an ensemble to all chains' draws, and beside it that of chain to chain.

    ``ensemble (members, n, classes)``, ``posterior (chains, samples, n, classes)``. Each figure
    of ``distance`` comes with its floor, ``chains_NAME`` of ``chain_distance``: two ensembles
    whose figures differ by less are not told apart. Raises as those two.
    """
    floor = chain_distance(posterior)
    found = distance(ensemble, posterior.flatten(0, 1))
    return found | {f"chains_{name}": value for name, value in floor.items()}


def _checked(values: Tensor) -> Tensor:
    if values.ndim < 2 or values.shape[0] < 1 or values.shape[1] < 4:
        found = tuple(values.shape)
        raise ValueError(f"values has shape {found}; expected (chains, samples, ...), 4 samples")
    if not bool(torch.isfinite(values).all()):
        raise ValueError("values has numbers that are not finite; expected none")
    return values.double()


def _halves(values: Tensor) -> Tensor:
    half = values.shape[1] // 2  # of an odd number the middle one is left out
    return torch.cat([values[:, :half], values[:, -half:]])


def _normal_scores(values: Tensor) -> Tensor:
    """``Phi^-1((r - 3/8) / (S + 1/4))`` with ``r`` the rank among all ``S``, shared by equals."""
    flat = values.flatten(0, 1)
    ordered = flat.movedim(0, -1).contiguous()
    ranked = ordered.sort(-1).values
    below = torch.searchsorted(ranked, ordered)
    upto = torch.searchsorted(ranked, ordered, right=True)
    rank = (below + upto + 1).double() / 2
    scores = torch.special.ndtri((rank - 0.375) / (ordered.shape[-1] + 0.25))
    back: Tensor = scores.movedim(-1, 0).unflatten(0, values.shape[:2])
    return back
