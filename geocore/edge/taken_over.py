"""What hls4ml will write against the description: widths, shapes, edges, and every weight."""

from __future__ import annotations

from typing import Any

import numpy as np

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import (
    IMAGES,
    Add,
    Concatenate,
    Convolution,
    Dense,
    MaxPool,
    Node,
    Upsample,
    Weighted,
)
from geocore.edge.qonnx_file import bias_grid
from geocore.errors import UserError

__all__ = ["layer_name", "left_out", "paths", "require_taken_over", "rounded", "seen"]

_WEIGHTED = {"Conv2D", "PointwiseConv2D", "Dense"}
_OTHER = {"Concatenate", "Input", "Merge", "Pooling2D", "Resize"}
_JOINS = {"Concatenate", "Merge"}
_OF_ONE_WIDTH = {"Pooling2D", "Resize"}
_THROUGH = {"Clone", "Repack", "Reshape", "ZeroPadding2D"}  # what they give is what they are given


def layer_name(node: Node) -> str:
    """What hls4ml calls the layer that gives a node's value."""
    if isinstance(node, Convolution):
        return f"Conv2D_{node.name}"
    return f"Dense_{node.name}" if isinstance(node, Dense) else node.name


def rounded(grid: FixedPoint) -> str:
    """The grid's type as hls4ml spells it, onto which values are rounded and saturate."""
    return f"{str(grid)[:-1]},RND_CONV,SAT,0>"


def require_taken_over(converted: Any, model: QuantisedModel, strategy: str) -> None:
    """Raise ``RuntimeError`` for a layer, an edge, a width or a number that is not the model's, and
    ``UserError`` for two types of one name.

    Samples alone would not show a width that a rare image leaves. Grids are told of by their
    layers' results, which round to the nearest, ties to even, and saturate.
    """
    names = {node.name for node in model.nodes}
    for layer in converted.get_layers():
        if layer.class_name in _JOINS and layer.name not in names:
            _require_exact(layer)
        if layer.class_name not in _WEIGHTED | _OTHER | _THROUGH:
            raise RuntimeError(f"hls4ml: made a {layer.class_name} of {layer.name}; expected none")
        if layer.class_name in _THROUGH | _OF_ONE_WIDTH:
            given = str(layer.get_input_variable().type.precision)
            for name in layer.outputs:
                width = str(layer.get_output_variable(name).type.precision)
                _require(layer, "result", width, given)
    _require_own_types(converted)
    _require_width(converted.graph[IMAGES], model.input)
    for node in model.nodes:
        if left_out(node):
            continue
        layer = converted.graph.get(layer_name(node))
        if layer is None:
            raise RuntimeError(f"hls4ml: made nothing of {node.name}; expected a layer")
        shape = model.shapes[node.name]
        found = tuple(layer.get_output_variable().shape)
        if found != shape and not (shape[:2] == (1, 1) and found == shape[2:]):
            raise RuntimeError(f"hls4ml: {node.name} gives {found}; expected {shape}")
        sources = [source for source, _ in paths(converted, model, layer)]
        _require(layer, "sources", sources, [seen(model, source) for source in node.sources])
        if isinstance(node, Weighted):
            _require_weights(layer, node, strategy)
        if isinstance(node, Add | Concatenate) or getattr(node, "output", None) is not None:
            _require_width(layer, model.grids[node.name])


def paths(converted: Any, model: QuantisedModel, layer: Any) -> list[tuple[str, list[Any]]]:
    """Whose values a layer reads: each node's name, and the variables on the way from it.

    A variable is a stream where data are streamed. Layers that only pass on are followed, and so is
    the chain of layers that a sum or a concatenation of three values or more is.
    """
    names = {layer_name(node): node.name for node in model.nodes} | {IMAGES: IMAGES}
    producers = {name: given for given in converted.graph.values() for name in given.outputs}
    found: list[tuple[str, list[Any]]] = []
    for tensor in layer.inputs:
        given = producers[tensor]
        variables = [given.get_output_variable(tensor)]
        while given.class_name in _THROUGH:
            tensor = given.inputs[0]
            given = producers[tensor]
            variables.append(given.get_output_variable(tensor))
        if given.name in names:
            found.append((names[given.name], variables))
        else:
            before = paths(converted, model, given)
            found += [(name, [*variables, *others]) for name, others in before]
    return found


def left_out(node: Node) -> bool:
    """Of a node that changes nothing there is no layer."""
    return (isinstance(node, MaxPool) and node.size == 1) or (
        isinstance(node, Upsample) and node.factor == 1
    )


def seen(model: QuantisedModel, source: str) -> str:
    """Where a value comes from once nodes that change nothing are left out."""
    nodes = {node.name: node for node in model.nodes}
    while source in nodes and left_out(nodes[source]):
        source = nodes[source].sources[0]
    return source


def _require_exact(layer: Any) -> None:
    """Of the first two of three values or more, before they are put on a grid."""
    given = [layer.get_input_variable(name).type.precision for name in layer.inputs]
    found = layer.get_output_variable().type.precision
    signed = any(width.signed for width in given)
    integer = max(width.integer + (signed and not width.signed) for width in given)
    integer += layer.class_name == "Merge"
    fraction = max(width.fractional for width in given)
    if found.signed < signed or found.integer < integer or found.fractional < fraction:
        wanted = f"{integer} bits above and {fraction} below the point"
        raise RuntimeError(f"hls4ml: result of {layer.name} is {found}; expected {wanted}")


def _require_own_types(converted: Any) -> None:
    """Two widths of one name would both become the first: hls4ml takes names in small letters."""
    widths: dict[str, str] = {}
    for layer in converted.get_layers():
        for kind in layer.types.values():
            name, width = str(kind.name), str(kind.precision)
            if widths.setdefault(name, width) != width:
                raise UserError(
                    f"hls4ml: {name} is {widths[name]} and {width} of {layer.name}; expected one "
                    f"type a name: call layers by names that differ in more than capitals"
                )


def _require_width(layer: Any, grid: FixedPoint) -> None:
    _require(layer, "result", str(layer.get_output_variable().type.precision), rounded(grid))


def _require(layer: Any, what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise RuntimeError(f"hls4ml: {what} of {layer.name} is {found}; expected {wanted}")


def _require_weights(layer: Any, node: Weighted, strategy: str) -> None:
    wanted = {
        "accum_t": node.accumulator,
        "weight_t": node.weight_format,
        "bias_t": bias_grid(node),
    }
    if node.output is None:
        wanted["result_t"] = node.accumulator
    for name, grid in wanted.items():
        width = layer.types[name].precision
        spare = width.integer - grid.integer_bits, width.fractional - grid.fraction
        if min(spare) < 0 or (max(spare) > 0 and name != "result_t"):
            raise RuntimeError(f"hls4ml: {name} of {layer.name} is {width}; expected {grid}")
    # Channels-last, the outputs behind; with Resource before, which is how it reads them.
    weight = node.weight.permute(0, 2, 3, 1) if node.weight.ndim == 4 else node.weight
    if strategy == "Latency":
        weight = weight.movedim(0, -1)
    pairs = (
        ("weight", weight, node.weight_format.step),
        ("bias", node.bias, bias_grid(node).step),
    )
    for name, integers, step in pairs:
        values = np.asarray(layer.weights[name].data, dtype=np.float64)
        if not np.array_equal(values, integers.double().numpy() * step):
            raise RuntimeError(f"hls4ml: {name} of {layer.name} is not the description's")
