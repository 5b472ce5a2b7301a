"""Normalisation and gates by the norm of a signal, which no rotation changes."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from geocore.models.s2cnn.convolution import check_coefficients

__all__ = ["EquivariantNorm", "NormGate", "mean_square"]

Domain = Literal["so3", "s2"]


def mean_square(coefficients: Tensor, domain: Domain = "so3", constant: bool = True) -> Tensor:
    """The mean of ``f^2`` over SO(3) or the sphere, from the coefficients of a real signal.

    ``sum_l (2l + 1) sum_mn |f^l_mn|^2`` (Parseval, Haar mass 1), and ``sum_lm |f_lm|^2 / 4 pi`` on
    the sphere; orders ``m > 0`` count twice. ``constant=False`` leaves out ``l = 0``.
    ``(..., b, b, 2b - 1)`` or ``(..., b, b)`` -> real ``(...)``.
    """
    bandlimit = coefficients.shape[-2] if domain == "so3" else coefficients.shape[-1]
    weights = coefficients.real.new_full((bandlimit, bandlimit), 2.0)
    weights[:, 0] = 1
    if domain == "so3":
        weights = weights * (2 * torch.arange(bandlimit, device=weights.device)[:, None] + 1)
    else:
        weights = weights / (4 * math.pi)
    if not constant:
        weights[0] = 0
    power = torch.view_as_real(coefficients).square().sum(-1)
    if domain == "so3":
        power = power.sum(-1)
    return (power * weights).sum((-2, -1))


class EquivariantNorm(nn.Module):
    """``scale_c f_c / sqrt(s + eps) + bias_c``, ``s`` the mean square of what is not constant.

    ``over="sample"``: one ``s`` a sample, the mean over its channels. ``over="channel"``: each
    channel its own. No statistics of the batch: a sample's output depends on no other. Constants
    (``l = 0``) are divided with the rest and do not count in ``s``, so that a bright sample is not
    a flat one. ``(batch, channels, b, b, 2b - 1)``, or ``(batch, channels, b, b)`` with
    ``domain="s2"``, to the same. Raises ``ValueError`` for another number of channels.
    """

    def __init__(
        self,
        channels: int,
        over: Literal["sample", "channel"] = "sample",
        domain: Domain = "so3",
        eps: float = 1e-5,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if over not in ("sample", "channel"):
            raise ValueError(f"over is {over!r}; expected 'sample' or 'channel'")
        if domain not in ("so3", "s2"):
            raise ValueError(f"domain is {domain!r}; expected 'so3' or 's2'")
        self.channels, self.over, self.eps = channels, over, eps
        self.domain: Domain = domain
        self.scale = nn.Parameter(torch.ones(channels, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(channels, dtype=dtype))

    def forward(self, coefficients: Tensor) -> Tensor:
        axes = 3 if self.domain == "so3" else 2
        edge = tuple(coefficients.shape[2:])
        expected = (edge[0], *(edge[:1] * (axes - 1))) if edge else (1,) * axes
        if axes == 3:
            expected = (*expected[:2], 2 * expected[0] - 1)
        check_coefficients(coefficients, (self.channels, *expected))
        square = mean_square(coefficients, self.domain, constant=False)
        if self.over == "sample":
            square = square.mean(dim=1, keepdim=True)
        factor = self.scale * (square + self.eps).rsqrt()  # (batch, channels)
        out = coefficients * factor[(..., *[None] * axes)]
        one = torch.zeros(expected, dtype=self.bias.dtype, device=self.bias.device)
        middle = (0, 0, edge[0] - 1) if axes == 3 else (0, 0)
        one[middle] = 1 if axes == 3 else (4 * math.pi) ** 0.5
        return out + self.bias[(..., *[None] * axes)] * one


class NormGate(nn.Module):
    """``f_c sigmoid(slope_c |f_c| + level_c)``, ``|f|`` the root mean square on SO(3).

    ``(batch, channels, b, b, 2b - 1)`` to the same; starts at slope 1 and level 0.
    """

    def __init__(self, channels: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(channels, dtype=dtype))
        self.level = nn.Parameter(torch.zeros(channels, dtype=dtype))

    def forward(self, coefficients: Tensor) -> Tensor:
        # The root has no slope at zero: a channel that is silent keeps a finite gradient.
        size = (mean_square(coefficients) + 1e-12).sqrt()
        gate = torch.sigmoid(self.slope * size + self.level)
        return coefficients * gate[..., None, None, None]
