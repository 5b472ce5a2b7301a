"""Filter pruning: what leaves together, nothing lost at no budget, none that could still leave."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from geocore.edge.filter_pruning import channel_groups, prune_filters
from geocore.edge.float_graph import (
    FloatAdd,
    FloatConcatenate,
    FloatConvolution,
    FloatDense,
    FloatGraph,
)
from geocore.edge.nodes import IMAGES, MaxPool, Node, Upsample
from geocore.edge.tracing import trace
from tests.edge.random_modules import random_images, random_module

SHAPE = (6, 6, 2)


def graph(seed: int = 0) -> FloatGraph:
    """Two branches that are joined, two that are added, and two dense layers."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def convolution(name: str, source: str, given: int, out: int, size: int = 3) -> Node:
        edge = size // 2
        return FloatConvolution(
            name, (source,), drawn(out, given, size, size), 0.1 * drawn(out), True,
            padding=(edge, edge, edge, edge),
        )  # fmt: skip

    return FloatGraph(
        SHAPE,
        (
            convolution("left", IMAGES, 2, 5),
            convolution("right", IMAGES, 2, 4, 1),
            FloatConcatenate("both", ("left", "right")),
            convolution("main", "both", 9, 6),
            convolution("skip", "both", 9, 6, 1),
            FloatAdd("sum", ("main", "skip")),
            MaxPool("small", ("sum",)),
            Upsample("large", ("small",), 1),
            FloatDense("hidden", ("large",), drawn(7, 54), drawn(7)),
            FloatDense("head", ("hidden",), drawn(3, 7), drawn(3)),
        ),
    )


def test_groups_leave_together() -> None:
    groups = channel_groups(graph())
    assert len(groups) == 5 + 4 + 6 + 7  # none of images and of the head
    assert (("left", 1), ("both", 1)) in groups
    assert (("right", 1), ("both", 6)) in groups
    assert (("main", 2), ("skip", 2), ("sum", 2), ("small", 2), ("large", 2)) in groups
    assert (("hidden", 6),) in groups


def test_a_value_added_to_images_stays() -> None:
    def ones(*shape: int) -> Tensor:
        return torch.ones(shape, dtype=torch.float64)

    made = FloatGraph(
        SHAPE,
        (
            FloatConvolution("one", (IMAGES,), ones(2, 2, 1, 1), ones(2)),
            FloatAdd("sum", ("one", IMAGES)),
            MaxPool("pool", ("sum",)),
            FloatDense("head", ("pool",), ones(1, 18), ones(1)),
        ),
    )
    assert channel_groups(made) == []


def silenced(whole: FloatGraph) -> FloatGraph:
    """One in which five groups say nothing: zero weights and biases."""
    nodes: dict[str, Node] = {}
    for name, rows in {
        "left": [0, 3],
        "right": [2],
        "main": [5],
        "skip": [5],
        "hidden": [1],
    }.items():
        (node,) = (node for node in whole.weighted if node.name == name)
        weight, bias = node.weight.clone(), node.bias.clone()
        weight[rows], bias[rows] = 0, 0
        nodes[name] = replace(node, weight=weight, bias=bias)
    return whole.replaced(nodes)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_silent_filters_leave_at_no_budget_and_nothing_changes(seed: int) -> None:
    whole = silenced(graph(seed))
    found = prune_filters(whole, random_images(24, SHAPE), 0.0)
    assert found.error < 1e-24
    assert found.removed == {
        "left": (0, 3), "right": (2,), "main": (5,), "skip": (5,), "hidden": (1,), "head": (),
    }  # fmt: skip
    images = random_images(5, SHAPE, seed=9)
    torch.testing.assert_close(found.graph.run(images), whole.run(images), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("budget", [0.01, 0.1, 0.5])
def test_no_further_filter_could_leave(budget: float) -> None:
    whole, images = graph(1), random_images(6, SHAPE)
    found = prune_filters(whole, images, budget, tried=3)
    wanted = whole.run(images)
    error = float((found.graph.run(images) - wanted).square().sum() / wanted.square().sum())
    assert error == pytest.approx(found.error, abs=1e-15)
    assert error <= budget and any(found.removed.values())
    for node in found.graph.weighted:
        assert len(node.weight) >= 1
        assert len(node.weight) + len(found.removed[node.name]) == whole.shapes[node.name][2]
    # A group that says nothing is a group that has left.
    for group in channel_groups(found.graph):
        if any(found.graph.shapes[name][2] == 1 for name, _ in group):
            continue
        nodes: dict[str, Node] = {}
        for name, channel in group:
            for node in found.graph.weighted:
                if node.name == name:
                    weight, bias = node.weight.clone(), node.bias.clone()
                    weight[channel], bias[channel] = 0, 0
                    nodes[name] = replace(node, weight=weight, bias=bias)
        off = found.graph.replaced(nodes).run(images) - wanted
        assert float(off.square().sum() / wanted.square().sum()) > budget


def test_a_larger_budget_gives_a_smaller_graph() -> None:
    whole, images = graph(2), random_images(6, SHAPE)
    sizes = [
        sum(node.weight.numel() for node in prune_filters(whole, images, budget).graph.weighted)
        for budget in (0.0, 0.05, 0.3, 1e9)
    ]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[-1]
    least = prune_filters(whole, images, 1e9, keep=2).graph
    assert all(len(node.weight) == 2 for node in least.weighted[:-1])


@pytest.mark.parametrize("seed", range(8))
def test_any_graph_shrinks(seed: int) -> None:
    module, shape = random_module(seed, refused=0)
    whole = trace(module, shape)
    found = prune_filters(whole, random_images(3, shape), 0.2, tried=8)
    assert found.error <= 0.2
    assert (
        found.graph.run(random_images(2, shape)).shape == whole.run(random_images(2, shape)).shape
    )


def test_a_budget_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"budget is -0\.1; expected 0 or more"):
        prune_filters(graph(), random_images(2, SHAPE), -0.1)
    with pytest.raises(ValueError, match="images are 0, tried 4 and keep 1; expected at least one"):
        prune_filters(graph(), random_images(0, SHAPE), 0.1)
