"""What a quantised network costs, layer by layer: only what can be counted without a vendor."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from geocore.edge.description import QuantisedModel

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
    sizes = model.sizes()
    rows = [_row("input", "input", *model.shape)]
    rows[0] |= {
        "activation_bits": model.input.bits,
        "activation_integer_bits": model.input.integer_bits,
    }
    counts = zip(model.layers, model.multiplications(), model.bit_operations(), strict=True)
    for number, (layer, multiplications, bit_operations) in enumerate(counts):
        outputs = len(layer.weight)
        given = layer.output or layer.accumulator
        convolution = layer.kind == "convolution"
        shape = (*sizes[number], outputs) if convolution else (outputs,)
        rows.append(
            _row(layer.name, layer.kind, *shape)
            | {
                "weights": layer.weight.numel(),
                "nonzero_weights": int(layer.weight.count_nonzero()),
                "weight_bits": layer.weight_format.bits,
                "weight_integer_bits": layer.weight_format.integer_bits,
                "accumulator_bits": layer.accumulator.bits,
                "accumulator_integer_bits": layer.accumulator.integer_bits,
                "activation_bits": given.bits,
                "activation_integer_bits": given.integer_bits,
                "multiplications": multiplications,
                "bit_operations": bit_operations,
                "reuse_factor": reuse_factors[layer.name],
            }
        )
        if convolution:
            pooled = _row(f"pooling_{number}", "max pooling", *sizes[number + 1], outputs)
            same = ("activation_bits", "activation_integer_bits")
            rows.append(pooled | {name: rows[-1][name] for name in same})
    return rows


def parameters(model: QuantisedModel) -> int:
    """Weights and biases."""
    return sum(layer.weight.numel() + layer.bias.numel() for layer in model.layers)


def write_layers(path: Path, rows: list[LayerRow]) -> None:
    """The rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _row(name: str, kind: str, *shape: int) -> LayerRow:
    return {"name": name, "kind": kind, "output": " x ".join(map(str, shape))}
