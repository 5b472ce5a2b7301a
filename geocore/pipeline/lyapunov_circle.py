"""The circle's networks: exponents, ridges, and how near to the boundary they are."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from geocore.explain.circle import RADIUS, CircleFigures, circle_figures
from geocore.explain.ridges import Ridges, find_ridges
from geocore.measure.ranking import auroc

__all__ = ["CircleNetwork", "figures_of", "looked_at", "network_figures", "ridges_of"]

_SECTORS = 64  # of the circle, for the share of it that has a ridge
_BESIDE = 0.05  # how far a ridge may be off the circle, the square being 2 wide
_DEPTH = "depth"


@dataclass(frozen=True)
class CircleNetwork:
    """The figures of one network.

    ``auc`` of the exponent for being near the boundary; ``off``: the median distance of ridges from
    it, NaN where there is none; ``covered``: the share of 64 sectors of it that have a ridge.
    """

    ridge: float
    centre: float
    contrast: float
    alignment: float
    auc: float
    accuracy: float
    off: float
    covered: float


def looked_at(network: nn.Sequential, weights: dict[str, Tensor], size: int) -> dict[str, Tensor]:
    """``CircleFigures`` of all networks as tensors that can be kept."""
    found = circle_figures(network, weights, size=size)
    kept = {f.name: getattr(found, f.name) for f in fields(found) if f.name != _DEPTH}
    return kept | {_DEPTH: torch.tensor(found.depth)}


def figures_of(kept: dict[str, Tensor]) -> CircleFigures:
    """``CircleFigures`` of what ``looked_at`` gave."""
    depth = int(kept[_DEPTH])
    return CircleFigures(depth=depth, **{n: v for n, v in kept.items() if n != _DEPTH})


def ridges_of(figures: CircleFigures, member: int) -> Ridges:
    """Those of a network that are higher than half-way from the centre to the boundary's ridge."""
    floor = float(figures.ridge[member] + figures.centre[member]) / 2
    return find_ridges(figures.field(member), floor=floor)


def network_figures(figures: CircleFigures, member: int) -> CircleNetwork:
    """The figures of one network of them."""
    exponent, near = figures.exponent[member], figures.near
    position = ridges_of(figures, member).position
    off = (position.norm(dim=1) - RADIUS).abs()
    beside = position[off <= _BESIDE]
    angle = torch.atan2(beside[:, 1], beside[:, 0]) / (2 * math.pi) % 1
    sectors = (angle * _SECTORS).long().clamp(max=_SECTORS - 1).unique()
    return CircleNetwork(
        ridge=float(figures.ridge[member]),
        centre=float(figures.centre[member]),
        contrast=float(figures.contrast[member]),
        alignment=float(figures.alignment[member]),
        auc=auroc(exponent[~near], exponent[near]),
        accuracy=float(figures.accuracy[member]),
        off=float(off.median()) if len(off) else math.nan,
        covered=len(sectors) / _SECTORS,
    )
