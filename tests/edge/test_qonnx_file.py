"""The QONNX file: the same bytes twice, nothing transposed, the student's logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from geocore.edge.qonnx_file import write_qonnx
from geocore.edge.reference import reference_logits
from geocore.edge.tools import quiet_import
from tests.edge.students import images, quantised

SHAPE = (6, 5, 2)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("qonnx") / "student.onnx"
    write_qonnx(quantised(SHAPE, (3, 2)), path)
    return path


def test_equal_students_give_equal_bytes(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_qonnx(quantised(SHAPE, (3, 2)), Path("again.onnx"))
    assert Path("again.onnx").read_bytes() == file.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.onnx"]


def test_nothing_is_transposed(file: Path) -> None:
    graph = quiet_import("qonnx.core.modelwrapper").ModelWrapper(str(file)).graph
    kinds = [node.op_type for node in graph.node if node.op_type != "Quant"]
    assert kinds == [
        "Conv", "Relu", "MaxPool", "Conv", "Relu", "MaxPool", "Flatten", "MatMul", "Add",
    ]  # fmt: skip


def test_the_file_says_what_the_student_says(file: Path) -> None:
    run = quiet_import("qonnx.core.onnx_exec").execute_onnx
    model = quiet_import("qonnx.core.modelwrapper").ModelWrapper(str(file))
    given = images(4, SHAPE)
    wanted = reference_logits(quantised(SHAPE, (3, 2)).describe(), given)
    for image, row in zip(given, wanted, strict=True):
        found = run(model, {model.graph.input[0].name: image[None].numpy()})
        logits = found[model.graph.output[0].name]
        assert np.array_equal(logits[0], row.numpy())
    assert torch.isfinite(wanted).all()
