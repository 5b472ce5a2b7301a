"""A figure as a sum of features, and how far off such sums were where they had not been fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LEAST", "PartModel", "Sum", "fit_logarithm", "fit_sum"]

Array = npt.NDArray[np.float64]
Features = Mapping[str, float]
LEAST = 10.0  # tables or flip-flops below which an error is told in them, and not in parts
_FOLDS = 10


@dataclass(frozen=True)
class Sum:
    """``sum_k c_k f_k`` over the features that it names.

    ``error`` is the root mean square of ``(predicted - found) / max(found, LEAST)`` over ``rows``
    runs, each left out of the fit that predicted it; of a logarithm, that of its exponential.
    """

    coefficients: Mapping[str, float]
    error: float
    rows: int

    def __call__(self, features: Features) -> float:
        return sum(value * features[name] for name, value in self.coefficients.items())


@dataclass(frozen=True)
class PartModel:
    """Of one kind of part: look-up tables, those that serve as memory among them; flip-flops."""

    lut: Sum
    ff: Sum


def fit_sum(
    features: Sequence[Features], values: Sequence[float], *, signed: bool = False, seed: int = 0
) -> tuple[Sum, Array]:
    """Coefficients for the least squared relative error, none negative unless ``signed``; errors.

    Each run's error is that of ten-fold cross-validation, in the order of the runs.
    """
    from scipy.optimize import nnls

    found = np.array(values, dtype=np.float64)
    scale = np.maximum(found, LEAST)

    def solve(matrix: Array, wanted: Array) -> Array:
        size = np.maximum(wanted, LEAST)
        rows, sides = matrix / size[:, None], wanted / size
        best = np.linalg.lstsq(rows, sides, rcond=None)[0] if signed else nnls(rows, sides)[0]
        return np.asarray(best, dtype=np.float64)

    coefficients, predicted = _crossed(features, found, solve, seed)
    off = (predicted - found) / scale
    kept = {name: _rounded(value) for name, value in coefficients.items() if value}
    return Sum(kept, _rounded(float(np.sqrt(np.mean(off**2)))), len(found)), off


def fit_logarithm(
    features: Sequence[Features], values: Sequence[float], *, seed: int = 0
) -> tuple[Sum, Array]:
    """``log value`` by least squares; errors as of ``fit_sum``, of the value itself."""
    logs = np.log(np.array(values, dtype=np.float64))

    def solve(matrix: Array, wanted: Array) -> Array:
        return np.asarray(np.linalg.lstsq(matrix, wanted, rcond=None)[0], dtype=np.float64)

    coefficients, predicted = _crossed(features, logs, solve, seed)
    off = np.exp(predicted - logs) - 1
    kept = {name: _rounded(value) for name, value in coefficients.items()}
    return Sum(kept, _rounded(float(np.sqrt(np.mean(off**2)))), len(logs)), off


def _crossed(
    features: Sequence[Features],
    wanted: Array,
    solve: Callable[[Array, Array], Array],
    seed: int,
) -> tuple[dict[str, float], Array]:
    """The coefficients by name from all runs, and each run predicted by those of other folds."""
    names = list(features[0])
    matrix = np.array([[row[name] for name in names] for row in features], dtype=np.float64)
    predicted = np.empty(len(wanted))
    folds = min(_FOLDS, len(wanted))
    place = np.random.default_rng(seed).permutation(len(wanted)) % folds
    for fold in range(folds):
        out = place == fold
        predicted[out] = matrix[out] @ solve(matrix[~out], wanted[~out])
    return dict(zip(names, solve(matrix, wanted).tolist(), strict=True)), predicted


def _rounded(value: float) -> float:
    """To five digits, as it is shipped."""
    return float(f"{value:.5g}")
