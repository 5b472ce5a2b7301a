"""A firmware looked into: what each node gives against the reference, and which bits are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from geocore.edge.compiled import CompiledFirmware
from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Weighted
from geocore.edge.reference import reference_integers

__all__ = ["QUANTILES", "Difference", "Spread", "What", "bit_bars", "differences", "spreads"]

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_MOST = 1_000_000  # numbers of which quantiles are taken

What = Literal["weights", "biases", "values"]


@dataclass(frozen=True)
class Difference:
    """Of a node's values in the firmware from the reference's, over all images.

    ``largest`` is in units of the last place of the node's grid, ``exact`` the fraction of numbers
    that are equal.
    """

    name: str
    largest: float
    exact: float


@dataclass(frozen=True)
class Spread:
    """How the numbers of a node spread over their grid.

    ``quantiles`` are those of ``QUANTILES``, as numbers. ``bits`` are given; ``used`` are those
    of the narrowest grid that holds all of the numbers, at both of its ends: no bit above the
    largest and none below the finest. ``ends`` is the fraction at the grid's lowest or highest
    number, where values may have been cut off; an unsigned grid's 0, which a ReLU gives, is none.
    """

    name: str
    what: What
    quantiles: tuple[float, ...]
    bits: int
    used: int
    ends: float


def differences(
    compiled: CompiledFirmware, model: QuantisedModel, images: Tensor
) -> list[Difference]:
    """Node by node in order, of images ``(n, height, width, channels)``.

    Raises ``ValueError`` for a firmware that was written without ``trace``.
    """
    found = compiled.values(images)
    wanted = reference_integers(model, images)
    rows = []
    for name in (node.name for node in model.nodes if node.name in found):
        off = (found[name] / model.grids[name].step - wanted[name].double()).abs()
        rows.append(Difference(name, float(off.max()), float((off == 0).double().mean())))
    return rows


def spreads(model: QuantisedModel, images: Tensor) -> list[Spread]:
    """Of the images, then of each node's weights, biases and values, in order."""
    values = reference_integers(model, images)
    rows = [_spread(IMAGES, "values", values[IMAGES], model.input)]
    for node in model.nodes:
        if isinstance(node, Weighted):
            rows.append(_spread(node.name, "weights", node.weight, node.weight_format))
            rows.append(_spread(node.name, "biases", node.bias, node.bias_format))
        rows.append(_spread(node.name, "values", values[node.name], model.grids[node.name]))
    return rows


def bit_bars(rows: Sequence[Spread], what: What) -> tuple[list[str], dict[str, list[float | None]]]:
    """Names and groups for a chart of bars: bits given and bits used."""
    chosen = [row for row in rows if row.what == what]
    groups: dict[str, list[float | None]] = {
        "bits given": [float(row.bits) for row in chosen],
        "bits used": [float(row.used) for row in chosen],
    }
    return [row.name for row in chosen], groups


def _spread(name: str, what: What, integers: Tensor, grid: FixedPoint) -> Spread:
    flat = integers.flatten()
    low, high = int(flat.min()), int(flat.max())
    # Bits that are 0 in every number: the largest power of two that divides them all.
    idle = 0
    if low or high:
        while not (flat % 2 ** (idle + 1)).any():
            idle += 1
    used = FixedPoint.covering(low, high, 0).bits - idle if low or high else 1
    if not grid.signed:
        used = max(1, used - 1) if low or high else 1
    at_ends = flat == grid.highest
    if grid.signed:
        at_ends = at_ends | (flat == grid.lowest)
    some = flat[:: -(-len(flat) // _MOST)].double() * grid.step
    points = torch.quantile(some, torch.tensor(QUANTILES, dtype=torch.float64))
    return Spread(
        name, what, tuple(map(float, points)), grid.bits, used, float(at_ends.double().mean())
    )
