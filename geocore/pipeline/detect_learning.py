"""The body of ``detect``: canvases -> trained detectors -> how well they find on turned canvases.

All detectors have as many weights and see the same canvases in the same order; one of them sees
each under a random quarter turn. All are measured on the same canvases, under every quarter turn.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from geocore.config.detect import DetectParams
from geocore.data.sources.canvas import Canvas
from geocore.data.sources.digits import Digits
from geocore.data.split import make_split
from geocore.data.table import SPLITS
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

__all__ = [
    "Canvases",
    "Learner",
    "canvases",
    "digits_on_canvases",
    "learners",
    "measure",
    "precision",
    "train",
    "turned",
]

_KINDS = ("box", "mask")
_LEAST = 0.05  # the score from which a detection counts; what is less likely adds next to nothing
_NAMES = ("upright", "turned_90", "turned_180", "turned_270")


@dataclass(frozen=True)
class Canvases:
    """``images (n, 1, size, size)`` in [0, 1], and what lies on each, as ``kind`` means it."""

    kind: str
    images: Tensor
    things: list[Items]


class Learner(NamedTuple):
    """A detector, and whether it is trained on canvases under random quarter turns."""

    detector: Detector
    augmented: bool


def measure(job: Job) -> Manifest:
    """Write ``metrics.json`` and ``table.csv``, both or none; return their digests.

    Raises ``UserError`` where scikit-learn, in which the digits are, is not installed.
    """
    params = job.section(DetectParams)
    source = digits_on_canvases(params)
    classes = len(source.classes) - 1
    found: dict[str, dict[str, dict[str, float]]] = {}
    with job.progress.bar("detect", sum(len(learners(k, classes, params)) for k in _KINDS)) as bar:
        for kind in _KINDS:
            shown, asked = (canvases(source, split, kind) for split in ("train", "test"))
            for name, learner in learners(kind, classes, params).items():
                train(learner, shown, params)
                found.setdefault(kind, {})[name] = _figures(learner.detector, asked)
                bar.advance(note=f"{kind}, {name}")
    with ExitStack() as all_or_none:
        metrics, table = (
            all_or_none.enter_context(replacing(job.output(name))) for name in ("metrics", "table")
        )
        write_json(metrics, found)
        write_text(table, _table(found))
    outputs = [job.output(name) for name in job.stage.gives]
    return {"files": {path.name: digest_path(path) for path in outputs}}


def digits_on_canvases(params: DetectParams) -> Canvas:
    """The source ``canvas`` on digits; no digit is on canvases of two splits."""
    items = Digits()
    parts = make_split(
        items.labels,
        items.splits,
        val_fraction=params.held_out,
        test_fraction=params.held_out,
        seed=params.seed,
        classes=items.classes,
    )
    parts[parts == SPLITS.index("val")] = SPLITS.index("train")  # nothing is chosen by validation
    (shown, asked), side, (least, most) = params.canvases, params.side, params.items
    counts = (shown, 0, asked)
    return Canvas(items, parts, counts, (side, side), (least, most), None, params.seed)


def canvases(source: Canvas, split: str, kind: str) -> Canvases:
    """All canvases of a split. A mask is the labelled pixels of an item's frame."""
    rows = np.flatnonzero(source.splits == SPLITS.index(split))
    (columns,) = source.pieces(rows, len(rows))
    images = torch.from_numpy(columns["image"][..., 0]).float()[:, None] / 255
    planes, told = torch.from_numpy(columns["label"]), source.boxes(rows)
    things = []
    for plane, label, box, frame in zip(planes, *map(torch.from_numpy, told), strict=True):
        if kind == "box":
            things.append(items_from_boxes(label, box, (plane.shape[0], plane.shape[1])))
            continue
        masks = torch.zeros(len(label), *plane.shape, dtype=torch.bool)
        for mask, (top, left, bottom, right) in zip(masks, frame.tolist(), strict=True):
            mask[top:bottom, left:right] = plane[top:bottom, left:right] > 0
        things.append(items_from_masks(label, masks))
    return Canvases(kind, images, things)


