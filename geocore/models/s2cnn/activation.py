"""Pointwise nonlinearities on a grid finer than the signal's own.

``fn(f)`` commutes with rotations exactly; its coefficients do as far as the grid resolves it. What
lies beyond the grid's bandlimit is folded back and turns with the grid, not with the signal: so the
error falls with the oversampling, and faster the smoother ``fn`` is. Relative error of one layer on
white noise of full band, ``b = 10``, Driscoll-Healy grid, on the sphere (on SO(3) it is a third):

    oversampling      1      1.5     2       3       4
    relu              .12    .026    .012    .0039   .0019
    gelu              .13    .015    .0029   .0001   0
    silu              .11    .0076   .0011   0       0

On the Gauss-Legendre grid, of half the samples, it is nearly twice that
(``python benchmarks/s2cnn.py --errors``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from geocore.models.s2cnn.convolution import check_coefficients
from geocore.so3.s2_transform import S2Transform
from geocore.so3.so3_transform import SO3Transform

__all__ = [
    "FUNCTIONS",
    "ActivationName",
    "GridName",
    "S2Activation",
    "SO3Activation",
    "check_name",
    "second_moment",
]

ActivationName = Literal["relu", "gelu", "silu"]
GridName = Literal["driscoll-healy", "gauss-legendre"]

_CHUNK = 1 << 21  # samples at a time on the CPU
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}
# E[fn(x)^2] for a standard normal x: what a layer before it is to make up for.
_SECOND_MOMENTS = {"relu": 0.5, "gelu": 0.4252, "silu": 0.3555}


def second_moment(fn: ActivationName) -> float:
    """``E[fn(x)^2]`` for a standard normal ``x``."""
    check_name(fn)
    return _SECOND_MOMENTS[fn]


class _Activation(nn.Module):
    transform: ClassVar[type[S2Transform] | type[SO3Transform]]

    def __init__(
        self,
        fn: ActivationName,
        bandlimit_in: int,
        bandlimit_out: int | None = None,
        *,
        oversampling: float = 2.0,
        grid: GridName = "driscoll-healy",
        recompute: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        check_name(fn)
        out = bandlimit_in if bandlimit_out is None else bandlimit_out
        if min(bandlimit_in, out) < 1:
            found = (bandlimit_in, out)
            raise ValueError(f"bandlimits are {found} (in, out); expected positive integers")
        if not oversampling >= 1:
            raise ValueError(f"oversampling is {oversampling}; expected at least 1")
        self.fn, self.bandlimit_in, self.bandlimit_out = fn, bandlimit_in, out
        self.recompute = recompute
        self.sampling = math.ceil(oversampling * max(bandlimit_in, out))
        self.to_grid = self.transform(bandlimit_in, grid, sampling=self.sampling, dtype=dtype)
        self.from_grid = self.to_grid
        if out != bandlimit_in:
            self.from_grid = self.transform(out, grid, sampling=self.sampling, dtype=dtype)

    def forward(self, coefficients: Tensor) -> Tensor:
        channels = coefficients.shape[1:2]
        check_coefficients(coefficients, (*channels, *self.to_grid.coefficient_shape))
        maps = coefficients.flatten(0, 1)
        many = len(maps)
        if maps.device.type == "cpu":
            # A few maps at a time stay in the cache, and reuse each other's memory.
            many = max(1, _CHUNK // math.prod(self.to_grid.grid_shape))
        parts = maps.split(many) if 0 < many < len(maps) else (maps,)
        if self.recompute and torch.is_grad_enabled():
            found = torch.cat(
                [checkpoint(self._pointwise, part, use_reentrant=False) for part in parts]
            )
        else:
            found = torch.cat([self._pointwise(part) for part in parts])
        return found.reshape(*coefficients.shape[:2], *found.shape[1:])

    def _pointwise(self, maps: Tensor) -> Tensor:
        samples = self.to_grid.inverse(maps)
        found: Tensor = self.from_grid.forward(FUNCTIONS[self.fn](samples))
        return found

    def extra_repr(self) -> str:
        return (
            f"{self.fn}, bandlimit_in={self.bandlimit_in}, bandlimit_out={self.bandlimit_out}, "
            f"sampling={self.sampling}"
        )


class SO3Activation(_Activation):
    """``f -> fn(f)`` on SO(3), cut at ``bandlimit_out``: ``(batch, channels, b, b, 2b - 1)``.

    Samples on the grid of bandlimit ``B = ceil(oversampling max(bandlimit_in, bandlimit_out))``,
    that is ``8 B^3`` numbers a channel (``4 B^3`` on Gauss-Legendre). ``fn`` is ``"relu"``,
    ``"gelu"`` or ``"silu"``. With ``recompute`` the backward pass samples anew, and what is kept
    between is the coefficients alone: a step of the published segmenter at oversampling 2 peaks at
    1.2 GB a sample, not 5.

    Raises ``ValueError`` for another ``fn``, an oversampling below 1 and coefficients of another
    shape.
    """

    transform = SO3Transform


class S2Activation(_Activation):
    """``f -> fn(f)`` on the sphere, cut at ``bandlimit_out``: ``(batch, channels, b, b)``.

    Samples on the grid of bandlimit ``ceil(oversampling max(bandlimit_in, bandlimit_out))``.
    Arguments and errors are those of ``SO3Activation``.
    """

    transform = S2Transform


def check_name(fn: str) -> None:
    """Raise ``ValueError`` for a function that is none of ``FUNCTIONS``."""
    if fn not in FUNCTIONS:
        raise ValueError(f"fn is {fn!r}; expected 'relu', 'gelu' or 'silu'")
