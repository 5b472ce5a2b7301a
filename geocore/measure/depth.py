"""How far predicted depths are off: moments of the error that are merged batch by batch.

With ``p`` the predicted and ``t`` the true depth of a pixel, both in metres, and means over all
pixels that count::

    mse = mean (p - t)^2,    rmse = sqrt(mse),    mae = mean |p - t|,    absrel = mean |p - t| / t
    silog = sqrt(mean d^2 - (mean d)^2),   d = log p - log t
    delta_k = share of pixels with max(p / t, t / p) < 1.25^k,  k = 1, 2, 3

``silog`` is the root of Eigen et al.'s scale-invariant error (arXiv:1406.2283, eq. 1 and 4 with
lambda = 1), in natural logarithms: multiplying all predictions by one factor leaves it as it is.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["DepthErrors", "depth_errors"]

_DELTA = 1.25
NAMES = ("mse", "rmse", "mae", "absrel", "silog", "delta_1", "delta_2", "delta_3")


class DepthErrors:
    """The errors of many batches: ``add`` them or merge others, then read ``summary()``.

    Sums are kept in float64, and the spread of ``d`` as a running second moment about the running
    mean (Chan, Golub and LeVeque, 1979), which loses no digits to a common factor. Predictions
    below ``floor`` metres count as ``floor`` wherever a logarithm or a ratio is taken.
    """

    def __init__(self, floor: float = 1e-3) -> None:
        if not floor > 0:
            raise ValueError(f"floor is {floor}; expected metres above 0")
        self.floor = floor
        self.count = 0
        self._square = self._absolute = self._relative = 0.0
        self._mean = self._moment = 0.0  # of d, and of (d - mean)^2 summed
        self._close = [0, 0, 0]

    def add(self, predicted: Tensor, true: Tensor, valid: Tensor | None = None) -> DepthErrors:
        """Count a batch; return its own errors.

        ``predicted`` and ``true`` are floats of one shape, ``valid`` a bool of the same. Pixels
        that are not valid are not looked at, whatever they hold; all others raise ``ValueError``
        unless the truth is above 0 and both are finite.
        """
        found = depth_errors(predicted, true, valid, self.floor)
        self.merge(found)
        return found

    def merge(self, other: DepthErrors) -> None:
        """Take in what another has counted."""
        total = self.count + other.count
        if total == 0:
            return
        off = other._mean - self._mean
        self._moment += other._moment + off**2 * self.count * other.count / total
        self._mean += off * other.count / total
        self._square += other._square
        self._absolute += other._absolute
        self._relative += other._relative
        self._close = [a + b for a, b in zip(self._close, other._close, strict=True)]
        self.count = total

    def summary(self) -> dict[str, float]:
        """All errors by name, over the pixels that were counted; NaN if there are none."""
        if self.count == 0:
            return dict.fromkeys(NAMES, math.nan)
        mse = self._square / self.count
        return {
            "mse": mse,
            "rmse": math.sqrt(mse),
            "mae": self._absolute / self.count,
            "absrel": self._relative / self.count,
            "silog": math.sqrt(self._moment / self.count),
            **{f"delta_{k}": close / self.count for k, close in enumerate(self._close, 1)},
        }


def depth_errors(
    predicted: Tensor, true: Tensor, valid: Tensor | None = None, floor: float = 1e-3
) -> DepthErrors:
    """The errors of one batch; see ``DepthErrors``."""
    found = DepthErrors(floor)
    p, t = _counted(predicted, true, valid)
    if len(t) == 0:
        return found
    off, bounded = p - t, p.clamp(min=floor)
    log = bounded.log() - t.log()
    found.count = len(t)
    found._square = float(off.square().sum())
    found._absolute = float(off.abs().sum())
    found._relative = float((off.abs() / t).sum())
    found._mean = float(log.mean())
    found._moment = float((log - log.mean()).square().sum())
    ratio = torch.maximum(bounded / t, t / bounded)
    found._close = [int((ratio < _DELTA**k).sum()) for k in (1, 2, 3)]
    return found


def _counted(predicted: Tensor, true: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    if predicted.shape != true.shape:
        found = f"{tuple(predicted.shape)} and {tuple(true.shape)}"
        raise ValueError(f"predicted and true have shapes {found}; expected one shape")
    if valid is not None and (valid.shape != true.shape or valid.dtype != torch.bool):
        found = f"{valid.dtype} of shape {tuple(valid.shape)}"
        raise ValueError(f"valid is {found}; expected torch.bool of shape {tuple(true.shape)}")
    for name, value in (("predicted", predicted), ("true", true)):
        if not value.is_floating_point():
            raise TypeError(f"{name} is {value.dtype}; expected floats, metres")
    if valid is None:
        valid = torch.ones_like(true, dtype=torch.bool)
    p, t = predicted[valid].double(), true[valid].double()
    if len(t) and not (bool((t > 0).all()) and bool(t.isfinite().all())):
        wrong = t[~((t > 0) & t.isfinite())][0]
        raise ValueError(f"true holds {float(wrong)}; expected finite metres above 0 where valid")
    if not bool(p.isfinite().all()):
        raise ValueError(
            f"predicted holds {float(p[~p.isfinite()][0])}; expected finite metres where valid"
        )
    return p, t
