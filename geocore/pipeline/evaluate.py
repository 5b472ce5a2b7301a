"""``evaluate``: predictions, calibration and equivariance of the trained network."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from geocore.config.evaluate import EvaluateParams
from geocore.config.gate import GateParams
from geocore.config.runtime import RuntimeParams
from geocore.config.section import Section
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.runs.atomic import replacing

__all__ = ["STAGE"]


def wanted_type(sections: Mapping[str, Section]) -> TableType:
    """Nested maps with a class each, as the network was trained on."""
    del sections
    return TableType(grid="healpix", ordering="nested", label_kind="class")


def make(job: Job) -> Manifest:
    """Measure the network, or find in the store that it was: one piece holds all the files."""
    # Here, so that `geocore check` reads this declaration without importing torch.
    from geocore.pipeline.evaluation import evaluate

    piece, made = job.store.make(
        job.key,
        lambda folder: evaluate(job, folder, wanted_type(job.sections)),
        verb="evaluate",
        parameters=job.values,
        on_wait=job.progress.say,
    )
    job.note(pieces={job.key: "made" if made else "found"})
    return piece.values


def write(job: Job, manifest: Manifest) -> None:
    """Copy the piece's files to where DVC expects them."""
    del manifest
    piece = job.store.find(job.key)
    if piece is None:
        raise UserError(f"piece {job.key} is gone or damaged since it was made; run it again")
    for name, port in job.stage.gives.items():
        source = piece.folder / Path(port.path).name
        with replacing(job.output(name)) as temporary:
            if source.is_dir():
                shutil.copytree(source, temporary)
            else:
                shutil.copyfile(source, temporary)


STAGE = Stage(
    name="evaluate",
    summary="accuracy, calibration and equivariance of the trained network",
    sections=(EvaluateParams, GateParams, RuntimeParams),
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
    code=("geocore.pipeline.evaluate",),
    make=make,
    write=write,
)
