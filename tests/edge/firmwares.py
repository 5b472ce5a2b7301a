"""From a description to its compiled firmware, for several tests."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geocore.edge.compiled import CompiledFirmware, compile_firmware
from geocore.edge.description import QuantisedModel
from geocore.edge.firmware import write_firmware
from geocore.edge.firmware_options import FirmwareOptions
from geocore.edge.qonnx_file import write_qonnx

__all__ = ["STREAM", "compiled", "written"]

STREAM = FirmwareOptions("io_stream", "Latency", 1, "Vitis", 5.0, "xczu9eg-ffvb1156-2-e")


def written(
    model: QuantisedModel,
    folder: Path,
    queues: Mapping[tuple[str, str], int] | None = None,
    **options: Any,
) -> tuple[Path, dict[str, int]]:
    """The folder of the sources, new with each call, and the reuse factors."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = Path(tempfile.mkdtemp(dir=folder))
    write_qonnx(model, sources / "network.onnx")
    trace = options.pop("trace", False)
    chosen = dataclasses.replace(STREAM, **options)
    reuse = write_firmware(
        sources / "network.onnx", model, chosen, sources / "sources", sources / "log", queues,
        trace=trace,
    )  # fmt: skip
    return sources / "sources", reuse


def compiled(model: QuantisedModel, folder: Path, **options: Any) -> CompiledFirmware:
    """Without optimisation, which takes longer than small networks are run."""
    sources, _ = written(model, folder, **options)
    return compile_firmware(sources, model, folder / "log", optimise=False)
