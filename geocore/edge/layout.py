"""A layout for a network: what its dense nodes share, and the queues before its joins."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from geocore.edge.dataflow import Timing
from geocore.edge.description import QuantisedModel
from geocore.edge.nodes import Dense, is_whole
from geocore.edge.queues import joins, size_queues
from geocore.edge.verilog import Layout, write_verilog
from geocore.errors import UserError

__all__ = ["choose_lanes", "choose_layout"]

# Of kernels and of shared multipliers after synthesis, within a quarter: enough to choose by.
_LUTS_A_WEIGHT_BIT = 0.75
_LUTS_A_PRODUCT_BIT = 1.1
_SHARED_REGISTERS = 4  # cycles that a value takes in geocore_dense beside its steps


@dataclass(frozen=True)
class _Choice:
    """Of a dense node: lanes, None for a kernel of adders; cycles behind its last word; LUTs."""

    lanes: int | None
    cycles: int
    luts: float


def choose_layout(
    model: QuantisedModel, *, levels: int = 4, dense_cycles: int | None = None
) -> Layout:
    """``choose_lanes``, with the least queues that lose nothing (``size_queues``).

    The cycles of queues follow from the kernels, which are made for it where the network has joins.
    """
    lanes = choose_lanes(model, levels=levels, dense_cycles=dense_cycles)
    if not joins(model):
        return Layout(levels, lanes)
    kernels = write_verilog(model, Layout(levels, lanes)).kernels
    timing = Timing({name: kernel.latency for name, kernel in kernels.items()}, lanes)
    return Layout(levels, lanes, size_queues(model, timing))


def choose_lanes(
    model: QuantisedModel, *, levels: int = 4, dense_cycles: int | None = None
) -> dict[str, int]:
    """``Layout.lanes`` with the fewest LUTs in dense nodes that do not hold up the images.

    A dense node with ``l`` lanes takes ``words ceil(channels / l)`` cycles a value; that must not
    be more than the image's ``height width`` pixels, which come one a cycle. A node that is not in
    what is returned is a kernel of adders. ``dense_cycles`` bounds what all dense nodes together
    add behind the last word that comes to them: more lanes, or kernels, take fewer cycles. Both
    LUTs and a kernel's cycles are estimates, by which to choose: ``geocore.edge.synthesis`` and
    ``geocore.edge.dataflow`` count. Raises ``UserError`` where nothing is as fast as that.
    """
    if not is_whole(levels, 1):
        raise ValueError(f"levels is {levels!r}; expected a whole number from 1")
    nodes = [node for node in model.nodes if isinstance(node, Dense)]
    # The cheapest way to each number of cycles, node after node.
    ways: dict[int, tuple[float, dict[str, int]]] = {0: (0.0, {})}
    for node in nodes:
        choices = list(_choices(model, node, levels))
        if not choices:
            raise UserError(
                f"{node.name} takes {math.prod(model.shapes[node.sources[0]][:2])} words, more "
                "than the image has pixels; expected pooling before it"
            )
        after: dict[int, tuple[float, dict[str, int]]] = {}
        for cycles, (luts, lanes) in ways.items():
            for choice in choices:
                found = luts + choice.luts, dict(lanes)
                if choice.lanes is not None:
                    found[1][node.name] = choice.lanes
                total = cycles + choice.cycles
                if total not in after or found[0] < after[total][0]:
                    after[total] = found
        ways = after
    fitting = [key for key in ways if dense_cycles is None or key <= dense_cycles]
    if not fitting:
        raise UserError(
            f"dense_cycles is {dense_cycles}; expected at least {min(ways)} for this network"
        )
    return ways[min(fitting, key=lambda key: (ways[key][0], key))][1]


def _choices(model: QuantisedModel, node: Dense, levels: int) -> Iterator[_Choice]:
    height, width, channels = model.shapes[node.sources[0]]
    outputs, words = len(node.weight), height * width
    pixels = model.shape[0] * model.shape[1]
    weight, given = node.weight_format.bits, node.input.bits
    wide = node.accumulator.bits
    for steps in range(1, channels + 1):
        lanes = math.ceil(channels / steps)
        if math.ceil(channels / lanes) == steps and words * steps <= pixels:
            product = _LUTS_A_PRODUCT_BIT * weight * given + weight + given
            luts = outputs * (lanes * product + wide) + channels * given
            yield _Choice(lanes, steps + _SHARED_REGISTERS, luts)
    if words == 1:
        terms = (node.weight != 0).sum(dim=1)
        depth = 2 * math.log2(max(2.5 * int(terms.max()), 2))
        luts = _LUTS_A_WEIGHT_BIT * (weight + given) * int(terms.sum())
        yield _Choice(None, math.ceil(depth / levels) + 1, luts + outputs * given)
