"""How far a classifier's outputs on an orbit are from being the same: equivariance of ensembles.

All take outputs ``(order, n, classes)``: entry ``[g, i]`` is what came of ``g x_i``, entry 0 of
``x_i`` itself, as ``f(orbit(group, x).flatten(0, 1)).unflatten(0, (order, n))`` gives them. All are
for invariance, ``f(g x) = f(x)``; of outputs that transform, ``f(g x) = rho(g) f(x)``, measure what
``pulled_back`` makes of them. The group may be finite or sampled: then means are estimates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.measure.divergence import symmetrised_kl_divergence

__all__ = [
    "orbit_deviation",
    "pulled_back",
    "relative_deviation",
    "same_prediction",
    "symmetrised_kl",
]


def same_prediction(outputs: Tensor) -> Tensor:
    """OSP: how many ``g`` have ``argmax_c f_c(g x) = argmax_c f_c(x)``, from 1 to the order.

    The identity counts, so that an invariant classifier has the order itself; divide by it for the
    share. Of equal outputs the first class counts. ``(order, n, classes)`` logits or (log-)
    probabilities -> ``(n,)`` int64. Raises ``ValueError`` for another shape and for NaN. Source:
    Gerken and Kessel, arXiv:2403.03103.
    """
    _check(outputs)
    if bool(outputs.isnan().any()):
        raise ValueError("outputs holds NaN; expected numbers that can be ordered")
    predicted = outputs.argmax(dim=-1)
    return (predicted == predicted[0]).sum(dim=0)


def orbit_deviation(outputs: Tensor) -> Tensor:
    """``sqrt((1/|G|) sum_g |f(g x) - m|^2)``, ``m = (1/|G|) sum_g f(g x)``: the standard deviation
    over the orbit, of a vector the root of the sum of its entries' variances.

    The orbit is all there is, so the sum is divided by the order and not by one less.
    ``(order, n, channels)`` finite -> ``(n,)`` float64. Raises ``ValueError`` for another shape and
    for what is not finite.
    """
    return _moments(outputs)[0]


def relative_deviation(outputs: Tensor) -> Tensor:
    """``orbit_deviation(outputs) / |m|``, ``m`` the mean over the orbit, Euclidean length.

    For one channel that is standard deviation over absolute mean. Where the mean vanishes it is 0
    if the deviation vanishes too and infinite otherwise. It is of use for quantities whose zero
    means something (energies, vectors); logits may be shifted, so their deviation is not relative
    to anything. ``(order, n, channels)`` finite -> ``(n,)`` float64. Raises ``ValueError`` as
    ``orbit_deviation`` does. Source: Gerken and Kessel, arXiv:2403.03103.
    """
    deviation, length = _moments(outputs)
    return torch.where((deviation == 0) & (length == 0), 0.0, deviation / length)


def symmetrised_kl(outputs: Tensor) -> Tensor:
    """``(1/|G|) sum_g [KL(p(g x) || p(x)) + KL(p(x) || p(g x))]`` in nats, ``p = softmax(f)``.

    The identity counts, with 0. ``(order, n, classes)`` logits or log-probabilities, which softmax
    leaves as they are; a class may have probability 0 (``-inf``). Returns ``(n,)`` float64. Raises
    ``ValueError`` for another shape, for NaN and for rows whose largest entry is infinite.
    """
    _check(outputs)
    if not bool(outputs.amax(dim=-1).isfinite().all()):
        raise ValueError(
            "outputs has a largest entry that is not finite; expected log-probabilities"
        )
    values = outputs.double().log_softmax(dim=-1)
    return symmetrised_kl_divergence(values, values[:1].expand_as(values)).mean(dim=0)


def pulled_back(outputs: Tensor, matrices: Tensor) -> Tensor:
    """``rho(g)^-1 f(g x)``: constant along the orbit if ``f(g x) = rho(g) f(x)``.

    ``outputs (order, n, channels)``, ``matrices (order, channels, channels)`` the representation's,
    the identity first -> the outputs' shape and dtype, computed in float64. Raises ``ValueError``
    for other shapes, a first matrix that is not the identity and one without an inverse.
    """
    _check(outputs)
    order, _, channels = outputs.shape
    if matrices.shape != (order, channels, channels):
        found, expected = tuple(matrices.shape), (order, channels, channels)
        raise ValueError(f"matrices has shape {found}; expected {expected} for these outputs")
    wide = matrices.to(outputs.device, torch.float64)
    off = float((wide[0] - torch.eye(channels, dtype=wide.dtype, device=wide.device)).abs().max())
    if not off <= 1e-6:
        raise ValueError(f"matrices[0] is off the identity by {off:.3g}; expected the identity")
    found, info = torch.linalg.solve_ex(wide, outputs.double().mT)
    if bool((info != 0).any()):
        place = int((info != 0).nonzero()[0])
        raise ValueError(f"matrices[{place}] has no inverse; expected a representation's matrix")
    pulled: Tensor = found.mT.to(outputs.dtype)
    return pulled


def _moments(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """The deviation over the orbit and the length of its mean, ``(n,)`` each."""
    _check(outputs)
    if not bool(outputs.isfinite().all()):
        raise ValueError("outputs has an entry that is not finite; expected finite ones")
    values = outputs.double()
    # About the identity's output: equal outputs then have deviation 0, not 1e-16 of rounding.
    off = values - values[0]
    shift = off.mean(dim=0)
    deviation = (off - shift).square().sum(dim=-1).mean(dim=0).sqrt()
    length: Tensor = torch.linalg.vector_norm(values[0] + shift, dim=-1)
    return deviation, length


def _check(outputs: Tensor) -> None:
    if outputs.ndim != 3 or 0 in (outputs.shape[0], outputs.shape[2]):
        found = tuple(outputs.shape)
        raise ValueError(f"outputs has shape {found}; expected (order, n, classes), identity first")
    if not outputs.is_floating_point():
        raise TypeError(f"outputs is {outputs.dtype}; expected floats")
