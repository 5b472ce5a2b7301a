"""The body of ``evaluate``: everything that is measured on a trained network, into one folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from geocore.config.evaluate import EvaluateParams
from geocore.config.runtime import RuntimeParams
from geocore.data.table import Table
from geocore.errors import UserError
from geocore.models.registry import load, read_info
from geocore.pipeline.evaluation_pictures import draw
from geocore.pipeline.evaluation_pieces import Measurement, opened
from geocore.pipeline.measuring import (
    digests,
    equivariance,
    require_same_classes,
    write_reliability,
    write_rows,
)
from geocore.pipeline.on_cluster import in_pieces
from geocore.pipeline.predictions import Predictions
from geocore.pipeline.stage import Job, Manifest
from geocore.pipeline.types import SOURCES, Source, source_of
from geocore.runs.atomic import write_json

__all__ = ["evaluate", "source"]


def source(job: Job) -> Source:
    """The name of the input that the trained classifier reads.

    Raises ``UserError`` if the job lacks it, and for a network of planar images: what is measured
    is the answer to rotations of the sphere.
    """
    info = read_info(job.input("model"))
    name = source_of(info.type)
    if name == "projected":
        raise UserError(
            f"{job.stage.takes['model'].path}: {info.params.name} reads planar images; expected a "
            "classifier on the sphere, where its answer to rotations is measured"
        )
    if name not in job.inputs:
        raise UserError(
            f"{job.stage.takes[name].path}: is no input of {job.stage.name}; expected it among its "
            "deps, since the network was trained on such a table"
        )
    return name


def evaluate(job: Job, folder: Path, name: Source) -> Manifest:
    """Measure the network and write everything that the stage gives into ``folder``.

    ``name`` is the input that it reads. Returns the headline and the files' digests. Raises
    ``UserError`` for an input that is not finite, a label that is no class, and a network that was
    trained on something else.
    """
    params = job.section(EvaluateParams)
    wanted = dataclasses.replace(SOURCES[name], label_kind="class")
    table = Table.open(job.input(name), wanted, verify=True)
    table.require_finite()
    model, info = load(job.input("weights"), job.input("model"), table.info.type)
    require_same_classes(job, info.classes, table.info.classes, name)
    whole = Measurement.of(table, model, params, job.section(RuntimeParams).device)
    for feed in whole.feeds.values():
        feed.require_classes(len(info.classes), job.stage.takes[name].path)

    pieces, answers = whole.pieces(), []
    with job.progress.bar("evaluate", sum(map(whole.passes, pieces))) as bar:
        for piece, answer in zip(pieces, in_pieces(job, whole, opened, pieces, name), strict=True):
            answers.append(answer)
            bar.advance(whole.passes(piece))
    found = {split: whole.predictions("plain", split, pieces, answers) for split in whole.feeds}
    rotated = {
        group: whole.predictions(group, "test", pieces, answers).headline() for group in whole.turns
    }
    errors = whole.errors(pieces, answers)
    metrics = {
        **{split: found[split].summary(params.calibration_bins) for split in found},
        **_by_view(table, found["test"], params.calibration_bins),
        "per_class": found["test"].by_class(info.classes),
        "equivariance": equivariance(errors, whole.reason),
        "rotated": rotated,
    }
    reliability = found["test"].reliability(params.calibration_bins)
    write_json(folder / "metrics.json", metrics)
    pq.write_table(found["test"].table(), folder / "predictions.parquet")
    pq.write_table(errors.table(), folder / "equivariance.parquet")
    _write_confusion(folder / "confusion.csv", found["test"], info.classes)
    write_reliability(folder / "reliability.csv", reliability)
    (folder / "pictures").mkdir()
    draw(folder / "pictures", table, info.classes, found["test"], reliability, errors)
    return {
        "files": digests(folder),
        "accuracy": metrics["test"]["accuracy"],
        "nll": metrics["test"]["nll"],
        "ece": metrics["test"]["ece"],
    }


def _by_view(table: Table, found: Predictions, bins: int) -> dict[str, Any]:
    """``{"views": {view: summary}}`` of the test split, where the table tells views apart."""
    if "view" not in table.columns:
        return {}
    codes = torch.from_numpy(table.column("view")[table.rows_of("test")])
    seen = {name: codes == code for code, name in enumerate(table.info.views)}
    told = {name: found.where(mask).summary(bins) for name, mask in seen.items() if mask.any()}
    return {"views": told}


def _write_confusion(path: Path, found: Predictions, classes: Sequence[str]) -> None:
    """A row a sample: DVC's plot template ``confusion`` counts the pairs itself."""
    pairs = zip(found.labels.tolist(), found.predicted.tolist(), strict=True)
    rows = [(classes[actual], classes[predicted]) for actual, predicted in pairs]
    write_rows(path, ("actual", "predicted"), rows)
