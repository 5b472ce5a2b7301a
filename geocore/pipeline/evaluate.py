"""``evaluate``: predictions, calibration and equivariance of the trained network."""

from __future__ import annotations

import json
from collections.abc import Mapping

from geocore.config.evaluate import EvaluateParams
from geocore.config.gate import GateParams
from geocore.config.runtime import RuntimeParams
from geocore.config.section import Section
from geocore.data.tabletype import TableType
from geocore.pipeline.gate import gates
from geocore.pipeline.piece import copy_outputs, make_piece
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.runs.atomic import write_json

__all__ = ["STAGE"]


def wanted_type(sections: Mapping[str, Section]) -> TableType:
    """Nested maps with a class each, as the network was trained on."""
    del sections
    return TableType(grid="healpix", ordering="nested", label_kind="class")


def make(job: Job) -> Manifest:
    """Measure the network, or find in the store that it was: one piece holds all the files."""
    # Here, so that `geocore check` reads this declaration without importing torch.
    from geocore.pipeline.evaluation import evaluate

    return make_piece(job, lambda folder: evaluate(job, folder, wanted_type(job.sections)))


def write(job: Job, manifest: Manifest) -> None:
    """Copy the piece's files to where DVC expects them, and hold its metrics against the bounds.

    The bounds are no part of the piece, so that a changed one measures nothing again.
    """
    del manifest
    folder = copy_outputs(job, but=["gates"])
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    write_json(job.output("gates"), gates(metrics, job.section(GateParams)))


STAGE = Stage(
    name="evaluate",
    summary="accuracy, calibration and equivariance of the trained network",
    sections=(EvaluateParams, RuntimeParams),
    written_with=(GateParams,),
    takes={
        "healpix": Port("data/healpix", "table", type=wanted_type),
        "weights": Port("results/train/weights.safetensors", "weights"),
        "model": Port("results/train/model.json", "numbers"),
    },
    gives={
        "metrics": Port("results/evaluate/metrics.json", "metrics"),
        "gates": Port("results/evaluate/gates.json", "metrics"),
        "predictions": Port("results/evaluate/predictions.parquet", "numbers"),
        "equivariance": Port("results/evaluate/equivariance.parquet", "numbers"),
        "confusion": Port("results/evaluate/confusion.csv", "plots"),
        "reliability": Port("results/evaluate/reliability.csv", "plots"),
        "pictures": Port("results/evaluate/pictures", "pictures"),
    },
    code=("geocore.pipeline.evaluation",),
    make=make,
    write=write,
)
