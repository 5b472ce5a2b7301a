"""A quantised network as a QONNX file: ONNX with its grids as Quant nodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from geocore.edge.tools import quiet_import
from geocore.errors import UserError

__all__ = ["bias_grid", "write_qonnx"]

_OPSET, _IR = 13, 8
_GENERAL, _CHANNELS_LAST = "qonnx.custom_op.general", "qonnx.custom_op.channels_last"
_EXACT = 24  # bits of an integer that float32 holds


def bias_grid(node: Weighted) -> FixedPoint:
    """The narrowest grid of two bits or more that holds a node's biases: see ``write_qonnx``."""
    found = node.bias_format
    return dataclasses.replace(found, bits=max(2, found.bits))


def write_qonnx(model: QuantisedModel, path: Path) -> None:
    """Write ``model`` in the form that hls4ml takes: channels-last, one image a batch.

    A grid is a Quant node of scale ``2^-f``, offset 0 and mode ROUND, to the nearest with ties to
    even, which saturates; an unsigned one is a ReLU. There is one behind the images and one behind
    each node that has a grid of its own, weights are on theirs and biases on the narrowest that
    holds them. A convolution pads by itself; a dense node is a Flatten, a product and a sum; of
    three values or more, Add and Concat take two at a time. Pools and upsamplings by 1 are left
    out. Tensors are float32, or float64 where an integer takes more than 24 bits. Equal models give
    equal bytes. The format: arXiv:2206.07527. Raises ``UserError`` for a grid of a single signed
    bit, which the format takes for -1 and 1, and ``ValueError`` for a node of no known kind.
    """
    onnx: Any = quiet_import("onnx")
    graph = _Graph(onnx.helper, onnx.TensorProto, model)
    last = graph.write()
    found = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "network",
            [graph.about(IMAGES)],
            [graph.about(last)],
            initializer=graph.constants,
            value_info=[graph.about(name) for name in graph.shapes if name not in (IMAGES, last)],
        ),
        producer_name="geocore",
        ir_version=_IR,
        opset_imports=[
            onnx.helper.make_opsetid("", _OPSET),
            onnx.helper.make_opsetid(_GENERAL, 1),
            onnx.helper.make_opsetid(_CHANNELS_LAST, 1),
        ],
    )
    path.write_bytes(found.SerializeToString(deterministic=True))


