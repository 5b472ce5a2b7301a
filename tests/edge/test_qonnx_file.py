"""The QONNX file: the same bytes twice, nothing transposed, the reference's numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.nodes import IMAGES, Add, Concatenate, Convolution, Dense, MaxPool, Upsample
from geocore.edge.preflight import corner_images
from geocore.edge.qonnx_file import bias_grid, write_qonnx
from geocore.edge.reference import reference_logits
from geocore.edge.tools import quiet_import
from geocore.errors import UserError
from tests.edge.networks import PLAIN, SIGNED, WEIGHT, branched, tiny
from tests.edge.students import quantised


def loaded(model: QuantisedModel, path: Path) -> Any:
    write_qonnx(model, path)
    return quiet_import("qonnx.core.modelwrapper").ModelWrapper(str(path))


def agrees(model: QuantisedModel, path: Path) -> None:
    """The format's own executor gives the reference's numbers, in shape and in value."""
    run = quiet_import("qonnx.core.onnx_exec").execute_onnx
    graph = loaded(model, path)
    given = corner_images(model, 6)
    for image, wanted in zip(given, reference_logits(model, given), strict=True):
        found = run(graph, {IMAGES: image[None].float().numpy()})
        values = found[graph.graph.output[0].name][0]
        assert values.shape in (wanted.shape, model.shapes[model.nodes[-1].name])
        assert np.array_equal(values.reshape(wanted.shape), wanted.numpy())


def three(kind: type[Add] | type[Concatenate]) -> QuantisedModel:
    """Three values of one node of ``kind``, and vectors beside a pixel of one more."""
    weight = torch.tensor([[1, -3], [2, 5]])
    bias = torch.tensor([7, -2])
    point = Convolution("a", (IMAGES,), weight[..., None, None], bias, WEIGHT, SIGNED, PLAIN)
    wide = weight if kind is Add else weight.repeat(1, 3)
    flat = torch.arange(8).reshape(2, 4) - 3
    grid = FixedPoint(6, 1, signed=True)
    return QuantisedModel(
        (3, 2, 2),
        SIGNED,
        (
            point,
            MaxPool("same", ("a",), 1),
            kind("b", ("same", IMAGES, "a"), grid),
            Convolution("c", ("b",), wide[..., None, None], bias, WEIGHT, grid, PLAIN),
            MaxPool("d", ("c",), 2),
            Dense("e", ("d",), flat[:, :2], bias, WEIGHT, PLAIN, SIGNED),
            kind("f", ("e", "d"), grid),
        ),
    )  # fmt: skip


def binary() -> QuantisedModel:
    weight = torch.tensor([[1, -1], [-1, 1], [1, 1]])
    two, bias = FixedPoint(2, 3, signed=True), torch.zeros(3, dtype=torch.int64)
    return QuantisedModel(
        (1, 2, 1), PLAIN, (Dense("d", (IMAGES,), weight, bias, two, PLAIN, None),)
    )


def enlarged() -> QuantisedModel:
    return QuantisedModel((2, 3, 1), SIGNED, (Upsample("u", (IMAGES,), 3),))


MODELS = {
    "branched": branched(),
    "tiny": tiny(),
    "sums of three": three(Add),
    "three joined": three(Concatenate),
    "binary": binary(),
    "upsampled": enlarged(),
    "a student": quantised((6, 5, 2), (3, 2)).describe(),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_file_says_what_the_reference_says(name: str, tmp_path: Path) -> None:
    agrees(MODELS[name], tmp_path / "network.onnx")


@pytest.mark.parametrize("name", MODELS)
def test_equal_models_give_equal_bytes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = MODELS[name]
    write_qonnx(model, tmp_path / "one.onnx")
    again = QuantisedModel.join(model.about(), model.tensors())
    write_qonnx(again, Path("two.onnx"))
    assert Path("two.onnx").read_bytes() == Path("one.onnx").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"one.onnx", "two.onnx"}


def test_it_is_onnx_that_says_where_its_grids_are(tmp_path: Path) -> None:
    model = branched()
    graph = loaded(model, tmp_path / "a.onnx")
    kinds = [node.op_type for node in graph.graph.node if node.op_type != "Quant"]
    assert kinds == [
        "Conv", "MaxPool", "Concat", "Conv", "Add", "Resize", "Conv", "MaxPool", "Flatten",
        "MatMul", "Add", "MatMul", "Add",
    ]  # fmt: skip
    quants = {node.name: node for node in graph.graph.node if node.op_type == "Quant"}
    of_values = ["halved", "met", "same", "sum", "point", "first", IMAGES]
    of_weights = [f"{p}_of_{n.name}" for n in model.weighted for p in ("weight", "bias")]
    assert set(quants) == {f"grid_of_{name}_" for name in of_values + of_weights}
    for node in model.weighted:
        quant = quants[f"grid_of_bias_of_{node.name}_"]
        assert graph.get_initializer(quant.input[3]).tolist() == [bias_grid(node).bits]
    opsets = {entry.domain: entry.version for entry in graph.model.opset_import}
    assert opsets[""] == 13


def test_names_that_it_makes_itself_may_be_taken(tmp_path: Path) -> None:
    nodes = (
        MaxPool("grid_of_images_", (IMAGES,)),
        MaxPool("value_of_grid_of_images_", ("grid_of_images_",)),
    )
    agrees(QuantisedModel((5, 4, 1), SIGNED, nodes), tmp_path / "a.onnx")


def test_a_single_signed_bit_is_refused(tmp_path: Path) -> None:
    node = MaxPool("p", (IMAGES,))
    model = QuantisedModel((2, 2, 1), FixedPoint(1, 0, signed=True), (node,))
    with pytest.raises(
        UserError, match=r"^grid of images is one signed bit, which QONNX takes for"
    ):
        write_qonnx(model, tmp_path / "a.onnx")


def test_integers_beyond_24_bits_are_kept(tmp_path: Path) -> None:
    wide = FixedPoint(16, 15, signed=True)
    bias = 2**28 + 1
    node = Dense("d", (IMAGES,), torch.tensor([[3]]), torch.tensor([bias]), wide, wide, None)
    graph = loaded(QuantisedModel((1, 1, 1), wide, (node,)), tmp_path / "a.onnx")
    held = graph.get_initializer("bias_of_d")
    assert held.dtype == np.float64 and held[0] * 2**30 == bias
    # What float32 would have made of it.
    assert float(np.float32(bias)) != bias
