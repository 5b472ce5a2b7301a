"""``evaluate``: predictions, calibration and equivariance of the trained network, and beside it
those of its ensemble and of its kernel twin, on the same samples.

A network that answers pixel by pixel is measured on the grid that it reads, the sphere's or the
image plane's, and where the stage has the other table as well, on that one.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from geocore.config.evaluate import EvaluateParams
from geocore.config.gate import GateParams
from geocore.config.runtime import RuntimeParams
from geocore.pipeline.gate import gates
from geocore.pipeline.piece import copy_outputs, make_part, make_piece
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.types import SOURCES, table_type
from geocore.runs.atomic import write_json

__all__ = ["STAGE"]

_OF_PIXELS = ("evaluate.invalid_classes", "evaluate.chamfer_points")


def make(job: Job) -> Manifest:
    """Measure the network, which is a part, and join its companions, which is quick."""
    # Here, so that `geocore check` reads this declaration without importing torch.
    from geocore.pipeline.dense_evaluation import evaluate_pixels
    from geocore.pipeline.evaluation import evaluate, source
    from geocore.pipeline.side_by_side import put_together

    if _dense(job):
        return make_piece(job, lambda folder: evaluate_pixels(job, folder))
    name = source(job)  # of the images that the network reads

    def build(folder: Path) -> Manifest:
        network = make_part(
            job,
            "evaluate-network",
            lambda part: evaluate(job, part, name),
            parameters={
                leaf: value
                for leaf, value in job.values.items()
                if leaf.startswith("evaluate.") and leaf not in _OF_PIXELS
            },
            inputs={name: job.inputs[name] for name in (name, "weights", "model")},
            code=["geocore.pipeline.evaluation"],
            device=job.section(RuntimeParams).device,
        )
        return put_together(job, network, folder)

    return make_piece(job, build)


def _dense(job: Job) -> bool:
    """Whether the network answers for every pixel; a damaged file is left to who reads it whole."""
    try:
        about = json.loads(job.input("model").read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(about, dict) and about.get("task", "classification") != "classification"


def write(job: Job, manifest: Manifest) -> None:
    """Copy the piece's files to where DVC expects them, and hold its metrics against the bounds.

    The bounds are no part of the piece, so that a changed one measures nothing again.
    """
    del manifest
    folder = copy_outputs(job, but=["gates"])
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    write_json(job.output("gates"), gates(STAGE.name, metrics, job.section(GateParams)))


STAGE = Stage(
    name="evaluate",
    summary="accuracy, calibration and equivariance of the network, beside ensemble and kernels; "
    "IoU, depth errors and point clouds of one that answers pixel by pixel",
    sections=(EvaluateParams, RuntimeParams),
    written_with=(GateParams,),
    takes={
        **{
            name: Port(
                f"data/{name}",
                "table",
                type=partial(table_type, name),
                optional=True,
                choice=True,
            )
            for name in SOURCES
        },
        "weights": Port("results/train/weights.safetensors", "weights"),
        "model": Port("results/train/model.json", "numbers"),
        "ensemble": Port("results/ensemble/predictions.parquet", "numbers", optional=True),
        "members": Port("results/ensemble/members.parquet", "numbers", optional=True),
        "kernels": Port("results/ntk/predictions.parquet", "numbers", optional=True),
    },
    gives={
        "metrics": Port("results/evaluate/metrics.json", "metrics"),
        "gates": Port("results/evaluate/gates.json", "metrics"),
        "predictions": Port("results/evaluate/predictions.parquet", "numbers"),
        "equivariance": Port("results/evaluate/equivariance.parquet", "numbers"),
        "confusion": Port("results/evaluate/confusion.csv", "plots"),
        "reliability": Port("results/evaluate/reliability.csv", "plots"),
        "kept": Port("results/evaluate/kept.csv", "plots"),
        "pictures": Port("results/evaluate/pictures", "pictures"),
    },
    code=(
        "geocore.pipeline.dense_evaluation",
        "geocore.pipeline.evaluation",
        "geocore.pipeline.side_by_side",
    ),
    make=make,
    write=write,
)
