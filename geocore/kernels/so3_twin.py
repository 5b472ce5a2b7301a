r"""Finite-width twins of networks from the sphere to SO(3), in the NTK parametrisation.

Filters are Gaussian white noise over the sphere and over SO(3), cut off above a degree,

.. math::
    \psi(x) = \sum_{lm} w_{lm} Y_{lm}(x), \qquad
    \psi(u) = \sum_{lmn} w_{lmn} \sqrt{2l+1}\, D^l_{mn}(u),

in the real basis, with weights from N(0, 1) that are the parameters; features are samples on a grid
of rotations, ``(batch, channels, rotations)``. On the mean over draws ``f(x) f(x')`` is the NNGP,
and the scalar product of both gradients the NTK, but for terms that fall with the width and for
what activations put into degrees that the filters do not see.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from geocore.kernels.composed import serial
from geocore.kernels.dual import Activation
from geocore.kernels.layers import Affine, Dense
from geocore.kernels.so3_inputs import Ordering, harmonic_coefficients
from geocore.kernels.so3_layers import RotationConvolution, RotationPool, SphericalLift
from geocore.kernels.so3_network import SphericalNetwork
from geocore.kernels.twins import finite_twin
from geocore.so3.haar import haar_quadrature
from geocore.so3.orders import alternating
from geocore.so3.wigner import wigner_D

__all__ = ["spherical_twin"]


def spherical_twin(
    network: SphericalNetwork,
    channels: int,
    width: int,
    outputs: int = 1,
    *,
    degrees: int | None = None,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
) -> nn.Sequential:
    """The network with ``width`` channels in each hidden layer and ``outputs`` in its last.

    Takes ``channels`` signals a sample, as the network does. Filters on SO(3) see degrees below
    ``degrees``, by default all that the network's grid resolves. Raises ``ValueError`` for a
    network with ``Residual`` or ``LayerNorm`` on SO(3), or whose pool no ``Dense`` follows.
    """
    size = network.lift.size
    degrees = size if degrees is None else degrees
    if min(channels, width, outputs) < 1 or not 1 <= degrees <= size:
        raise ValueError(
            f"channels, width, outputs and degrees are {channels}, {width}, {outputs} and "
            f"{degrees}; expected at least 1, and degrees of at most {size}"
        )
    place = next(n for n, layer in enumerate(network.layers) if isinstance(layer, RotationPool))
    after = network.layers[place + 1 :]
    if not after or not isinstance(after[0], Dense):
        raise ValueError("RotationPool is followed by no Dense; expected one in a finite twin")
    draw = _Draw(width, generator, dtype)
    basis = _Basis(max(degrees, network.lift.bandlimit), size, dtype)
    modules: list[nn.Module] = []
    for layer in network.layers[:place]:
        if isinstance(layer, SphericalLift):
            modules.append(_Lift(layer, channels, basis, draw))
        elif isinstance(layer, RotationConvolution):
            modules.append(_Convolution(layer, degrees, basis, draw))
        elif isinstance(layer, Activation):
            modules.append(_Pointwise(layer))
        else:
            raise ValueError(f"{layer.name} has no finite twin on SO(3)")
    head = finite_twin(serial(*after), (width,), width, outputs, generator, dtype)
    modules += [_Mean(basis), *head.children()]
    return nn.Sequential(*modules)


class _Draw:
    """Standard normal numbers from one generator."""

    def __init__(self, width: int, generator: torch.Generator | None, dtype: torch.dtype) -> None:
        self.width, self.generator, self.dtype = width, generator, dtype

    def __call__(self, *shape: int) -> nn.Parameter:
        return nn.Parameter(torch.randn(shape, generator=self.generator, dtype=self.dtype))


class _Basis(nn.Module):
    """``sqrt(2l+1) D^l_mn``, orthonormal, at the rotations ``(l m n, rotations)``; real basis."""

    values: Tensor
    weights: Tensor

    def __init__(self, degrees: int, sampling: int, dtype: torch.dtype) -> None:
        super().__init__()
        alpha, beta, gamma, weights = haar_quadrature(sampling)
        rows = [
            math.sqrt(2 * l + 1) * wigner_D(l, alpha, beta, gamma, "real").flatten(1).T
            for l in range(degrees)
        ]
        self.register_buffer("values", torch.cat(rows).to(dtype), persistent=False)
        self.register_buffer("weights", weights.to(dtype), persistent=False)

    def synthesis(self, blocks: list[Tensor]) -> Tensor:
        """``(batch, channels, 2l+1, 2l+1)`` of each degree -> ``(batch, channels, rotations)``."""
        flat = torch.cat([block.flatten(2) for block in blocks], dim=2)
        return flat @ self.values[: flat.shape[2]]

    def analysis(self, samples: Tensor, degrees: int) -> list[Tensor]:
        """The inverse, for what is of degrees below the grid's bandlimit."""
        counts = [(2 * l + 1) ** 2 for l in range(degrees)]
        flat = (samples * self.weights) @ self.values[: sum(counts)].T
        blocks = flat.split(counts, dim=2)
        return [block.unflatten(2, (2 * l + 1, -1)) for l, block in enumerate(blocks)]


