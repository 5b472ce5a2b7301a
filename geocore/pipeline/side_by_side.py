"""The last part of ``evaluate``: the network's measures, and its companions' beside them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from geocore.config.evaluate import EvaluateParams
from geocore.healpix.draw import write_png
from geocore.pipeline.companions import (
    SHARES,
    Companion,
    kept_curve,
    read_ensemble,
    read_kernels,
)
from geocore.pipeline.predictions import Predictions
from geocore.pipeline.stage import Job, Manifest
from geocore.report.charts import kept_chart
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_file, digest_tree
from geocore.runs.store import Piece

__all__ = ["put_together"]


def put_together(job: Job, network: Piece, folder: Path) -> Manifest:
    """Fill ``folder`` with all that the stage gives: the network's part, and who else predicts.

    ``metrics.json`` gets a key for each companion that the pipeline has: ``ensemble``,
    ``ensemble_logits``, ``nngp``, ``ntk``. Raises ``UserError`` for predictions of other samples
    than the network's.
    """
    for name in network.manifest["files"]:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(network.folder / name, target)
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    own = _predictions(folder / "predictions.parquet")
    companions = _companions(job, own)
    bins = job.section(EvaluateParams).calibration_bins
    metrics |= {companion.name: companion.summary(bins) for companion in companions}
    write_json(folder / "metrics.json", metrics)

    curves = {"network": kept_curve(own)}
    curves |= {companion.name: kept_curve(companion.found["test"]) for companion in companions}
    with (folder / "kept.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("model", "kept", "accuracy"))
        for name, values in curves.items():
            writer.writerows(
                (name, share, value) for share, value in zip(SHARES.tolist(), values, strict=True)
            )
    title = f"Accuracy of the surest, {len(own.labels):,} test samples"
    write_png(folder / "pictures" / "kept.png", kept_chart(SHARES.tolist(), curves, title))
    return {
        "files": {
            path.name: digest_tree(path) if path.is_dir() else digest_file(path)
            for path in sorted(folder.iterdir())
        },
        "parts": [network.key],
        "accuracy": metrics["test"]["accuracy"],
        "nll": metrics["test"]["nll"],
        "ece": metrics["test"]["ece"],
    }


def _companions(job: Job, own: Predictions) -> list[Companion]:
    def shown(path: Path) -> str:
        return path.relative_to(job.root).as_posix()

    found = []
    if "ensemble" in job.inputs and "members" in job.inputs:
        bins = job.section(EvaluateParams).calibration_bins
        ensemble, members = job.input("ensemble"), job.input("members")
        found += read_ensemble(ensemble, members, own, bins, shown)
    if "kernels" in job.inputs:
        found += read_kernels(job.input("kernels"), own, shown)
    return found


def _predictions(path: Path) -> Predictions:
    """The network's, as it wrote them."""
    rows = pq.read_table(path, columns=["sample", "label", "probabilities"])
    flat = rows["probabilities"].combine_chunks().flatten().to_numpy()
    logits = torch.from_numpy(flat.copy()).log().reshape(len(rows), -1)
    samples, labels = (
        torch.from_numpy(np.array(rows[name].to_numpy())) for name in ("sample", "label")
    )
    return Predictions(samples, labels, logits)
