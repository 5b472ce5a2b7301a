"""Networks of infinite width from the sphere to SO(3) to what rotations leave alone.

>>> import torch
>>> from geocore.kernels.layers import Dense, Relu
>>> from geocore.kernels.so3_layers import RotationConvolution, RotationPool, SphericalLift
>>> from geocore.kernels.so3_network import so3_serial
>>> network = so3_serial(
...     SphericalLift(4), Relu(), RotationConvolution(), Relu(), RotationPool(), Dense()
... )
>>> nngp, ntk = network.kernel(torch.rand(5, 3, 12 * 4**2))  # HEALPix maps of nside 4
>>> nngp.shape
torch.Size([5, 5])
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from geocore.kernels.composed import Kernels, Residual, check_layers
from geocore.kernels.layers import Dense, Elementwise, Form, Identity, Layer, LayerNorm
from geocore.kernels.so3_correlation import (
    correlations,
    factors,
    rotation_grid,
    turned,
)
from geocore.kernels.so3_inputs import harmonic_coefficients, mean_square
from geocore.kernels.so3_layers import (
    RotationConvolution,
    RotationForm,
    RotationPool,
    RotationState,
    SphericalLift,
)
from geocore.kernels.state import KernelState, Layout, Side

__all__ = ["SphericalNetwork", "so3_serial"]

_TILE = 2**17  # entries of one covariance that are worked on at a time: they stay in the cache
_ROWS = 16  # signals that meet a turned one at a time: enough for a fast product of matrices


def so3_serial(*layers: Layer) -> SphericalNetwork:
    """``SphericalLift``, layers on SO(3), ``RotationPool``, layers of vectors; in this order.

    On SO(3): ``RotationConvolution``, activations, ``LayerNorm``, ``Residual`` of these. Behind the
    pool ``Dense``, activations, ``LayerNorm``, ``Residual``; the last layer is ``Dense``, or the
    pool of what a convolution gives. Raises ``ValueError`` where two do not fit, ``TypeError`` for
    what is no layer.
    """
    return SphericalNetwork(layers)


class SphericalNetwork:
    """``K(f, f') = F(int K_L(R) dR)``: invariant under rotations of either signal.

    Exactly for the exact mean over rotations; as computed up to the error of its quadrature, see
    ``SphericalLift``. To that error the matrix of a kernel is positive semi-definite, too: of 200
    digits at bandlimit 8 and its sampling 12, two ReLUs, the least eigenvalue of Theta is -7e-7
    with the greatest 2.9. Signals come as coefficients or as maps, ``harmonic_coefficients``.
    """

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.layers = tuple(layers)
        check_layers(self.layers)
        lift = self.layers[0] if self.layers else None
        if not isinstance(lift, SphericalLift):
            raise ValueError(f"the first layer is {lift}; expected SphericalLift")
        self.lift = lift
        form: Form = _planned(self.layers, Form(None))
        if isinstance(form, RotationForm):
            raise ValueError("the network ends with functions on SO(3); expected RotationPool")
        if not form.gaussian:
            raise ValueError("the network ends with no affine layer; expected Dense at its end")
        place = next(n for n, layer in enumerate(self.layers) if isinstance(layer, RotationPool))
        self._before, self._pool, self._after = (
            self.layers[:place], self.layers[place], self.layers[place + 1 :]
        )  # fmt: skip
        self.needs_own = any(_needs_variances(layer) for layer in self._after)

    def describe(self) -> str:
        """All that decides the kernel but its code and the inputs: the layers, and the grid."""
        layers = ", ".join(map(repr, self.layers))
        return f"so3_serial({layers}) on {self.entries()} rotations"

    def entries(self) -> int:
        """Numbers of one covariance of one pair of signals: rotations of the grid."""
        return 4 * self.lift.size**3

    def kernel(self, x1: Tensor, x2: Tensor | None = None) -> Kernels:
        """``K(f_i, f'_j)`` and ``Theta(f_i, f'_j)``: both ``(n1, n2)``, real, in the inputs' dtype.

        Inputs as ``harmonic_coefficients`` takes them: coefficients ``(n, channels, b, b)``,
        Driscoll-Healy maps ``(n, channels, 2b, 2b)``, HEALPix maps ``(n, channels, npix)``.
        Without ``x2`` the kernel of ``x1`` with itself: one half is computed, and is the other.
        Memory is bounded whatever ``n1``, ``n2`` and ``sampling``. Nothing of it can be
        differentiated. Raises ``ValueError`` for inputs of different shapes, or that are none of
        these.
        """
        right = x1 if x2 is None else x2
        if x1.shape[1:] != right.shape[1:] or x1.dtype != right.dtype:
            found = f"{x1.dtype} {tuple(x1.shape)} and {right.dtype} {tuple(right.shape)}"
            raise ValueError(f"x1 and x2 are {found}; expected one dtype and shape of a sample")
        f1 = self._coefficients(x1)
        f2 = f1 if x2 is None else self._coefficients(right)
        nngp, ntk = self._pooled(f1, f2, half=x2 is None)
        own1 = self._side(f1)
        own2 = own1 if x2 is None else self._side(f2)
        whole = self._finish(nngp[None], ntk[None], own1, own2)
        return Kernels(whole.nngp[0], whole.ntk[0])

    def diagonal(self, x: Tensor) -> Kernels:
        """``K(f_i, f_i)`` and ``Theta(f_i, f_i)``, both ``(n,)``: diagonals of ``kernel(x)``."""
        f = self._coefficients(x)
        each = [self._pooled(one, one, half=True) for one in f.split(1)]
        nngp, ntk = (torch.cat(parts)[:, None] for parts in zip(*each, strict=True))
        side = Side(nngp, _noted(self._after, nngp[:, 0]) if self.needs_own else [])
        found = self._finish(nngp, ntk, side, side)
        return Kernels(found.nngp.flatten(), found.ntk.flatten())

    def _coefficients(self, x: Tensor) -> Tensor:
        # Without a look for gradients: blocks are written into what is one kernel.
        return harmonic_coefficients(x.detach(), self.lift.bandlimit, ordering=self.lift.ordering)

    def _side(self, f: Tensor) -> Side:
        """The variances that layers behind the pool ask for: kernels of signals with themselves."""
        if not self.needs_own:
            return Side(f[None], [])
        own = torch.cat([self._pooled(one, one, half=True)[0][0] for one in f.split(1)])
        return Side(f[None], _noted(self._after, own[None]))

    def _finish(self, nngp: Tensor, ntk: Tensor, left: Side, right: Side) -> Kernels:
        """The layers behind the pool."""
        state = KernelState(nngp, ntk, "flat", left, right)
        return _kernels(_through(self._after, state))

    def _pooled(self, f1: Tensor, f2: Tensor, half: bool) -> tuple[Tensor, Tensor]:
        """``K`` and ``Theta`` behind the pool, ``(n1, n2)`` each; ``half``: of ``f1`` with itself.

        Some turned signals and colatitudes at a time, and all that meet them in rows.
        """
        lift, size, real = self.lift, self.lift.size, f1.real.dtype
        grid = rotation_grid(lift.bandlimit, size, real, f1.device)
        square, shift = lift.weight_std**2, lift.bias_std**2
        left = factors(f1, square / (4 * torch.pi * f1.shape[1]))
        # The lift is in these variances; what follows it asks for them in the same order each time.
        own1, own2 = (
            _noted(self._before[1:], (mean_square(f) * square + shift)[None, :, None, None])
            for f in (f1, f2)
        )
        rows = min(len(f1), _ROWS)
        betas = max(1, min(size, _TILE // (rows * grid.circle**2)))
        columns = max(1, min(len(f2), _TILE // (rows * grid.points)))
        nngp, ntk = left.new_zeros(2, len(f1), len(f2))
        for j in range(0, len(f2), columns):
            js = slice(j, min(j + columns, len(f2)))
            for b in range(0, size, betas):
                bs = slice(b, min(b + betas, size))
                right = turned(f2[js], grid, bs)
                weights = grid.weights[bs].repeat_interleave(grid.circle**2)
                for i in range(j if half else 0, len(f1), rows):
                    is_ = slice(i, min(i + rows, len(f1)))
                    product = correlations(left[:, :, is_], right, grid)[None]
                    state: KernelState = RotationState(
                        product, None, "diagonal",
                        Side(product, [own[:, is_] for own in own1]),
                        Side(product, [own[:, js] for own in own2]), weights=weights,
                    )  # fmt: skip
                    share = _kernels(_through((*self._before, self._pool), state))
                    nngp[is_, js] += share.nngp[0]
                    ntk[is_, js] += share.ntk[0]
        if half:
            nngp, ntk = (k.tril() + k.tril(-1).T for k in (nngp, ntk))
        return nngp, ntk


def _planned(layers: Iterable[Layer], form: Form, inside: bool = False) -> Form:
    """The output's form. Layers that other grids have, or that stand at a wrong place, raise."""
    for layer in layers:
        if isinstance(layer, Residual):
            for way in (layer.branch, layer.shortcut):
                _planned(way, form, inside=True)
        elif inside and isinstance(layer, SphericalLift | RotationPool):
            raise ValueError(f"{layer.name} stands inside Residual; expected it outside")
        elif not isinstance(layer, _KNOWN):
            raise ValueError(f"{layer.name} has no form on the sphere or SO(3); expected another")
        elif type(layer) is Dense and isinstance(form, RotationForm):
            raise ValueError(
                "Dense is given functions on SO(3); expected RotationConvolution, or RotationPool "
                "before it"
            )
        form = layer.plan(form)
    return form


_KNOWN = (SphericalLift, RotationConvolution, RotationPool, Dense, Elementwise, LayerNorm, Identity)


def _needs_variances(layer: Layer) -> bool:
    if isinstance(layer, Residual):
        return any(_needs_variances(leaf) for leaf in (*layer.branch, *layer.shortcut))
    return layer.needs_variances


def _through(layers: Iterable[Layer], state: KernelState) -> KernelState:
    for layer in layers:
        state = layer.forward(state)
    return state


def _noted(layers: Iterable[Layer], own: Tensor) -> list[Tensor]:
    """The variances that layers ask for, of inputs whose variance is ``own`` before them."""
    noted: list[Tensor] = []
    layout: Layout = "flat" if own.ndim == 2 else "diagonal"
    side = Side(own, [])
    _through(layers, KernelState(None, None, layout, side, side, own=own, noted=noted))
    return noted


def _kernels(state: KernelState) -> Kernels:
    state = state.applied()
    if state.nngp is None:
        raise RuntimeError("the network dropped its covariances; expected some")
    return Kernels(state.nngp, torch.zeros_like(state.nngp) if state.ntk is None else state.ntk)
