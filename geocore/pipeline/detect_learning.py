"""The body of ``detect``: canvases -> detectors, trained upright -> how well they find, turned too.

The plain detector and the equivariant one have as many weights, see the same canvases in the same
order, and are measured on the same ones: as they are, and under each quarter turn.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geocore.config.data import DataParams
from geocore.config.detect import DetectParams
from geocore.data.sources.canvas import Canvas
from geocore.data.sources.home import data_home
from geocore.data.sources.opening import open_source
from geocore.errors import UserError
from geocore.groups.finite import PlanarGroup
from geocore.measure.detection import mean_average_precision
from geocore.models.detection import Detector, HeadLayout
from geocore.models.detection_decoding import decode, turned_boxes
from geocore.models.detection_loss import detection_loss
from geocore.models.detection_networks import equal_width, regular_detector
from geocore.models.detection_targets import Items, items_from_boxes, items_from_masks
from geocore.pipeline.stage import Job, Manifest
from geocore.runs.atomic import replacing, write_json, write_text
from geocore.runs.digest import digest_path
from geocore.train.optimiser import make_optimiser
from geocore.train.randomness import deterministic, epoch_order
from geocore.train.schedule import learning_rate

__all__ = ["Canvases", "canvases", "measure", "networks", "precision", "train"]

_KINDS, _TURNS = ("box", "mask"), (0, 1, 2, 3)
_LEAST = 0.05  # the score from which a detection counts; fewer change no average precision


@dataclass(frozen=True)
class Canvases:
    """``images (n, 1, size, size)`` in [0, 1]; what lies on each, as boxes and as masks."""

    images: Tensor
    things: dict[str, list[Items]]


def measure(job: Job) -> Manifest:
    """Write ``metrics.json`` and ``table.csv``, both or none; return their digests.

    Raises ``UserError`` unless ``data`` tells of square canvases.
    """
    data, params = job.section(DataParams), job.section(DetectParams)
    if data.source != "canvas":
        raise UserError(f"{job.params_file}: data.source is {data.source}; expected canvas")
    if data.height != data.width:
        raise UserError(
            f"{job.params_file}: data.height is {data.height} and data.width {data.width}; "
            "expected squares, which quarter turns keep"
        )
    source = open_source(data, job.root, data_home(), job.progress.say)
    assert isinstance(source, Canvas)
    shown, asked = canvases(source, 0), canvases(source, 2)
    found: dict[str, dict[str, Any]] = {}
    with job.progress.bar("detect", 2 * len(_KINDS)) as bar:
        for kind in _KINDS:
            for name, detector in networks(kind, len(source.classes) - 1, params).items():
                train(detector, shown, params)
                each = [precision(detector, asked, quarter) for quarter in _TURNS]
                found[f"{kind}, {name}"] = {
                    "parameters": sum(p.numel() for p in detector.parameters()),
                    "upright": _told(each[0]),
                    "turned": _told(sum(each[1:]) / 3),
                }
                bar.advance(note=f"{kind}, {name}")
    with ExitStack() as all_or_none:
        metrics, table = (
            all_or_none.enter_context(replacing(job.output(name))) for name in ("metrics", "table")
        )
        write_json(metrics, {"average_precision": found})
        write_text(table, _table(found))
    outputs = [job.output(name) for name in job.stage.gives]
    return {"files": {path.name: digest_path(path) for path in outputs}}


def canvases(source: Canvas, split: int) -> Canvases:
    """All canvases of a split, by its code: masks are the labelled pixels of an item's frame."""
    rows = np.flatnonzero(source.splits == split)
    (columns,) = source.pieces(rows, len(rows))
    images = torch.from_numpy(columns["image"][..., 0]).float()[:, None] / 255
    classes, told = torch.from_numpy(columns["label"]), source.boxes(rows)
    things: dict[str, list[Items]] = {kind: [] for kind in _KINDS}
    for plane, label, box, frame in zip(classes, *map(torch.from_numpy, told), strict=True):
        masks = torch.zeros(len(label), *plane.shape, dtype=torch.bool)
        for mask, (top, left, bottom, right) in zip(masks, frame.tolist(), strict=True):
            mask[top:bottom, left:right] = plane[top:bottom, left:right] > 0
        things["mask"].append(items_from_masks(label, masks))
        things["box"].append(items_from_boxes(label, box, (plane.shape[0], plane.shape[1])))
    return Canvases(images, things)


def networks(kind: str, classes: int, params: DetectParams) -> dict[str, Detector]:
    """The plain detector and that of C4, of as many weights as rounding its width allows."""
    rotations, layout = PlanarGroup(4), HeadLayout(kind, classes)
    widths = {1: equal_width(rotations, params.channels), 4: params.channels}
    found = {}
    for order, width in widths.items():
        generator = torch.Generator().manual_seed(params.seed)
        group = PlanarGroup(order)
        name = "plain" if order == 1 else group.name
        found[name] = regular_detector(group, layout, width, generator=generator)
    return found


def train(detector: Detector, shown: Canvases, params: DetectParams) -> None:
    """AdamW over epochs of shuffled upright canvases; a tenth of the steps warms up."""
    optimiser = make_optimiser(detector, params.lr, weight_decay=0.01)
    things, count = shown.things[detector.layout.kind], len(shown.images)
    order, epoch = epoch_order(count, params.seed, 0), 0
    with deterministic(params.seed, shown.images.device):
        for step in range(params.steps):
            rate = learning_rate(
                step, peak=params.lr, warmup=params.steps // 10, total=params.steps
            )
            for group in optimiser.param_groups:
                group["lr"] = rate
            while len(order) < params.batch_size:
                epoch += 1
                order = torch.cat([order, epoch_order(count, params.seed, epoch)])
            batch, order = order[: params.batch_size], order[params.batch_size :]
            optimiser.zero_grad()
            said = detector(shown.images[batch])
            detection_loss(said, [things[n] for n in batch.tolist()], detector.stride).backward()
            torch.nn.utils.clip_grad_norm_(detector.parameters(), 1.0)
            optimiser.step()


def precision(detector: Detector, asked: Canvases, quarter: int) -> float:
    """Mean average precision at overlap 1/2 on canvases turned by ``90 quarter`` degrees.

    Of masks the squares about their centres are compared. 0 where there is nothing to find.
    """
    kind, side = detector.layout.kind, asked.images.shape[-1]
    truth = [
        (one.label, turned_boxes(_boxes(one, kind, side), quarter, False, side))
        for one in asked.things[kind]
    ]
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    with torch.no_grad(), deterministic(0, asked.images.device):
        for images in asked.images.rot90(quarter, (-2, -1)).split(64):
            said = decode(detector(images), detector.stride, (side, side), threshold=_LEAST)
            found += [(one.label, one.score, one.box) for one in said]
    return mean_average_precision(found, truth) or 0.0


def _boxes(items: Items, kind: str, side: int) -> Tensor:
    """``(n, 4)``: the boxes, or of masks the squares of their size about their centres."""
    if kind == "box":
        return items.box
    half = items.size[:, None] / 2
    row, column = side / 2 - items.centre[:, 1:], side / 2 + items.centre[:, :1]
    return torch.cat([row - half, column - half, row + half, column + half], dim=1)


def _told(value: float) -> float:
    return float(f"{value:.3f}")


def _table(found: dict[str, dict[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    keys: Sequence[str] = ("parameters", "upright", "turned")
    writer.writerow(["detector", *keys])
    for name, row in found.items():
        writer.writerow([name, *(row[key] for key in keys)])
    return stream.getvalue()
