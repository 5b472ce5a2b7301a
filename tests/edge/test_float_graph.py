"""The float graph: hand-made values, what cannot be negative, and nodes that do not fit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.edge.float_graph import (
    FloatAdd,
    FloatConcatenate,
    FloatConvolution,
    FloatDense,
    FloatGraph,
)
from geocore.edge.nodes import IMAGES, MaxPool, Node, Upsample


def numbers(*shape: int) -> Tensor:
    size = int(torch.tensor(shape).prod())
    return torch.arange(size, dtype=torch.float64).reshape(shape)


def point(name: str, source: str, weight: list[list[float]], relu: bool = False) -> Node:
    """A convolution of one pixel."""
    held = torch.tensor(weight, dtype=torch.float64)[:, :, None, None]
    return FloatConvolution(name, (source,), held, held.new_zeros(len(held)), relu)


def test_each_node_by_hand() -> None:
    convolution = FloatConvolution(
        "c", (IMAGES,), numbers(1, 1, 1, 2), torch.tensor([0.5]).double(), padding=(1, 0, 0, 1)
    )
    # A row of zeros above, a column on the right; the kernel takes the pixel on the right.
    graph = FloatGraph(
        (1, 2, 1),
        (
            convolution,
            MaxPool("p", ("c",), 2),
            Upsample("u", ("p",), 2),
            FloatAdd("a", ("u", "u"), relu=True),
            FloatConcatenate("m", ("a", "c")),
            FloatDense("d", ("m",), numbers(1, 8), torch.zeros(1).double()),
        ),
    )
    values = graph.values(torch.tensor([[[[1.0], [3.0]]]]).double())
    assert values["c"][0, :, :, 0].tolist() == [[0.5, 0.5], [3.5, 0.5]]
    assert values["a"][0, :, :, 0].tolist() == [[7.0, 7.0], [7.0, 7.0]]
    assert values["m"][0].flatten().tolist() == [7, 0.5, 7, 0.5, 7, 3.5, 7, 0.5]
    assert float(values["d"]) == 7 * (0 + 2 + 4 + 6) + 0.5 * (1 + 3 + 7) + 3.5 * 5
    assert graph.run(torch.zeros(5, 1, 2, 1)).shape == (5, 1)


def test_what_cannot_be_negative() -> None:
    graph = FloatGraph(
        (2, 2, 1),
        (
            point("one", IMAGES, [[1.0]], relu=True),
            point("two", IMAGES, [[-1.0]]),
            FloatAdd("plus", ("one", IMAGES)),
            FloatConcatenate("both", ("plus", "two")),
            FloatConcatenate("cut", ("plus", "two"), relu=True),
            FloatAdd("sum", ("both", "cut")),
            MaxPool("pool", ("sum",)),
        ),
    )
    assert graph.nonnegative == {IMAGES, "one", "plus", "cut"}
    given = torch.rand(3, 2, 2, 1)
    for name, value in graph.values(given).items():
        assert name not in graph.nonnegative or float(value.min()) >= 0


def test_nodes_that_do_not_fit() -> None:
    one = point("one", IMAGES, [[1.0]])
    wrong: list[tuple[tuple[Node, ...], str]] = [
        ((), "nodes are none"),
        ((one, one), "one is the name of two nodes"),
        ((point("one", "two", [[1.0]]),), "one reads two; expected a node before it"),
        ((one, point("two", IMAGES, [[1.0]])), "nobody reads one"),
        ((point("one", IMAGES, [[1.0, 1.0]]),), "one is given 1 channels; expected 2"),
        ((FloatAdd("sum", (IMAGES,)),), "expected two or more of one shape"),
        ((one, MaxPool("pool", ("one",), 3)), "would give a value of shape"),
    ]
    for nodes, message in wrong:
        with pytest.raises(ValueError, match=message):
            FloatGraph((2, 2, 1), nodes)
    with pytest.raises(ValueError, match="expected float64"):
        FloatDense("d", (IMAGES,), torch.ones(1, 4), torch.ones(1))
    with pytest.raises(ValueError, match="not finite"):
        point("one", IMAGES, [[float("nan")]])
    with pytest.raises(ValueError, match=r"images are \(3, 2, 1\); expected \(2, 2, 1\)"):
        FloatGraph((2, 2, 1), (one,)).run(torch.zeros(1, 3, 2, 1))
