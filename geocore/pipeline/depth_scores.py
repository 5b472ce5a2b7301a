"""What is measured of depths, sample by sample: errors in metres, point clouds, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geocore.measure.calibration import Reliability
from geocore.measure.chamfer import chamfer
from geocore.measure.depth import DepthErrors
from geocore.measure.segmentation import PixelCounts
from geocore.measure.selective import KeptCounts
from geocore.pipeline.predictions import finite
from geocore.so3.sampling import uniform

__all__ = ["EDGES", "RANGES", "DepthScores", "Ranged", "ranged"]

EDGES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # metres
RANGES = (
    "below_1m", *(f"{low:.0f}_to_{2 * low:.0f}m" for low in EDGES[:-1]), "beyond_64m"
)  # fmt: skip
_POINTS = 104  # the stream of the seed that says which pixels are a sample's points
_HALF = 10.0, 1.0  # metres, and metres of deviation, in the middle of the scale of uncertainty


@dataclass(frozen=True)
class Ranged:
    """The pixels of one sample that count: each ``(pixels,)`` in metres; ``of`` is how many have a
    depth. ``deviation`` is the predicted standard deviation, None where none is predicted;
    ``directions (pixels, 3)`` are the unit vectors along which the depths lie.
    """

    predicted: Tensor
    true: Tensor
    deviation: Tensor | None
    directions: Tensor
    of: int


def ranged(values: Tensor, targets: Tensor, known: Tensor, directions: Tensor) -> Ranged:
    """``values (pixels, 1 or 2)``: metres, and perhaps their deviation, where they are ``known``.

    A target of 0 marks a pixel that does not count.
    """
    counted = (targets > 0) & known
    found = values[counted].double()
    return Ranged(
        predicted=found[:, 0].contiguous(),
        true=targets[counted].double(),
        deviation=found[:, 1] if found.shape[1] > 1 else None,
        directions=directions[counted],
        of=int((targets > 0).sum()),
    )


class DepthScores:
    """The scores of many samples on one grid.

    Errors are over all pixels of all samples, each counting alike. ``chamfer`` is the mean over
    samples of the distance (metres, both directed means) of the predicted cloud of points from the
    true one, on the same at most ``points`` pixels of a sample, drawn from ``seed`` and its number.

    The likelihood and the calibration take each depth for a Gaussian about the prediction, with the
    predicted deviation, or with ``constant`` where the network predicts none. Of a calibrated one
    the share ``p`` of all pixels lies within the central interval of probability ``p``: ``ece`` is
    the mean difference over the levels ``p = 1/bins, ..., 1`` (Kuleshov et al., arXiv:1807.00263).
    """

    def __init__(self, bins: int, points: int, seed: int, constant: float | None = None) -> None:
        self._bins, self._points, self._seed, self.constant = bins, points, seed, constant
        self.errors = DepthErrors()
        self.by_range = [DepthErrors() for _ in RANGES]
        self.counts = PixelCounts(len(RANGES))
        self._inside = torch.zeros(bins, dtype=torch.int64)
        self._kept = {name: KeptCounts(1.0) for name in ("accuracy", "rmse")}
        self._nll, self._of = 0.0, 0
        self._clouds: dict[str, list[float]] = {"chamfer": [], "chamfer_squared": []}

    def add(self, pixels: Ranged, sample: int) -> dict[str, float | int | None]:
        """Take in a sample of that number; its own errors, ``chamfer``, ``nll`` and ``n``."""
        own = self.errors.add(pixels.predicted, pixels.true).summary()
        edges = torch.tensor(EDGES, dtype=torch.float64)
        actual, taken = (
            torch.bucketize(v, edges, right=True) for v in (pixels.true, pixels.predicted)
        )
        self.counts.add(taken, actual)
        for place, errors in enumerate(self.by_range):
            errors.add(pixels.predicted, pixels.true, actual == place)
        nll = self._calibrate(pixels)
        self._keep(pixels)
        self._of += pixels.of
        clouds = self._distances(pixels, sample)
        for name, value in clouds.items():
            self._clouds[name] += [value] if math.isfinite(value) else []
        return {
            **{name: finite(value) for name, value in {**own, **clouds}.items()},
            "nll": nll,
            "n": len(pixels.true),
        }

    def summary(self) -> dict[str, Any]:
        """All errors by name, null where undefined; ``coverage`` is the share of the pixels with a
        depth that the network says something of, ``n`` how many these are.
        """
        count = self.errors.count
        by_range = {
            name: {**_finite(errors.summary(), ("rmse", "absrel")), "n": errors.count}
            for name, errors in zip(RANGES, self.by_range, strict=True)
        }
        told = self._told and count > 0
        return {
            **_finite(self.errors.summary()),
            **{name: fmean(values) if values else None for name, values in self._clouds.items()},
            "nll": self._nll / count if told else None,
            "ece": self.calibration_error() if told else None,
            "by_range": by_range,
            "coverage": count / self._of if self._of else None,
            "n": count,
        }

    def reliability(self) -> Reliability:
        """Share of pixels within the central interval against its probability, its upper bound."""
        count = int(self._inside.sum())
        levels = torch.arange(self._bins + 1, dtype=torch.float64) / self._bins
        found = self._inside.cumsum(0) / count if count else levels[1:] * torch.nan
        return Reliability(levels[:-1], levels[1:], self._inside.clone(), levels[1:], found)

    def calibration_error(self) -> float | None:
        """The mean over levels of the difference between that share and the level."""
        table = self.reliability()
        return finite((table.accuracy - table.confidence).abs().mean())

    def kept(self, shares: Tensor) -> dict[str, list[float]]:
        """Of the share of pixels of least uncertainty ``accuracy``, the part within a factor of
        1.25, and ``rmse`` in metres. Uncertain is what has a large predicted deviation, and where
        none is predicted what is predicted to be far.
        """
        return {
            "accuracy": self._kept["accuracy"].curve(shares).tolist(),
            "rmse": self._kept["rmse"].curve(shares).sqrt().tolist(),
        }

    @property
    def _told(self) -> bool:
        return int(self._inside.sum()) > 0

    def _calibrate(self, pixels: Ranged) -> float | None:
        deviation = pixels.deviation
        if deviation is None:
            if self.constant is None:
                return None
            deviation = torch.full_like(pixels.true, self.constant)
        deviation = deviation.clamp(min=1e-6)
        off = (pixels.true - pixels.predicted) / deviation
        probability = torch.erf(off.abs() / math.sqrt(2))
        place = (probability * self._bins).ceil().long().clamp(1, self._bins) - 1
        self._inside += torch.bincount(place, minlength=self._bins)
        nll = off.square() / 2 + deviation.log() + math.log(2 * math.pi) / 2
        self._nll += float(nll.sum())
        return finite(nll.mean())

    def _keep(self, pixels: Ranged) -> None:
        told, half = (
            (pixels.predicted.clamp(min=0), _HALF[0])
            if pixels.deviation is None
            else (pixels.deviation, _HALF[1])
        )
        uncertainty = told / (told + half)  # rises with what is told, and lies between 0 and 1
        ratio = pixels.predicted.clamp(min=1e-3) / pixels.true
        close = torch.maximum(ratio, 1 / ratio) < 1.25
        self._kept["accuracy"].add(uncertainty, close)
        self._kept["rmse"].add(uncertainty, (pixels.predicted - pixels.true).square())

    def _distances(self, pixels: Ranged, sample: int) -> dict[str, float]:
        count = len(pixels.true)
        chosen = torch.arange(count)
        if count > self._points:
            drawn = uniform(self._seed, np.array([sample]), _POINTS)[0]
            generator = torch.Generator().manual_seed(int(drawn[0] * 2**53))
            chosen = torch.randperm(count, generator=generator)[: self._points].sort().values
        directions = pixels.directions[chosen].double()
        predicted, true = (
            directions * metres[chosen, None] for metres in (pixels.predicted, pixels.true)
        )
        return {
            name: float(chamfer(predicted, true, squared=squared))
            for name, squared in (("chamfer", False), ("chamfer_squared", True))
        }


def _finite(
    values: dict[str, float], names: Sequence[str] | None = None
) -> dict[str, float | None]:
    return {name: finite(values[name]) for name in names or values}
