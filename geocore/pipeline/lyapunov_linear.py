"""Linear networks of normal weights, whose exponent is known, against what is measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geocore.explain.chain import linear_gaussian_exponent
from geocore.explain.hidden import HiddenMap
from geocore.explain.lyapunov import growth, lyapunov_exponents

__all__ = ["LinearLaw", "linear_law", "measured_linear"]

_NUMBERS = 1 << 22  # weights that are held at once


@dataclass(frozen=True)
class LinearLaw:
    """``law``, and the mean over networks with its standard error; ``largest``: of the longest."""

    law: float
    growth: float
    error: float
    largest: float

    @property
    def errors_off(self) -> float:
        """How many standard errors the growth is off the law."""
        return abs(self.growth - self.law) / self.error


def measured_linear(width: int, depth: int, networks: int, seed: int) -> dict[str, Tensor]:
    """``growth`` of a fixed vector and the ``largest`` exponent, per layer: both ``(networks,)``.

    Layers ``W`` with entries of ``N(0, 1 / width)``, float64. All networks are independent.
    """
    layers = [nn.Linear(width, width, bias=False) for _ in range(depth)]
    network = nn.Sequential(*layers, nn.Linear(width, 1, bias=False)).double()
    hidden = HiddenMap(network)
    x = torch.zeros(1, width, dtype=torch.float64)
    fixed = torch.eye(width, dtype=torch.float64)[:1]
    generator = torch.Generator().manual_seed(seed)
    grown, largest = [], []
    for some in torch.arange(networks).split(max(1, _NUMBERS // (depth * width * width))):
        shape = (len(some), width, width)
        stacked = {
            f"{layer}.weight": torch.randn(shape, generator=generator, dtype=torch.float64)
            / math.sqrt(width)
            for layer in range(depth)
        }
        grown.append(growth(hidden, x, fixed, stacked)[:, 0])
        largest.append(lyapunov_exponents(hidden, x, stacked, method="chain").largest[:, 0])
    return {"growth": torch.cat(grown), "largest": torch.cat(largest)}


def linear_law(width: int, found: dict[str, Tensor]) -> LinearLaw:
    """What ``measured_linear`` found, beside ``1/2 [log 2 sigma^2 + psi(N/2)]``.

    Every fixed vector grows by that in the mean, at any depth; the longest one grows faster, by
    some ``1 / depth``, for the first layers choose its direction.
    """
    grown = found["growth"].double()
    return LinearLaw(
        law=linear_gaussian_exponent(1 / width, width),
        growth=float(grown.mean()),
        error=float(grown.std()) / math.sqrt(len(grown)),
        largest=float(found["largest"].double().mean()),
    )