@dataclass
class _Graph:
    """The file's nodes in order, its constants, and the shape of every tensor."""

    helper: Any
    kinds: Any
    model: QuantisedModel
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tensors = [tensor for node in self.model.weighted for tensor in (node.weight, node.bias)]
        most = max((int(tensor.abs().max()) for tensor in tensors), default=0)
        self._wide = most.bit_length() > _EXACT
        self._taken = {IMAGES, *(node.name for node in self.model.nodes)}

    def about(self, name: str) -> Any:
        kind = self.kinds.DOUBLE if self._wide else self.kinds.FLOAT
        return self.helper.make_tensor_value_info(name, kind, list(self.shapes[name]))

    def write(self) -> str:
        """All of it. Returns the tensor that is the network's value."""
        self.shapes[IMAGES] = (1, *self.model.shape)
        values = {IMAGES: self._quant(IMAGES, IMAGES, self.model.input)}
        for node in self.model.nodes:
            values[node.name] = self._node(node, [values[source] for source in node.sources])
        return values[self.model.nodes[-1].name]

    def _node(self, node: Node, given: Sequence[str]) -> str:
        if isinstance(node, Weighted):
            sums = self._dense(node, *given) if isinstance(node, Dense) else ""
            if isinstance(node, Convolution):
                sums = self._convolution(node, *given)
            return sums if node.output is None else self._quant(node.name, sums, node.output)
        if isinstance(node, MaxPool):
            if node.size == 1:
                return given[0]
            window = {"kernel_shape": [node.size] * 2, "strides": [node.size] * 2, "pads": [0] * 4}
            return self._made(node.name, "MaxPool", given, self._out(node), _CHANNELS_LAST, window)
        if isinstance(node, Upsample):
            if node.factor == 1:
                return given[0]
            scales = [1.0, node.factor, node.factor, 1.0]
            how = {
                "mode": "nearest",
                "coordinate_transformation_mode": "asymmetric",
                "nearest_mode": "floor",
            }
            # Nothing reads the region, but hls4ml asks for one with a value.
            region = self._constant(f"region_of_{node.name}", np.zeros(1), wide=False)
            factors = self._constant(f"scales_of_{node.name}", np.asarray(scales), wide=False)
            inputs = [*given, region, factors]
            return self._made(node.name, "Resize", inputs, self._out(node), "", how)
        if isinstance(node, Add | Concatenate):
            return self._quant(node.name, self._joined(node, self._alike(node, given)), node.output)
        raise ValueError(f"{node.name} is a {type(node).__name__}; expected a node of this package")

    def _convolution(self, node: Convolution, given: str) -> str:
        above, below, left, right = node.padding
        weight = self._parameter(node, "weight", node.weight.permute(0, 2, 3, 1).numpy())
        bias = self._parameter(node, "bias", node.bias.numpy())
        window = {
            "kernel_shape": list(node.weight.shape[2:]),
            "strides": [node.stride] * 2,
            "pads": [above, left, below, right],
            "dilations": [1, 1],
            "group": 1,
        }
        inputs, shape = [given, weight, bias], self._out(node)
        return self._made(node.name, "Conv", inputs, shape, _CHANNELS_LAST, window)

    def _dense(self, node: Dense, given: str) -> str:
        flat = self._flat(node.name, given)
        shape = (1, len(node.weight))
        weight = self._parameter(node, "weight", node.weight.T.numpy())
        product = self._made(node.name, "MatMul", [flat, weight], shape)
        bias = self._parameter(node, "bias", node.bias.numpy())
        return self._made(f"sum_of_{node.name}", "Add", [product, bias], shape)

    def _flat(self, name: str, given: str) -> str:
        shape = self.shapes[given]
        if len(shape) == 2:
            return given
        return self._made(f"flat_of_{name}", "Flatten", [given], (1, int(np.prod(shape))))

    def _alike(self, node: Node, given: Sequence[str]) -> list[str]:
        """Of pixels and vectors, vectors: a dense node gives these."""
        if all(len(self.shapes[name]) == 4 for name in given):
            return list(given)
        return [self._flat(f"{node.name}_{place}", name) for place, name in enumerate(given)]

    def _joined(self, node: Add | Concatenate, given: Sequence[str]) -> str:
        here = given[0]
        adds = isinstance(node, Add)
        for place, other in enumerate(given[1:], start=2):
            name = node.name if place == len(given) else f"part_{place}_of_{node.name}"
            *room, channels = self.shapes[here]
            if adds:
                shape = (*room, channels)
                here = self._made(name, "Add", [here, other], shape)
            else:
                shape = (*room, channels + self.shapes[other][-1])
                axis = {"axis": len(shape) - 1}
                here = self._made(name, "Concat", [here, other], shape, "", axis)
        return here

    def _parameter(self, node: Weighted, part: str, integers: NDArray[np.int64]) -> str:
        grid = node.weight_format if part == "weight" else bias_grid(node)
        name = f"{part}_of_{node.name}"
        return self._quant(name, self._constant(name, integers * grid.step), grid)

    def _quant(self, name: str, given: str, grid: FixedPoint) -> str:
        """``given`` on ``grid``. Its constants are its own: hls4ml takes them out."""
        if grid.signed and grid.bits == 1:
            raise UserError(
                f"grid of {name} is one signed bit, which QONNX takes for -1 and 1; expected two "
                f"bits or more, or an unsigned one"
            )
        inputs = [given]
        for part, value in (("scale", grid.step), ("offset", 0.0), ("bits", grid.bits)):
            inputs.append(self._constant(f"{part}_of_{name}", np.asarray([value])))
        # hls4ml puts _act behind the name, which must not become that of another grid.
        how = {"signed": int(grid.signed), "narrow": 0, "rounding_mode": "ROUND"}
        return self._made(f"grid_of_{name}_", "Quant", inputs, self.shapes[given], _GENERAL, how)

    def _constant(self, name: str, values: NDArray[Any], *, wide: bool | None = None) -> str:
        name = self._free(name)
        wide = self._wide if wide is None else wide
        about = values.astype(np.float64 if wide else np.float32)
        kind = self.helper.np_dtype_to_tensor_dtype(about.dtype)
        self.constants.append(
            self.helper.make_tensor(name, kind, about.shape, about.tobytes(), raw=True)
        )
        self.shapes[name] = about.shape
        return name

    def _made(
        self,
        name: str,
        kind: str,
        inputs: Sequence[str],
        shape: tuple[int, ...],
        domain: str = "",
        attributes: Mapping[str, Any] | None = None,
    ) -> str:
        """A node. Returns the name of what it gives."""
        if name not in {node.name for node in self.model.nodes}:
            name = self._free(name)
        output = self._free(f"value_of_{name}")
        self.nodes.append(
            self.helper.make_node(
                kind, list(inputs), [output], name=name, domain=domain, **(attributes or {})
            )
        )
        self.shapes[output] = shape
        return output

    def _out(self, node: Node) -> tuple[int, ...]:
        return (1, *self.model.shapes[node.name])

    def _free(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name