def turned(shown: Canvases, quarter: int) -> Canvases:
    """Images and things under ``R(90 quarter)``, counter-clockwise."""
    side, (turn, across) = shown.images.shape[-1], divmod(quarter % 4, 2)
    things = []
    for one in shown.things:
        # A half turn is -1, a quarter turn (x, y) -> (-y, x).
        centre, extent = one.centre * (1 - 2 * turn), one.extent
        if across:
            centre = torch.stack([-centre[:, 1], centre[:, 0]], dim=1)
            extent = extent.flip(1)
        box = turned_boxes(one.box, quarter, False, side)
        things.append(Items(one.label, centre, extent, one.size, box))
    return Canvases(shown.kind, shown.images.rot90(quarter, (-2, -1)), things)


def learners(kind: str, classes: int, params: DetectParams) -> dict[str, Learner]:
    """The plain detector, upright and augmented, and that of C4: as many weights, but for rounding.

    The plain ones begin with equal weights.
    """
    layout, rotations = HeadLayout(kind, classes), PlanarGroup(4)

    def detector(group: PlanarGroup, channels: int) -> Detector:
        generator = torch.Generator().manual_seed(params.seed)
        return regular_detector(group, layout, channels, generator=generator)

    nothing, width = PlanarGroup(1), equal_width(rotations, params.channels)
    return {
        "plain": Learner(detector(nothing, width), augmented=False),
        "plain, turned": Learner(detector(nothing, width), augmented=True),
        rotations.name: Learner(detector(rotations, params.channels), augmented=False),
    }


def train(learner: Learner, shown: Canvases, params: DetectParams) -> None:
    """AdamW, a tenth of the steps of warm-up, then cosine decay; gradients of norm 1 at most.

    Epochs are shuffled by the seed. Each canvas of a batch is turned by itself where the learner
    is augmented.
    """
    detector, turn = learner
    views = [turned(shown, quarter) for quarter in (range(4) if turn else range(1))]
    quarters = torch.Generator().manual_seed(params.seed)
    optimiser = make_optimiser(detector, params.lr, weight_decay=0.01)
    order, epoch = torch.zeros(0, dtype=torch.int64), 0
    with deterministic(params.seed, shown.images.device):
        for step in range(params.steps):
            warmup = params.steps // 10
            rate = learning_rate(step, peak=params.lr, warmup=warmup, total=params.steps)
            for group in optimiser.param_groups:
                group["lr"] = rate
            while len(order) < params.batch_size:
                order = torch.cat([order, epoch_order(len(shown.images), params.seed, epoch)])
                epoch += 1
            batch, order = order[: params.batch_size].tolist(), order[params.batch_size :]
            drawn = torch.randint(len(views), (len(batch),), generator=quarters).tolist()
            each = [(views[quarter], n) for quarter, n in zip(drawn, batch, strict=True)]
            optimiser.zero_grad()
            said = detector(torch.stack([view.images[n] for view, n in each]))
            things = [view.things[n] for view, n in each]
            detection_loss(said, things, detector.stride).backward()
            torch.nn.utils.clip_grad_norm_(detector.parameters(), 1.0)
            optimiser.step()


def precision(detector: Detector, asked: Canvases) -> float:
    """Mean average precision at overlap 1/2; 0 where there is nothing to find.

    Of masks the squares of their sizes about their centres are compared.
    """
    side = asked.images.shape[-1]
    boxes = [one.box if asked.kind == "box" else _squares(one, side) for one in asked.things]
    truth = [(one.label, box) for one, box in zip(asked.things, boxes, strict=True)]
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    with torch.no_grad(), deterministic(0, asked.images.device):
        for images in asked.images.split(64):
            said = decode(detector(images), detector.stride, (side, side), threshold=_LEAST)
            found += [(one.label, one.score, one.box) for one in said]
    return mean_average_precision(found, truth) or 0.0


def _figures(detector: Detector, asked: Canvases) -> dict[str, float]:
    """Its size, and its precision under each quarter turn, to a thousandth."""
    figures: dict[str, float] = {"parameters": sum(p.numel() for p in detector.parameters())}
    for quarter, name in enumerate(_NAMES):
        figures[name] = round(precision(detector, turned(asked, quarter)), 3)
    return figures


def _squares(items: Items, side: int) -> Tensor:
    """``(n, 4)`` about the centres of masks."""
    half = items.size[:, None] / 2
    row, column = side / 2 - items.centre[:, 1:], side / 2 + items.centre[:, :1]
    return torch.cat([row - half, column - half, row + half, column + half], dim=1)


def _table(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["told", "detector", "parameters", *_NAMES])
    for kind, rows in found.items():
        for name, row in rows.items():
            writer.writerow([kind, name, *(row[key] for key in ("parameters", *_NAMES))])
    return stream.getvalue()
