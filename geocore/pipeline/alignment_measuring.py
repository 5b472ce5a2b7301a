"""The body of ``alignment``: the training's first epochs again, and the tangent kernel after each.

Deterministic training gives the same weights, so that nothing has to be measured in it or kept of
it for a question that somebody has later. That it is the same training is held against ``train``'s
own curve.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.config.alignment import AlignmentParams
from geocore.config.model import ModelParams
from geocore.config.runtime import RuntimeParams
from geocore.config.train import TrainParams
from geocore.errors import UserError
from geocore.healpix.draw import write_png
from geocore.kernels.alignment import kernel_alignment, target_alignment
from geocore.kernels.empirical import empirical_ntk
from geocore.kernels.subset import stratified_order
from geocore.pipeline.stage import Job, Manifest
from geocore.pipeline.training import open_source
from geocore.report.line_chart import Mark, line_chart
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_path
from geocore.train.device import resolve
from geocore.train.feed import Feed, table_feed
from geocore.train.loop import steps_per_epoch, train
from geocore.train.network import network
from geocore.train.objective import objective
from geocore.train.state import TrainState

__all__ = ["measure"]

_MEMORY = 1 << 30  # bytes; with less, gradients are computed again for each pair of batches
_SPLITS = ("train", "val")
_MEASURES = ("target", "target_centred", "start")
Row = dict[str, float]


class _EnoughError(Exception):
    """The epochs that were asked for are done."""


def measure(job: Job, folder: Path) -> Manifest:
    """Fill the piece's folder; the manifest is its files' digests and the figures of the end.

    Of the chosen samples of each split, after each of ``alignment.epochs``: the alignment of the
    tangent kernel (its trace over outputs, evaluation mode) with the one-hot targets, plain and
    centred, and with the kernel at the start. Raises ``UserError`` for a task without a class a
    sample, fewer samples than were asked for, and a curve of ``train`` that is none.
    """
    params, learning = job.section(AlignmentParams), job.section(TrainParams)
    if learning.task != "classification":
        raise UserError(
            f"{job.params_file}: train.task is {learning.task}; expected classification where "
            "alignment is asked for: a kernel is compared with a class a sample"
        )
    device = resolve(job.section(RuntimeParams).device)
    table, where = open_source(job)
    feeds = {split: table_feed(table, split, device, learning.task) for split in _SPLITS}
    learned = objective(learning, table.info.classes, feeds["train"], where)
    learned.require(feeds["val"], where)
    recorded = _recorded(job.input("curve"), learned.columns)

    model = network(job.section(ModelParams), table.info.type, learned, learning.seed)
    state = TrainState.start(model, learning, device)
    followed = {
        split: _Followed(*_chosen(job, feed, split), len(table.info.classes))
        for split, feed in feeds.items()
    }
    rows = [_row(state, followed)]
    epochs = min(params.epochs[-1], learning.epochs)

    def after_epoch(state: TrainState) -> None:
        if state.epoch in params.epochs:
            rows.append(_row(state, followed))
        if state.epoch >= epochs:
            raise _EnoughError

    per_epoch = steps_per_epoch(len(feeds["train"]), learning)
    with job.progress.bar("alignment", epochs * per_epoch) as bar, suppress(_EnoughError):
        train(
            state, feeds["train"], feeds["val"], learning,
            objective=learned, on_epoch=after_epoch, on_step=lambda state: bar.advance(),
        )  # fmt: skip
    off = _difference(state.curve, recorded)
    job.note(device=str(device), replay_difference=off)
    if off:
        job.progress.say(f"alignment: figures of the epochs differ from train's by up to {off:.1e}")
    return _write(folder, rows, params.samples)


class _Followed:
    """The samples of a split, and their kernel at the start."""

    def __init__(self, images: Tensor, labels: Tensor, classes: int) -> None:
        self.images, self.targets = images, F.one_hot(labels, classes).double()
        self.start: Tensor | None = None

    def alignments(self, model: nn.Module) -> dict[str, float]:
        """By the names of ``_MEASURES``."""
        kernel = empirical_ntk(model, self.images, form="trace", memory=_MEMORY).double()
        if self.start is None:
            self.start = kernel
        return {
            "target": target_alignment(kernel, self.targets),
            "target_centred": target_alignment(kernel, self.targets, centred=True),
            "start": kernel_alignment(kernel, self.start),
        }


def _chosen(job: Job, feed: Feed, split: str) -> tuple[Tensor, Tensor]:
    params = job.section(AlignmentParams)
    if params.samples > len(feed):
        raise UserError(
            f"{job.params_file}: alignment.samples is {params.samples}; expected at most the "
            f"{len(feed)} samples of split {split}"
        )
    order = stratified_order(feed.labels.cpu().numpy(), params.seed)
    images, labels = feed(torch.from_numpy(order[: params.samples]))
    return images, labels


def _row(state: TrainState, followed: Mapping[str, _Followed]) -> Row:
    mode = state.model.training
    state.model.eval()
    row: Row = {"epoch": state.epoch, "step": state.step}
    for split, samples in followed.items():
        found = samples.alignments(state.model)
        row |= {f"{split}_{name}": found[name] for name in _MEASURES}
    state.model.zero_grad(set_to_none=True)
    state.model.train(mode)
    return row


def _recorded(path: Path, columns: tuple[str, ...]) -> list[Row]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        return [{column: float(row[column]) for column in columns} for row in rows]
    except (KeyError, TypeError, ValueError):  # a column missing, a row cut short, no number
        expected = ", ".join(columns)
        raise UserError(f"{path.name}: no learning curve; expected columns {expected}") from None


def _difference(curve: list[Row], recorded: list[Row]) -> float:
    """The largest relative difference of two curves' common epochs: 0 on the machine of both."""
    off = 0.0
    for mine, theirs in zip(curve, recorded, strict=False):
        for column, value in mine.items():
            size = max(abs(value), abs(theirs[column]))
            off = max(off, abs(value - theirs[column]) / size if size else 0.0)
    return off


def _write(folder: Path, rows: list[Row], samples: int) -> Manifest:
    lines = [",".join(map(repr, row.values())) for row in rows]
    text = "\n".join([",".join(rows[0]), *lines]) + "\n"
    (folder / "alignment.csv").write_text(text, encoding="utf-8")
    ends: dict[str, Any] = {
        split: {
            name: {"start": rows[0][f"{split}_{name}"], "end": rows[-1][f"{split}_{name}"]}
            for name in _MEASURES
        }
        for split in _SPLITS
    }
    metrics = {"epochs": rows[-1]["epoch"], "samples": samples, **ends}
    write_json(folder / "metrics.json", metrics)
    (folder / "pictures").mkdir()
    curves = {
        f"{words}, {split}": [Mark(row["step"] + 1, row[f"{split}_{name}"]) for row in rows]
        for name, words in (("target_centred", "targets, centred"), ("start", "its start"))
        for split in _SPLITS
    }
    title = "The tangent kernel in training"
    picture = line_chart(curves, title, "optimiser steps + 1", "alignment with")
    write_png(folder / "pictures" / "alignment.png", picture)
    digests = {path.name: digest_path(path) for path in sorted(folder.iterdir())}
    return {"files": digests, "target_centred_val": ends["val"]["target_centred"]["end"]}
