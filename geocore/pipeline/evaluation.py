"""The body of ``evaluate``: everything that is measured on a trained network, into one folder."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from torch import Tensor

from geocore.config.evaluate import EvaluateParams
from geocore.config.runtime import RuntimeParams
from geocore.data.table import Table
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.measure.calibration import Reliability
from geocore.models.registry import load
from geocore.pipeline.evaluation_pictures import draw
from geocore.pipeline.predictions import Predictions, predict
from geocore.pipeline.stage import Job, Manifest
from geocore.pipeline.symmetry_errors import (
    Rotation,
    SymmetryErrors,
    quarter_turns,
    sampled_rotations,
    symmetry_errors,
)
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_file, digest_tree
from geocore.so3.sampling import uniform
from geocore.train.device import resolve
from geocore.train.feed import Feed, table_feed
from geocore.train.randomness import deterministic

__all__ = ["evaluate"]

_CHOICE = 103  # the stream of the seed that says which rotation a test sample is turned by


def evaluate(job: Job, folder: Path, wanted: TableType) -> Manifest:
    """Measure the network and write everything that the stage gives into ``folder``.

    ``wanted`` is the type that the stage requires of its table. Returns the headline and the
    files' digests. Raises ``UserError`` for an input that is not finite, a label that is no class,
    and a network that was trained on something else.
    """
    params, device = job.section(EvaluateParams), resolve(job.section(RuntimeParams).device)
    table = Table.open(job.input("healpix"), wanted, verify=True)
    table.require_finite()
    model, info = load(job.input("weights"), job.input("model"), table.info.type)
    _require_same_classes(job, info.classes, table.info.classes)
    model.to(device)
    feeds = {split: table_feed(table, split, device) for split in ("val", "test")}
    for feed in feeds.values():
        feed.require_classes(len(info.classes), job.stage.takes["healpix"].path)

    exact, sampled, reason = _rotations(table.info.type, params)
    every = [*exact, *sampled["z"], *sampled["so3"]]
    test = feeds["test"]
    positions = _spread(len(test), params.samples)
    passes = len(feeds["val"]) + 3 * len(test) + len(positions) * (1 + len(every))
    with deterministic(params.seed, device), job.progress.bar("evaluate", passes) as bar:
        found = {
            split: predict(model, feed, params.batch_size, advance=bar.advance)
            for split, feed in feeds.items()
        }
        rotated = {
            group: predict(
                model,
                test,
                params.batch_size,
                changes=[rotation.act for rotation in rotations],
                chosen=_choice(test, params),
                advance=bar.advance,
            ).headline()
            for group, rotations in sampled.items()
        }
        errors = symmetry_errors(
            model, test, positions, every, params.batch_size, advance=bar.advance
        )
    metrics = {
        **{split: found[split].summary(params.calibration_bins) for split in found},
        "per_class": found["test"].by_class(info.classes),
        "equivariance": _equivariance(errors, reason),
        "rotated": rotated,
    }
    reliability = found["test"].reliability(params.calibration_bins)
    write_json(folder / "metrics.json", metrics)
    pq.write_table(found["test"].table(), folder / "predictions.parquet")
    pq.write_table(errors.table(), folder / "equivariance.parquet")
    _write_confusion(folder / "confusion.csv", found["test"], info.classes)
    _write_reliability(folder / "reliability.csv", reliability)
    (folder / "pictures").mkdir()
    draw(folder / "pictures", table, info.classes, found["test"], reliability, errors)
    return {
        "files": {
            path.name: digest_tree(path) if path.is_dir() else digest_file(path)
            for path in sorted(folder.iterdir())
        },
        "accuracy": metrics["test"]["accuracy"],
        "nll": metrics["test"]["nll"],
        "ece": metrics["test"]["ece"],
    }


def _require_same_classes(job: Job, trained: Sequence[str], found: Sequence[str]) -> None:
    if tuple(trained) != tuple(found):
        raise UserError(
            f"{job.stage.takes['model'].path}: trained on the {len(trained)} classes "
            f"{_few(trained)}; expected the {len(found)} of {job.stage.takes['healpix'].path}, "
            f"{_few(found)}: run train"
        )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _rotations(
    kind: TableType, params: EvaluateParams
) -> tuple[list[Rotation], dict[str, list[Rotation]], str | None]:
    """The quarter turns, the sampled rotations by group, and why there are no quarter turns."""
    assert kind.nside is not None and kind.faces is not None  # a HEALPix table says both
    about_z = sampled_rotations("z", params.rotations, params.seed, kind.faces)
    anywhere = sampled_rotations("so3", params.rotations, params.seed, kind.faces)
    found = {"z": about_z, "so3": anywhere}
    try:
        return quarter_turns(kind.faces, kind.nside), found, None
    except ValueError as error:
        return [], found, str(error)


def _spread(count: int, wanted: int) -> Tensor:
    """At most ``wanted`` of ``count`` positions, evenly: a source may be sorted by class."""
    taken = min(count, wanted)
    return torch.arange(taken) * count // taken


def _choice(feed: Feed, params: EvaluateParams) -> Tensor:
    """Which of the sampled rotations each sample is turned by; it follows from the sample alone."""
    drawn = torch.from_numpy(uniform(params.seed, feed.ids.numpy(), _CHOICE)[:, 0])
    return (drawn * params.rotations).floor().long()


def _equivariance(errors: SymmetryErrors, reason: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"z": errors.summary("z"), "so3": errors.summary("so3")}
    if reason is not None:
        return {**found, "quarter_turn": None, "quarter_turn_reason": reason}
    return {**found, "quarter_turn": errors.summary("quarter_turn")}


def _write_confusion(path: Path, found: Predictions, classes: Sequence[str]) -> None:
    """A row a sample: DVC's plot template ``confusion`` counts the pairs itself."""
    pairs = zip(found.labels.tolist(), found.predicted.tolist(), strict=True)
    rows = [(classes[actual], classes[predicted]) for actual, predicted in pairs]
    _write_csv(path, ("actual", "predicted"), rows)


def _write_reliability(path: Path, table: Reliability) -> None:
    """A row a bin that has samples."""
    columns = ("lower", "upper", "count", "confidence", "accuracy")
    rows = zip(*(getattr(table, name).tolist() for name in columns), strict=True)
    _write_csv(path, columns, [row for row in rows if not math.isnan(row[-1])])


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows([header, *rows])
