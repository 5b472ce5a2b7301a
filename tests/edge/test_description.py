"""The description: widths that are reached and never left, counts by hand, and its files."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.layers import layer_rows, parameters, write_layers
from geocore.edge.nodes import IMAGES, Add, Concatenate, Convolution, Dense, MaxPool, Node, Upsample
from tests.edge.students import quantised

INPUT = FixedPoint(2, 1, signed=False)  # 0, 1/2, 1, 3/2


def dense(weight: list[list[int]], bias: list[int], grid: FixedPoint = INPUT) -> Dense:
    return Dense(
        name="dense",
        sources=(IMAGES,),
        weight=torch.tensor(weight),
        bias=torch.tensor(bias),
        weight_format=FixedPoint(4, 2, signed=True),
        input=grid,
        output=None,
    )


@pytest.mark.parametrize(
    ("grid", "ends"), [(INPUT, (-13, 16)), (FixedPoint(2, 1, signed=True), (-10, 12))]
)
def test_the_accumulator_holds_every_partial_sum_and_not_a_bit_more(
    grid: FixedPoint, ends: tuple[int, int]
) -> None:
    layer = dense([[3, -2, 1], [-1, -1, 0]], [4, -7], grid)
    found = layer.accumulator
    assert found.fraction == 3
    seen: list[int] = []
    values = range(grid.lowest, grid.highest + 1)
    for weights, bias in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True):
        for pixels in itertools.product(values, repeat=3):
            terms = [w * x for w, x in zip(weights, pixels, strict=True)] + [bias]
            for order in itertools.permutations(terms):
                seen += itertools.accumulate(order)
    assert (min(seen), max(seen)) == ends
    assert found.lowest <= min(seen) and max(seen) <= found.highest
    assert found.highest // 2 < max(seen) or found.lowest // 2 > min(seen)  # a bit less would wrap


def test_counts_are_those_by_hand() -> None:
    model = quantised((9, 6, 2), (3, 5)).describe()  # weights 4 bits, activations 4, images 5
    assert model.shapes == {
        "images": (9, 6, 2), "convolution_0": (9, 6, 3), "pooling_0": (4, 3, 3),
        "convolution_1": (4, 3, 5), "pooling_1": (2, 1, 5), "dense": (1, 1, 3),
    }  # fmt: skip
    counts = [model.multiplications(node) for node in model.weighted]
    assert counts == [54 * 3 * 2 * 9, 12 * 5 * 3 * 9, 3 * 2 * 1 * 5]
    operations = [model.bit_operations(node) for node in model.weighted]
    assert operations == [counts[0] * 4 * 5, counts[1] * 4 * 4, counts[2] * 4 * 4]
    assert parameters(model) == 3 * 2 * 9 + 3 + 5 * 3 * 9 + 5 + 3 * 10 + 3


def test_a_row_a_layer(tmp_path: Path) -> None:
    model = quantised((9, 6, 2), (3, 5)).describe()
    reuse = {"convolution_0": 1, "convolution_1": 3, "dense": 2}
    rows = layer_rows(model, reuse)
    assert [(row["name"], row["output"]) for row in rows] == [
        ("images", "9 x 6 x 2"), ("convolution_0", "9 x 6 x 3"), ("pooling_0", "4 x 3 x 3"),
        ("convolution_1", "4 x 3 x 5"), ("pooling_1", "2 x 1 x 5"), ("dense", "3"),
    ]  # fmt: skip
    assert rows[3]["reuse_factor"] == 3
    assert rows[3]["nonzero_weights"] == int((model.weighted[1].weight != 0).sum())
    write_layers(tmp_path / "layers.csv", rows)
    lines = (tmp_path / "layers.csv").read_text().splitlines()
    assert lines[0].startswith("name,kind,output,weights,nonzero_weights,weight_bits")
    assert lines[1] == "images,input,9 x 6 x 2,,,,,,,5,0,,,"


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    model = quantised((8, 8, 1), (2,)).describe()
    tensors = {f"here.{name}": value for name, value in model.tensors().items()}
    save_file(tensors, tmp_path / "a.safetensors", metadata={"quantised": model.about()})
    found = QuantisedModel.read(tmp_path / "a.safetensors", "here.")
    assert found.about() == model.about()
    for mine, theirs in zip(found.weighted, model.weighted, strict=True):
        assert torch.equal(mine.weight, theirs.weight) and torch.equal(mine.bias, theirs.bias)


def branched() -> QuantisedModel:
    """Two ways of one image, joined twice."""
    step = FixedPoint(3, 1, signed=False)
    convolution = Convolution(
        "halved", (IMAGES,), torch.ones(3, 2, 2, 2).long(), torch.zeros(3).long(),
        FixedPoint(2, 0, signed=True), INPUT, step, stride=2,
    )  # fmt: skip
    return QuantisedModel(
        (4, 6, 2),
        INPUT,
        (
            convolution,
            MaxPool("pooled", (IMAGES,)),
            Concatenate("joined", ("halved", "pooled"), step),
            Add("doubled", ("joined", "joined"), FixedPoint(4, 1, signed=False)),
            Upsample("back", ("doubled",)),
        ),
    )


def test_a_graph_with_branches_is_read_back_too(tmp_path: Path) -> None:
    model = branched()
    assert model.shapes["joined"] == (2, 3, 5) and model.shapes["back"] == (4, 6, 5)
    assert model.grids["back"] == FixedPoint(4, 1, signed=False)
    save_file(model.tensors(), tmp_path / "a.safetensors", metadata={"quantised": model.about()})
    found = QuantisedModel.read(tmp_path / "a.safetensors")
    assert found.about() == model.about()
    assert [node.kind for node in found.nodes] == [
        "convolution", "max_pool", "concatenate", "add", "upsample",
    ]  # fmt: skip


def test_nodes_that_do_not_fit_are_refused_by_name() -> None:
    def made(*nodes: Node) -> None:
        QuantisedModel((4, 6, 2), INPUT, nodes)

    pooled = MaxPool("pooled", (IMAGES,))
    with pytest.raises(ValueError, match="nodes are none"):
        made()
    with pytest.raises(ValueError, match="b reads a; expected a node before it"):
        made(MaxPool("b", ("a",)), MaxPool("a", (IMAGES,)))
    with pytest.raises(ValueError, match="pooled is the name of two nodes"):
        made(pooled, pooled)
    with pytest.raises(ValueError, match="nobody reads pooled"):
        made(pooled, MaxPool("b", (IMAGES,)))
    with pytest.raises(ValueError, match="b has 2 sources; expected one"):
        made(pooled, MaxPool("b", (IMAGES, "pooled")))
    with pytest.raises(ValueError, match=r"b would give a value of shape \(0, 1, 2\)"):
        made(MaxPool("b", (IMAGES,), size=5))
    with pytest.raises(ValueError, match=r"dense is given .*; expected 3 numbers"):
        made(dense([[1, 2, 3]], [0]))
    with pytest.raises(
        ValueError, match=r"dense is given ufixed<2,1>; expected its input, fixed<2,"
    ):
        made(dense([[1] * 48], [0], FixedPoint(2, 1, signed=True)))
    with pytest.raises(ValueError, match=r"sum is given .*; expected two or more of one shape"):
        made(pooled, Add("sum", (IMAGES, "pooled"), INPUT))
    with pytest.raises(ValueError, match=r"both is given .*; expected two or more of one height"):
        made(pooled, Concatenate("both", (IMAGES, "pooled"), INPUT))


def test_numbers_that_are_none_of_their_format_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weights of dense go from -9 to 1; expected what fixed<"):
        dense([[1, -9]], [0])
    with pytest.raises(ValueError, match=r"bias of dense has shape \(2,\); expected \(1,\)"):
        dense([[1, 2]], [0, 1])


def test_other_files_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="its metadata has no 'quantised'"):
        QuantisedModel.read(tmp_path / "a.safetensors")
    model = quantised((8, 8, 1), (2,)).describe()
    with pytest.raises(ValueError, match=r"about lacks 'convolution_0\.weight'"):
        QuantisedModel.join(model.about(), {})
    old = json.dumps(json.loads(model.about()) | {"version": 1})
    with pytest.raises(ValueError, match="about is of version 1; expected 2: write it again"):
        QuantisedModel.join(old, model.tensors())
