"""The few numbers that a run is judged by, of each way to predict: network, ensemble, kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["MEASURES", "PREDICTORS", "Measured", "Predictor", "headline"]

# What is measured on the test split -> its name on a page.
MEASURES = {"accuracy": "accuracy", "nll": "negative log-likelihood", "ece": "calibration error"}


@dataclass(frozen=True)
class Predictor:
    """A way to predict the test split: its name, a word about it, where its metrics stand."""

    name: str
    about: str
    prefix: str


PREDICTORS = (
    Predictor("network", "the trained network", "evaluate.test"),
    Predictor("ensemble", "the mean of its members' predictions", "evaluate.ensemble.test"),
    Predictor("mean logits", "the mean of its members' logits", "evaluate.ensemble_logits.test"),
    Predictor("NNGP", "the infinitely wide network, read-out trained", "evaluate.nngp.test"),
    Predictor("NTK", "the infinitely wide network, all of it trained", "evaluate.ntk.test"),
    Predictor("student, float", "the small network for the chip", "synthesize.test.float"),
    Predictor("student, quantised", "the same with few bits", "synthesize.test.quantised"),
    Predictor("firmware", "the same, bit by bit as on the chip", "synthesize.test.firmware"),
)


@dataclass(frozen=True)
class Measured:
    """One predictor's numbers, for each of ``MEASURES``; None where there is none."""

    predictor: Predictor
    values: Mapping[str, float | None]


def headline(
    metrics: Mapping[str, float | None], predictors: Sequence[Predictor] = PREDICTORS
) -> list[Measured]:
    """The predictors that ``metrics`` holds an accuracy, a likelihood or a calibration error of."""
    found = []
    for predictor in predictors:
        values = {name: metrics.get(f"{predictor.prefix}.{name}") for name in MEASURES}
        if any(value is not None for value in values.values()):
            found.append(Measured(predictor, values))
    return found
