"""How well a network for a chip does: a class a sample, or a class a pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.data.table import IGNORED
from geocore.measure.ranking import auroc
from geocore.measure.segmentation import PixelCounts
from geocore.pipeline.predictions import Predictions, finite
from geocore.train.feed import Feed

__all__ = ["Scores", "classified", "labelled_pixels"]

Answer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Scores:
    """``headline``: the figure that variants are compared by first, as ``score``.

    ``by_class``: of each class its area under the ROC curve against all others (``auc``), or its
    intersection over union (``iou``); None where the split does not have it.
    """

    headline: dict[str, float]
    by_class: dict[str, float | None]

    @property
    def score(self) -> float:
        """Accuracy, or mean IoU."""
        return next(iter(self.headline.values()))

    def about(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**self.headline, "by_class": self.by_class}


def classified(said: Predictions, classes: Sequence[str]) -> Scores:
    """Accuracy and NLL (nats), and of each class its area under the ROC curve.

    The score of a sample for a class is the class's probability (2101.05108, section 4).
    """
    found: dict[str, float | None] = {}
    for place, name in enumerate(classes):
        inside = said.labels == place
        both = bool(inside.any()) and not bool(inside.all())
        probability = said.probabilities[:, place]
        # `auroc` asks how often the second lies above the first.
        found[name] = finite(auroc(probability[~inside], probability[inside])) if both else None
    return Scores(said.headline(), found)


def labelled_pixels(answer: Answer, feed: Feed, classes: Sequence[str], batch_size: int) -> Scores:
    """Mean IoU, pixel accuracy and NLL (nats) over all pixels of a feed that have a label.

    ``answer`` gives logits ``(n, height, width, classes)`` of images.
    """
    counts = PixelCounts(len(classes))
    nll, pixels = 0.0, 0
    with torch.inference_mode():
        for positions in torch.arange(len(feed)).split(batch_size):
            images, masks = feed(positions)
            logits = answer(images).double()
            counts.add(logits.argmax(dim=-1), masks)
            flat, wanted = logits.flatten(0, -2), masks.flatten().long()
            nll += float(F.cross_entropy(flat, wanted, ignore_index=IGNORED, reduction="sum"))
            pixels += int((wanted != IGNORED).sum())
    headline = {
        "miou": counts.mean_iou(),
        "pixel_accuracy": counts.accuracy(),
        "nll": nll / max(pixels, 1),
    }
    iou = counts.iou().tolist()
    return Scores(headline, {name: finite(value) for name, value in zip(classes, iou, strict=True)})