class _Weighted(nn.Module):
    """Weights of each degree and the bias, ``+ b v``."""

    def __init__(self, layer: Affine, shapes: list[tuple[int, ...]], draw: _Draw) -> None:
        super().__init__()
        self.weights = nn.ParameterList([draw(*shape) for shape in shapes])
        self.bias = draw(draw.width) if layer.bias_std else None
        self.bias_std = layer.bias_std

    def shifted(self, samples: Tensor) -> Tensor:
        return samples if self.bias is None else samples + self.bias_std * self.bias[:, None]


class _Lift(_Weighted):
    """``h(g) = s / sqrt(4 pi C) sum_c int psi_c(x) f_c(g x) dx``: ``a_lm w_ln`` of each degree."""

    def __init__(self, layer: SphericalLift, channels: int, basis: _Basis, draw: _Draw) -> None:
        shapes = [(draw.width, channels, 2 * l + 1) for l in range(layer.bandlimit)]
        super().__init__(layer, [*shapes], draw)
        self.basis, self.degrees = basis, layer.bandlimit
        self.ordering: Ordering = layer.ordering
        self.scale = layer.weight_std / math.sqrt(4 * math.pi * channels)

    def forward(self, x: Tensor) -> Tensor:
        f = harmonic_coefficients(x, self.degrees, ordering=self.ordering)
        blocks = [
            torch.einsum("bcm,ocn->bomn", _real_orders(f, l), w) * (self.scale / (2 * l + 1) ** 0.5)
            for l, w in enumerate(self.weights)
        ]
        return self.shifted(self.basis.synthesis(blocks))


class _Convolution(_Weighted):
    """``h(g) = s / sqrt(C) sum_c int psi_c(u) h_c(g u) du``: ``sum_n c_lmn w_lrn / sqrt(2l+1)``."""

    def __init__(
        self, layer: RotationConvolution, degrees: int, basis: _Basis, draw: _Draw
    ) -> None:
        width = draw.width
        shapes = [(width, width, 2 * l + 1, 2 * l + 1) for l in range(degrees)]
        super().__init__(layer, [*shapes], draw)
        self.basis, self.degrees = basis, degrees
        self.scale = layer.weight_std / math.sqrt(width)

    def forward(self, x: Tensor) -> Tensor:
        blocks = [
            torch.einsum("bcmn,ocrn->bomr", h, w) * (self.scale / (2 * l + 1) ** 0.5)
            for l, (h, w) in enumerate(
                zip(self.basis.analysis(x, self.degrees), self.weights, strict=True)
            )
        ]
        return self.shifted(self.basis.synthesis(blocks))


class _Pointwise(nn.Module):
    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation.function(x)


class _Mean(nn.Module):
    """The Haar mean: ``(batch, channels, rotations)`` -> ``(batch, channels)``."""

    def __init__(self, basis: _Basis) -> None:
        super().__init__()
        self.basis = basis

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.basis.weights


def _real_orders(f: Tensor, l: int) -> Tensor:
    """Coefficients of degree ``l`` on the real harmonics, orders -l to l: ``(batch, c, 2l+1)``.

    ``a_lm = sqrt 2 (-1)^m Re f_lm`` and ``a_l,-m = -sqrt 2 (-1)^m Im f_lm`` for ``m > 0``.
    """
    signs = alternating(torch.arange(1, l + 1, device=f.device)) * math.sqrt(2)
    above = f[:, :, l, 1 : l + 1] * signs
    return torch.cat([-above.imag.flip(-1), f[:, :, l, :1].real, above.real], dim=-1)
