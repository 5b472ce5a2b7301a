"""Which way a metric is better, told from its name."""

from __future__ import annotations

import math
import re
from typing import Literal

__all__ = ["Verdict", "better_when", "verdict"]

Verdict = Literal["better", "worse", ""]

_DOWN = {
    "loss", "nll", "ece", "error", "errors", "brier", "mismatches", "rmse", "mae", "mse", "chamfer",
    "absrel", "silog",
}  # fmt: skip
_UP = {"accuracy", "f1", "precision", "recall", "iou", "miou", "auroc", "auc", "r2", "delta"}
_ROUNDING = 1e-5  # as in templates/numbers.js
_SUMMARIES = ("mean", "max", "median")  # of what the word before says


def better_when(name: str) -> Literal["higher", "lower", ""]:
    """``"higher"`` for an accuracy, ``"lower"`` for a loss or an error, empty if it is not known.

    ``accuracy_loss`` is a loss; the mean and the maximum under ``equivariance`` are errors.
    """
    *above, last = name.split(".")
    words = set(re.split(r"[_\W]+", last.lower()))
    if words & _DOWN:
        return "lower"
    if words & _UP:
        return "higher"
    if above and above[-1] == "iou":  # by class
        return "higher"
    if last in _SUMMARIES and above:
        return "lower" if "equivariance" in above else better_when(above[-1])
    return ""


def verdict(name: str, baseline: float, value: float) -> Verdict:
    """Whether ``value`` is better or worse than ``baseline``; empty if equal or not known.

    Equal to 1e-5 of the larger counts as equal: so far apart are sums that another machine, or
    another number of threads, rounded otherwise.
    """
    way = better_when(name)
    apart = abs(value - baseline)
    if not way or math.isnan(apart) or apart <= _ROUNDING * max(abs(value), abs(baseline)):
        return ""
    return "better" if (value > baseline) == (way == "higher") else "worse"
