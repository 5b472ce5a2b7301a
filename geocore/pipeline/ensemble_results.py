"""What stage ``ensemble`` writes: weights, curves, predictions of mean and members, and scores."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from geocore.ensembles.chunk import weights_name
from geocore.ensembles.mixture import Mixture
from geocore.measure.classification import accuracy, nll
from geocore.pipeline.ensemble_pixels import PREDICTIONS, read_scores
from geocore.pipeline.stage import Manifest
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_file, digest_tree
from geocore.runs.store import Piece

__all__ = ["MixedSplit", "write_pixel_results", "write_results"]


@dataclass(frozen=True)
class MixedSplit:
    """A split's samples ``(n,)``, their labels, and the mixture of what the members say."""

    samples: Tensor
    labels: Tensor
    mixture: Mixture


def write_results(
    folder: Path, trained: Sequence[Piece], splits: Mapping[str, MixedSplit], names: Sequence[str]
) -> Manifest:
    """Write the stage's files of classes into ``folder``, but ``model.json``; return the manifest.

    ``trained`` are the chunks in order, ``splits`` the validation and the test split, ``names``
    the columns of the members' curves.
    """
    pq.write_table(_table(splits), folder / "predictions.parquet")
    pq.write_table(_member_table(splits), folder / "members.parquet")
    found = _scores(splits["val"])
    return {
        **_write_members(folder, trained, names, found),
        "val_accuracy": found["accuracy"],
        "val_nll": found["nll"],
        "val_nll_best_member": found["best_member"]["nll"],
    }


def write_pixel_results(
    folder: Path, trained: Sequence[Piece], predicted: Piece, names: Sequence[str]
) -> Manifest:
    """The same of pixels: ``predicted`` has the predictions of all members and their scores."""
    for name in PREDICTIONS:
        shutil.copyfile(predicted.file(name), folder / name)
    found = read_scores(predicted)["val"]
    headline = "rmse" if "rmse" in found else "mean_iou"
    return {
        **_write_members(folder, trained, names, found),
        f"val_{headline}": found[headline],
        f"val_{headline}_best_member": found["best_member"][headline],
    }


def _write_members(
    folder: Path, trained: Sequence[Piece], names: Sequence[str], found: Mapping[str, Any]
) -> Manifest:
    """Weights, curves and metrics; ``found`` are the scores of the validation split.

    Returns the digests of all files in ``folder`` and the number of members.
    """
    training = [went for part in trained for went in part.values["training"]]
    members = [
        (part.file(weights_name(place)), curve)
        for part in trained
        for place, curve in enumerate(json.loads(part.file("curves.json").read_text("utf-8")))
    ]
    (folder / "members").mkdir()
    for number, (weights, _) in enumerate(members):
        shutil.copyfile(weights, folder / "members" / weights_name(number))
    _write_curves(folder / "curves.csv", [curve for _, curve in members], ("epoch", *names))
    metrics = {"members": len(training), "training": training, "val": found}
    write_json(folder / "metrics.json", metrics)
    return {
        "files": {
            path.name: digest_tree(path) if path.is_dir() else digest_file(path)
            for path in sorted(folder.iterdir())
        },
        "members": len(training),
    }


def _scores(split: MixedSplit) -> dict[str, Any]:
    """The mixture's accuracy, NLL and uncertainty, and its members' accuracy and NLL."""
    mixture, labels = split.mixture, split.labels
    members = [
        {"accuracy": accuracy(own, labels), "nll": float(nll(own, labels).mean())}
        for own in mixture.member_log_probabilities
    ]
    return {
        "accuracy": accuracy(mixture.log_probabilities, labels),
        "nll": float(nll(mixture.log_probabilities, labels).mean()),
        "best_member": min(members, key=lambda own: own["nll"]),
        "mean_member": {name: fmean(own[name] for own in members) for name in ("accuracy", "nll")},
        "entropy": float(mixture.entropy.mean()),
        "mutual_information": float(mixture.mutual_information.mean()),
    }


def _table(splits: Mapping[str, MixedSplit]) -> pa.Table:
    """A row a sample, validation before test: what the mixture says and how unsure it is."""
    return pa.concat_tables(
        pa.table(
            {
                "sample": split.samples.numpy(),
                "split": [name] * len(split.samples),
                "label": split.labels.numpy(),
                "predicted": split.mixture.log_probabilities.argmax(dim=1).numpy(),
                "probabilities": _lists(split.mixture.probabilities),
                "log_probabilities": _lists(split.mixture.log_probabilities),
                "entropy": split.mixture.entropy.numpy(),
                "expected_entropy": split.mixture.expected_entropy.numpy(),
                "mutual_information": split.mixture.mutual_information.numpy(),
                "nll": nll(split.mixture.log_probabilities, split.labels).numpy(),
            }
        )
        for name, split in splits.items()
    ).combine_chunks()


def _member_table(splits: Mapping[str, MixedSplit]) -> pa.Table:
    """A row a sample and member: validation before test, then member by member."""
    return pa.concat_tables(
        pa.table(
            {
                "sample": split.samples.numpy(),
                "split": [name] * len(split.samples),
                "label": split.labels.numpy(),
                "member": np.full(len(split.samples), member),
                "log_probabilities": _lists(log_probabilities),
            }
        )
        for name, split in splits.items()
        for member, log_probabilities in enumerate(split.mixture.member_log_probabilities)
    ).combine_chunks()


def _lists(values: Tensor) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1).numpy()), values.shape[1])


def _write_curves(
    path: Path, curves: Sequence[Sequence[Mapping[str, float]]], columns: Sequence[str]
) -> None:
    """A row a member and epoch."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("member", *columns))
        for member, curve in enumerate(curves):
            writer.writerows([member, *(row[name] for name in columns)] for row in curve)
