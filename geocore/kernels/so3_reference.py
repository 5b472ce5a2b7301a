r"""The kernels of a network on SO(3) with every entry stored: the textbook's Fourier recursion.

.. math::
    K_{g,g'} = \sum_{l l'} (2l+1)(2l'+1) \sum_{m n m' n'} \hat K_{lmn,l'm'n'}\,
    D^l_{mn}(g)\, D^{l'}_{m'n'}(g')

for all pairs of coefficients: that of two indices each, padded, ``(b (2b - 1)^2)^2`` complex
numbers. With Haar measure of mass 1,

.. math::
    \hat K^{lift} &= \frac{s^2}{4\pi C} \frac{(-1)^n}{(2l+1)^2}\, \delta_{ll'} \delta_{n,-n'}
        \sum_c \bar f_{c,lm}\, \bar f'_{c,lm'} + b^2 \delta_{l0} \delta_{l'0},\\
    \hat K_{lmr,l'm'r'} &\leftarrow \frac{s^2}{2l+1}\, \delta_{ll'} \delta_{r,-r'}
        \sum_n (-1)^{r-n} \hat K_{lmn,lm'(-n)} + b^2 \delta_{l0} \delta_{l'0},

for the lift and for a convolution; an activation acts on samples at all pairs of rotations. That K
depends on :math:`g' g^{-1}` alone is used nowhere. Degrees from ``bandlimit`` on, which activations
make, are cut off, and fold back onto those below it. Source: arXiv:2406.06504, section 5, with s
and b in every layer. For tests and benchmarks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from geocore.kernels.composed import Kernels
from geocore.kernels.dual import Variances
from geocore.kernels.layers import Dense, Elementwise, Layer
from geocore.kernels.so3_inputs import harmonic_coefficients, mean_square
from geocore.kernels.so3_layers import RotationConvolution, RotationPool, SphericalLift
from geocore.so3.orders import all_orders
from geocore.so3.so3_transform import SO3Transform

__all__ = ["convolved", "full_storage_kernel", "lifted"]


@dataclass(frozen=True)
class _Everything:
    """``K^`` and ``Theta^ (n1, n2, l, m, n, l', m', n')``; ``K_{g,g}`` of each input, ``(n,)``.

    Behind the pool ``(n1, n2)``, without variances.
    """

    nngp: Tensor
    ntk: Tensor
    left: Tensor | None
    right: Tensor | None


def full_storage_kernel(
    layers: Iterable[Layer], x1: Tensor, x2: Tensor, bandlimit: int | None = None
) -> Kernels:
    """``K`` and ``Theta (n1, n2)``: a lift, convolutions and activations, the pool, Dense.

    Inputs as ``harmonic_coefficients`` takes them. ``bandlimit``, that of the lift by default, is
    the kernels'; samples are those of Gauss and Legendre's grid for it. Raises ``ValueError`` for
    other layers.
    """
    lift, *rest = layers
    if not isinstance(lift, SphericalLift):
        raise ValueError(f"the first layer is {lift}; expected SphericalLift")
    f1, f2 = (harmonic_coefficients(x, lift.bandlimit, ordering=lift.ordering) for x in (x1, x2))
    nngp = lifted(lift, f1, f2, bandlimit or lift.bandlimit)
    left, right = (mean_square(f) * lift.weight_std**2 + lift.bias_std**2 for f in (f1, f2))
    # Theta starts from 0: behind the first weights it is K, not 2 K.
    state = _Everything(nngp, nngp, left, right)
    for layer in rest:
        state = _step(layer, state)
    return Kernels(state.nngp, state.ntk)


def lifted(layer: SphericalLift, f1: Tensor, f2: Tensor, bandlimit: int) -> Tensor:
    """``K^`` of coefficients ``(n, channels, l, m)``: ``(n1, n2, l, m, n, l', m', n')``."""
    channels, degrees = f1.shape[1], f1.shape[2]
    left, right = all_orders(f1).conj(), all_orders(f2).conj()
    shape = (bandlimit, 2 * bandlimit - 1, 2 * bandlimit - 1)
    found = f1.new_zeros(len(f1), len(f2), *shape, *shape)
    centre, own = bandlimit - 1, degrees - 1  # where the order 0 stands
    for l in range(degrees):
        scale = layer.weight_std**2 / (4 * torch.pi * channels * (2 * l + 1) ** 2)
        span, orders = slice(centre - l, centre + l + 1), slice(own - l, own + l + 1)
        block = scale * torch.einsum("icm,jcp->ijmp", left[:, :, l, orders], right[:, :, l, orders])
        for n in range(-l, l + 1):
            found[:, :, l, span, centre + n, l, span, centre - n] = (-1) ** n * block
    found[:, :, 0, centre, centre, 0, centre, centre] += layer.bias_std**2
    return found


def convolved(layer: RotationConvolution, k: Tensor, bias: bool = True) -> Tensor:
    """``K^`` behind a convolution of ``k (n1, n2, l, m, n, l', m', n')``; ``bias``: ``+ b^2``."""
    bandlimit = k.shape[2]
    centre = bandlimit - 1
    found = torch.zeros_like(k)
    for l in range(bandlimit):
        orders = range(-l, l + 1)
        for r in orders:
            total = torch.stack(
                [(-1) ** (r - n) * k[:, :, l, :, centre + n, l, :, centre - n] for n in orders]
            ).sum(dim=0)
            total = total * (layer.weight_std**2 / (2 * l + 1))
            found[:, :, l, :, centre + r, l, :, centre - r] = total
    if bias:
        found[:, :, 0, centre, centre, 0, centre, centre] += layer.bias_std**2
    return found


def _step(layer: Layer, state: _Everything) -> _Everything:
    if isinstance(layer, RotationConvolution):
        nngp = convolved(layer, state.nngp)
        ntk = nngp + convolved(layer, state.ntk, bias=False)
        left, right = (
            None if v is None else v * layer.weight_std**2 + layer.bias_std**2
            for v in (state.left, state.right)
        )
        return _Everything(nngp, ntk, left, right)
    if isinstance(layer, Elementwise) and state.left is not None and state.right is not None:
        bandlimit = state.nngp.shape[2]
        variances = Variances(state.left[:, None, None, None], state.right[None, :, None, None])
        nngp, slope = layer.dual(_samples(state.nngp), variances)
        ntk = slope * _samples(state.ntk)
        left, right = layer.variance(state.left), layer.variance(state.right)
        return _Everything(
            _coefficients(nngp, bandlimit), _coefficients(ntk, bandlimit), left, right
        )
    if isinstance(layer, RotationPool):
        nngp, ntk = (_constant(k) for k in (state.nngp, state.ntk))
        return _Everything(nngp, ntk, None, None)
    if isinstance(layer, Dense) and state.nngp.ndim == 2:
        nngp = layer.weight_std**2 * state.nngp + layer.bias_std**2
        return replace(state, nngp=nngp, ntk=nngp + layer.weight_std**2 * state.ntk)
    raise ValueError(f"{layer.name} has no full-storage form here")


def _samples(k: Tensor) -> Tensor:
    """``K_{g,g'}`` at all pairs of the grid's rotations: real, two axes of them."""
    transform = _transform(k.shape[2], k.real.dtype)
    there = transform.inverse(k).flatten(-3)  # (n1, n2, l, m, n, g')
    found: Tensor = transform.inverse(there.movedim(-1, 2)).flatten(-3)
    return found.real.transpose(-2, -1)


def _coefficients(samples: Tensor, bandlimit: int) -> Tensor:
    """The inverse, for what is of degrees below ``bandlimit``."""
    transform = _transform(bandlimit, samples.dtype)
    complex_valued = samples.to(samples.dtype.to_complex())
    there = transform(complex_valued.unflatten(-1, transform.grid_shape))
    found: Tensor = transform(there.movedim(2, -1).unflatten(-1, transform.grid_shape))
    # (n1, n2, l', m', n', l, m, n)
    return found.permute(0, 1, 5, 6, 7, 2, 3, 4)


def _constant(k: Tensor) -> Tensor:
    """The mean over both rotations: ``K^`` at ``l = l' = 0``."""
    centre = k.shape[2] - 1
    return k[:, :, 0, centre, centre, 0, centre, centre].real.clone()


def _transform(bandlimit: int, dtype: torch.dtype) -> SO3Transform:
    return SO3Transform(bandlimit, "gauss-legendre", real=False, dtype=dtype)
