"""``synthesize``: a quantised student of the same images, as firmware that was run bit by bit."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

from geocore.config.gate import GateParams
from geocore.config.section import Section
from geocore.config.synthesize import SynthesizeParams
from geocore.data.tabletype import TableType
from geocore.pipeline.gate import gates
from geocore.pipeline.piece import copy_outputs, make_piece
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.types import planar_images
from geocore.runs.atomic import write_json

__all__ = ["STAGE"]


def wanted_type(sections: Mapping[str, Section]) -> TableType:
    """Planar images with a class each, of any size and any number of channels."""
    return dataclasses.replace(planar_images(sections), label_kind="class")


def make(job: Job) -> Manifest:
    """Train, quantise, convert, compile and predict, or find in the store what of it was done."""
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
    summary="quantise a small student and run it as firmware, bit by bit",
    sections=(SynthesizeParams,),
    written_with=(GateParams,),
    takes={"raw": Port("data/raw", "table", type=wanted_type)},
    gives={
        "metrics": Port("results/synthesize/metrics.json", "metrics"),
        "gates": Port("results/synthesize/gates.json", "metrics"),
        "predictions": Port("results/synthesize/predictions.parquet", "numbers"),
        "layers": Port("results/synthesize/layers.csv", "numbers"),
        "model": Port("results/synthesize/student.qonnx.onnx", "numbers"),
        "weights": Port("results/synthesize/weights.safetensors", "weights"),
        "firmware": Port("results/synthesize/firmware", "numbers"),
    },
    code=("geocore.pipeline.synthesis",),
    libraries=("brevitas", "hls4ml", "onnx", "onnxoptimizer", "onnxruntime", "qonnx"),
    make=make,
    write=write,
)
