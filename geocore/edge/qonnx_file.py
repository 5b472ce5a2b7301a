"""The quantised student as a QONNX file: ONNX with its grids as Quant nodes."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geocore.edge.description import QuantisedModel
from geocore.edge.quantised import QuantisedStudent
from geocore.edge.tools import quiet_import

__all__ = ["write_qonnx"]


def write_qonnx(student: QuantisedStudent, path: Path) -> None:
    """Write the student in the form that hls4ml takes: channels-last, one image a batch.

    Brevitas exports the graph; constants are folded, the linear map becomes a product and a sum,
    and every layer's data runs channels-last, so that no transposition is left. Biases are given
    the narrowest width that holds them, in place of the 32 bits of the training. Equal students
    give equal bytes. The format: arXiv:2206.07527.
    """
    export: Any = quiet_import("brevitas.export")
    wrapper: Any = quiet_import("qonnx.core.modelwrapper")
    cleanup: Any = quiet_import("qonnx.util.cleanup")
    last: Any = quiet_import("qonnx.transformation.channels_last")
    matmul: Any = quiet_import("qonnx.transformation.gemm_to_matmul")
    example = torch.zeros(1, *student.shape)
    with tempfile.TemporaryDirectory() as scratch:
        file = str(Path(scratch) / "student.onnx")
        exported = export.export_qonnx(
            student.eval(), args=example, export_path=file, dynamo=False, opset_version=13
        )
    model = cleanup.cleanup_model(wrapper.ModelWrapper(exported))
    with warnings.catch_warnings():
        # It says so of every version but 9; that of 13 differs in the types it allows.
        warnings.filterwarnings("ignore", message="The GemmToMatMul transformation only offers")
        model = cleanup.cleanup_model(model.transform(matmul.GemmToMatMul()))
    channels_last = last.ConvertToChannelsLastAndClean(make_input_channels_last=False)
    model = cleanup.cleanup_model(model.transform(channels_last))
    _narrow_biases(model, student.describe())
    path.write_bytes(model.model.SerializeToString(deterministic=True))


def _narrow_biases(model: Any, description: QuantisedModel) -> None:
    """Set the bits of the Quant node of each bias; its values stay as they are."""
    sums = [node for node in model.graph.node if node.op_type in ("Conv", "Add")]
    for node, layer in zip(sums, description.weighted, strict=True):
        quant = model.find_producer(node.input[-1])
        bits = np.asarray(layer.bias_format.bits, dtype=np.float32)
        shape = model.get_initializer(quant.input[3]).shape
        model.set_initializer(quant.input[3], bits.reshape(shape))
