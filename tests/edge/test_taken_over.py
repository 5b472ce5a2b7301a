"""What hls4ml made, held against a description that says otherwise in one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from geocore.edge import firmware
from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import (
    IMAGES,
    Add,
    Concatenate,
    Convolution,
    MaxPool,
    Node,
    Upsample,
    Weighted,
)
from geocore.edge.taken_over import layer_name, left_out, paths, require_taken_over, seen
from tests.edge.firmwares import written
from tests.edge.networks import SIGNED, branched


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """hls4ml's graph of ``branched``."""
    found: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(firmware, "require_taken_over", lambda graph, *_: found.append(graph))
        written(branched(), tmp_path_factory.mktemp("firmware"))
    return found[0]


def changed(name: str, change: Callable[[Any], Node]) -> QuantisedModel:
    model = branched()
    nodes = tuple(change(node) if node.name == name else node for node in model.nodes)
    here = next(node for node in nodes if node.name == name)
    shape = here.shape([model.shapes[source] for source in here.sources])
    given = getattr(here, "output", None) or model.grids[name]
    found = object.__new__(QuantisedModel)  # unchecked: what comes behind would not take it
    found.__dict__.update(
        shape=model.shape,
        input=model.input,
        nodes=nodes,
        shapes=model.shapes | {name: shape},
        grids=model.grids | {name: given},
    )
    return found


def bias(node: Weighted) -> Node:
    return dataclasses.replace(node, bias=node.bias + torch.tensor([1, 0, 0]))


def weights(node: Weighted) -> Node:
    return dataclasses.replace(node, weight=-node.weight)


def grid(node: Any) -> Node:
    found: Node = dataclasses.replace(node, output=FixedPoint(5, 3, signed=True))
    return found


def finer(node: Weighted) -> Node:
    return dataclasses.replace(node, weight_format=FixedPoint(5, 3, signed=True))


def swapped(node: Node) -> Node:
    return dataclasses.replace(node, sources=node.sources[::-1])


def larger(node: MaxPool) -> Node:
    return dataclasses.replace(node, size=2)


def as_it_is(node: Node) -> Node:
    return node


def test_the_same_is_taken(converted: Any) -> None:
    require_taken_over(converted, branched(), "Latency")
    require_taken_over(converted, changed("sum", as_it_is), "Latency")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("last", bias, r"^hls4ml: bias of Dense_last is not the description's"),
        ("last", weights, r"^hls4ml: (weight|accum_t) of Dense_last is "),
        ("sum", grid, r"^hls4ml: result of sum is fixed<4,4,RND_CONV,SAT,0>; expected fixed<5"),
        ("halved", finer, r"^hls4ml: accum_t of Conv2D_halved is fixed<.*; expected fixed<"),
        ("sum", swapped, r"^hls4ml: sources of sum is \['same', 'met'\]; expected \['met', '"),
        ("small", larger, r"^hls4ml: small gives \(2, 2, 3\); expected \(3, 4, 3\)"),
    ],
)  # fmt: skip
def test_one_thing_else_is_not(
    converted: Any, name: str, change: Callable[[Any], Node], message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        require_taken_over(converted, changed(name, change), "Latency")


def test_a_layer_of_another_kind_or_none_is_not(converted: Any) -> None:
    extra = dataclasses.replace(branched().nodes[4], name="another")
    model = branched()
    found = object.__new__(QuantisedModel)
    found.__dict__.update(shape=model.shape, input=model.input, nodes=(*model.nodes[:5], extra))
    with pytest.raises(RuntimeError, match=r"^hls4ml: made nothing of another; expected a layer"):
        require_taken_over(converted, found, "Latency")
    layer = converted.graph["sum"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(layer), "class_name", "ApplyAlpha")
        with pytest.raises(RuntimeError, match=r"^hls4ml: made a ApplyAlpha of sum; expected none"):
            require_taken_over(converted, model, "Latency")


def test_the_first_two_of_three_are_joined_exactly(tmp_path: Path) -> None:
    found: list[Any] = []
    fine = FixedPoint(6, 4, signed=False)
    node = Convolution(
        "a", (IMAGES,), torch.ones(1, 1, 1, 1, dtype=torch.int64), torch.tensor([0]),
        FixedPoint(2, 0, signed=True), SIGNED, fine,
    )  # fmt: skip
    model = QuantisedModel((2, 2, 1), SIGNED, (node, Add("b", (IMAGES, "a", IMAGES), SIGNED)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(firmware, "require_taken_over", lambda graph, *_: found.append(graph))
        written(model, tmp_path)
    require_taken_over(found[0], model, "Latency")
    width = found[0].graph["part_2_of_b"].get_output_variable().type.precision
    # Of 3 bits above the point with a sign, and 2 without, a sum takes 4; below it 4.
    assert (width.integer, width.fractional, width.signed) == (4, 4, True)
    for part in ("integer", "width"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(width, part, getattr(width, part) - 1)
            with pytest.raises(RuntimeError, match=r"part_2_of_b is .*; expected 4 bits above and"):
                require_taken_over(found[0], model, "Latency")


def test_ways_between_nodes(converted: Any) -> None:
    model = branched()
    ways = paths(converted, model, converted.graph[layer_name(model.nodes[4])])
    assert [(name, len(variables)) for name, variables in ways] == [("same", 1), ("met", 2)]
    padded = paths(converted, model, converted.graph[layer_name(model.nodes[0])])
    assert [(name, len(variables)) for name, variables in padded] == [(IMAGES, 3)]


def test_nodes_that_change_nothing() -> None:
    nodes = (MaxPool("a", (IMAGES,), 1), Upsample("b", ("a",), 1), MaxPool("c", ("b",), 2))
    model = QuantisedModel((4, 4, 1), FixedPoint(3, 0, signed=True), nodes)
    assert [left_out(node) for node in nodes] == [True, True, False]
    assert [seen(model, name) for name in (IMAGES, "a", "b", "c")] == [IMAGES, IMAGES, IMAGES, "c"]
    names = [layer_name(node) for node in branched().nodes]
    assert names[0] == "Conv2D_halved" and names[2] == "met" and names[-1] == "Dense_last"
    assert isinstance(branched().nodes[0], Convolution)
    assert isinstance(branched().nodes[2], Concatenate)
