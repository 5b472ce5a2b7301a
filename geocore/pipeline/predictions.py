"""What a network says of a split: its predictions, their scores, and their table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from geocore.errors import UserError
from geocore.measure.calibration import Reliability, reliability
from geocore.measure.classification import accuracy, brier, class_scores, confusion_matrix, nll
from geocore.measure.uncertainty import entropy
from geocore.train.feed import Feed

__all__ = ["Predictions", "finite", "predict"]

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Predictions:
    """Logits ``(n, classes)`` float64 of the samples ``(n,)`` with ``labels (n,)``, on the CPU."""

    samples: Tensor
    labels: Tensor
    logits: Tensor

    @cached_property
    def probabilities(self) -> Tensor:
        """Softmax of the logits, ``(n, classes)``."""
        return self.logits.softmax(dim=1)

    @cached_property
    def predicted(self) -> Tensor:
        """The class of the largest logit, ``(n,)``."""
        return self.logits.argmax(dim=1)

    def where(self, mask: Tensor) -> Predictions:
        """Those of the samples that ``mask (n,)`` is true for."""
        return Predictions(self.samples[mask], self.labels[mask], self.logits[mask])

    def confusion(self) -> Tensor:
        """Counts ``M[actual, predicted]``."""
        return confusion_matrix(self.predicted, self.labels, self.logits.shape[1])

    def reliability(self, bins: int, binning: Any = "width") -> Reliability:
        """Accuracy against confidence, the probability of the predicted class."""
        confidence = self.probabilities.gather(1, self.predicted[:, None])[:, 0]
        return reliability(confidence, self.predicted == self.labels, bins, binning)

    def headline(self) -> dict[str, float]:
        """Accuracy and mean negative log-likelihood (nats)."""
        return {
            "accuracy": accuracy(self.logits, self.labels),
            "nll": float(nll(self.logits, self.labels).mean()),
        }

    def summary(self, bins: int) -> dict[str, Any]:
        """The headline, calibration errors of both binnings, Brier score, and how many samples."""
        return {
            **self.headline(),
            "ece": self.reliability(bins).error,
            "ece_equal_mass": self.reliability(bins, "mass").error,
            "brier": float(brier(self.probabilities, self.labels).mean()),
            "n": len(self.labels),
        }

    def by_class(self, classes: Sequence[str]) -> dict[str, dict[str, float | None]]:
        """Precision, recall, F1 and support of each class, null where undefined."""
        scores = class_scores(self.confusion())
        return {
            name: {
                "precision": finite(scores.precision[place]),
                "recall": finite(scores.recall[place]),
                "f1": finite(scores.f1[place]),
                "support": int(scores.support[place]),
            }
            for place, name in enumerate(classes)
        }

    def table(self) -> pa.Table:
        """A row a sample: ``sample, label, predicted, probabilities, entropy, nll``."""
        probabilities = pa.array(self.probabilities.numpy().reshape(-1))
        return pa.table(
            {
                "sample": self.samples.numpy(),
                "label": self.labels.numpy(),
                "predicted": self.predicted.numpy(),
                "probabilities": pa.FixedSizeListArray.from_arrays(
                    probabilities, self.logits.shape[1]
                ),
                "entropy": entropy(self.probabilities).numpy(),
                "nll": nll(self.logits, self.labels).numpy(),
            }
        )


def predict(
    model: nn.Module,
    feed: Feed,
    batch_size: int,
    *,
    changes: Sequence[Change] = (),
    chosen: Tensor | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Predictions:
    """The network's predictions of a whole feed, in the feed's order.

    With ``changes``, sample ``i`` is put through ``changes[chosen[i]]`` first (a rotation of its
    map). Raises ``UserError`` naming the sample for logits that are not finite.
    """
    count = len(feed)
    which = torch.zeros(count, dtype=torch.int64) if chosen is None else chosen
    logits: Tensor | None = None
    with torch.inference_mode():
        for number in range(max(1, len(changes))):
            for positions in (which == number).nonzero()[:, 0].split(batch_size):
                images, _ = feed(positions)
                out = model(changes[number](images) if changes else images).double().cpu()
                _require_finite(out, feed.ids[positions])
                if logits is None:
                    logits = out.new_empty(count, out.shape[1])
                logits[positions] = out
                advance(len(positions))
    assert logits is not None  # a feed has at least one sample
    return Predictions(feed.ids.cpu(), feed.labels.cpu(), logits)


def finite(value: Tensor | np.floating[Any] | float) -> float | None:
    """A number as JSON holds it: None for NaN and infinities."""
    number = float(value)
    return number if math.isfinite(number) else None


def _require_finite(logits: Tensor, samples: Tensor) -> None:
    wrong = (~logits.isfinite()).nonzero()
    if len(wrong):
        row, place = wrong[0].tolist()
        raise UserError(
            f"the network's logit {place} of sample {int(samples[row])} is "
            f"{float(logits[row, place])}; expected finite logits"
        )
