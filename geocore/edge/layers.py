"""What a quantised network costs, layer by layer: only what can be counted without a vendor."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Shape, Weighted

__all__ = ["COLUMNS", "layer_rows", "parameters", "write_layers"]

COLUMNS = (
    "name", "kind", "output", "weights", "nonzero_weights", "weight_bits", "weight_integer_bits",
    "accumulator_bits", "accumulator_integer_bits", "activation_bits", "activation_integer_bits",
    "multiplications", "bit_operations", "reuse_factor",
)  # fmt: skip

LayerRow = dict[str, str | int]


def layer_rows(model: QuantisedModel, reuse_factors: Mapping[str, int]) -> list[LayerRow]:
    """A row a layer, ``COLUMNS`` each; what a layer does not have is left empty.

    ``output`` is the shape of what the layer gives. Integer bits are those above the binary point,
    the sign's among them. Activation bits are those of the layer's output; the logits' are those
    of the last accumulator. A convolution's multiplications are taken at every position.
    """
    rows = [_row(IMAGES, "input", model.shape, model.input)]
    for node in model.nodes:
        row = _row(node.name, node.kind, model.shapes[node.name], model.grids[node.name])
        if isinstance(node, Weighted):
            row |= {
                "weights": node.weight.numel(),
                "nonzero_weights": int(node.weight.count_nonzero()),
                "weight_bits": node.weight_format.bits,
                "weight_integer_bits": node.weight_format.integer_bits,
                "accumulator_bits": node.accumulator.bits,
                "accumulator_integer_bits": node.accumulator.integer_bits,
                "multiplications": model.multiplications(node),
                "bit_operations": model.bit_operations(node),
                "reuse_factor": reuse_factors.get(node.name, ""),
            }
        rows.append(row)
    return rows


def parameters(model: QuantisedModel) -> int:
    """Weights and biases."""
    return sum(layer.weight.numel() + layer.bias.numel() for layer in model.weighted)


def write_layers(path: Path, rows: list[LayerRow]) -> None:
    """The rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _row(name: str, kind: str, shape: Shape, grid: FixedPoint) -> LayerRow:
    size = shape[2:] if shape[:2] == (1, 1) else shape
    return {
        "name": name,
        "kind": kind.replace("_", " "),
        "output": " x ".join(map(str, size)),
        "activation_bits": grid.bits,
        "activation_integer_bits": grid.integer_bits,
    }
