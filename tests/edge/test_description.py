"""The description: widths that are reached and never left, counts by hand, and its files."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from geocore.edge.description import QuantisedLayer, QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.layers import layer_rows, parameters, write_layers
from tests.edge.students import quantised

INPUT = FixedPoint(2, 1, signed=False)  # 0, 1/2, 1, 3/2


def dense(weight: list[list[int]], bias: list[int]) -> QuantisedLayer:
    return QuantisedLayer(
        name="dense",
        kind="dense",
        weight=torch.tensor(weight),
        bias=torch.tensor(bias),
        weight_format=FixedPoint(4, 2, signed=True),
        input=INPUT,
        output=None,
    )


def test_the_accumulator_holds_every_partial_sum_and_not_a_bit_more() -> None:
    layer = dense([[3, -2, 1], [-1, -1, 0]], [4, -7])
    grid = layer.accumulator
    assert grid.fraction == 3
    seen: list[int] = []
    for weights, bias in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True):
        for pixels in itertools.product(range(4), repeat=3):
            terms = [w * x for w, x in zip(weights, pixels, strict=True)] + [bias]
            for order in itertools.permutations(terms):
                seen += itertools.accumulate(order)
    assert (min(seen), max(seen)) == (-13, 16)
    assert grid.lowest <= min(seen) and max(seen) <= grid.highest
    assert grid.highest // 2 < 16  # one bit less would wrap


def test_a_signed_input_has_another_law() -> None:
    layer = dataclasses.replace(dense([[1]], [0]), input=FixedPoint(4, 0, signed=True))
    with pytest.raises(ValueError, match="input of dense is fixed<4,4>; expected an unsigned form"):
        _ = layer.accumulator


def test_counts_are_those_by_hand() -> None:
    model = quantised((9, 6, 2), (3, 5)).describe()  # weights 4 bits, activations 4, images 5
    assert model.sizes() == [(9, 6), (4, 3), (2, 1)]
    assert model.multiplications() == [54 * 3 * 2 * 9, 12 * 5 * 3 * 9, 3 * 2 * 1 * 5]
    first, second, last = model.multiplications()
    assert model.bit_operations() == [first * 4 * 5, second * 4 * 4, last * 4 * 4]
    assert parameters(model) == 3 * 2 * 9 + 3 + 5 * 3 * 9 + 5 + 3 * 10 + 3


def test_a_row_a_layer(tmp_path: Path) -> None:
    model = quantised((9, 6, 2), (3, 5)).describe()
    reuse = {"convolution_0": 1, "convolution_1": 3, "dense": 2}
    rows = layer_rows(model, reuse)
    assert [(row["name"], row["output"]) for row in rows] == [
        ("input", "9 x 6 x 2"), ("convolution_0", "9 x 6 x 3"), ("pooling_0", "4 x 3 x 3"),
        ("convolution_1", "4 x 3 x 5"), ("pooling_1", "2 x 1 x 5"), ("dense", "3"),
    ]  # fmt: skip
    assert rows[3]["reuse_factor"] == 3
    assert rows[3]["nonzero_weights"] == int((model.layers[1].weight != 0).sum())
    write_layers(tmp_path / "layers.csv", rows)
    lines = (tmp_path / "layers.csv").read_text().splitlines()
    assert lines[0].startswith("name,kind,output,weights,nonzero_weights,weight_bits")
    assert lines[1] == "input,input,9 x 6 x 2,,,,,,,5,0,,,"


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    model = quantised((8, 8, 1), (2,)).describe()
    tensors = {f"here.{name}": value for name, value in model.tensors().items()}
    save_file(tensors, tmp_path / "a.safetensors", metadata={"quantised": model.about()})
    found = QuantisedModel.read(tmp_path / "a.safetensors", "here.")
    assert found.about() == model.about()
    for mine, theirs in zip(found.layers, model.layers, strict=True):
        assert torch.equal(mine.weight, theirs.weight) and torch.equal(mine.bias, theirs.bias)


def test_other_files_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="its metadata has no 'quantised'"):
        QuantisedModel.read(tmp_path / "a.safetensors")
    model = quantised((8, 8, 1), (2,)).describe()
    with pytest.raises(ValueError, match=r"about lacks 'convolution_0\.weight'"):
        QuantisedModel.join(model.about(), {})
