"""Accuracy of kernel regression against the number of samples, over draws of these, in pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from geocore.config.limit import CurveLimit
from geocore.kernels.regression import Regressor
from geocore.pipeline.limit_results import told
from geocore.report.canvas import Picture
from geocore.report.line_chart import Mark, line_chart

__all__ = [
    "HEADER",
    "Curve",
    "Scorer",
    "compared",
    "curves",
    "draw",
    "gains",
    "of_gram",
    "of_turned",
    "rows",
    "short",
]

_DRAWS = 13  # the stream of the seed that says which samples a run has
HEADER = ("kernel", "network", "samples", "runs", "accuracy", "sd", "error", "gain", "gain_error")

Curve = Tensor
"""Accuracies ``(runs, sizes)``, float64."""


class Scorer(Protocol):
    """What a kernel regression that learns from samples ``shown`` says of samples ``asked``."""

    def __call__(self, shown: Tensor, asked: Tensor) -> Tensor:
        """Places in the pool ``(n,)`` and ``(m,)`` -> scores ``(m, classes)``."""
        ...


def of_gram(gram: Tensor, y: Tensor, ridge: float, name: str) -> Scorer:
    """``K(x, X) (K(X, X) + ridge)^-1 y``: of the pool's kernel ``(p, p)`` and targets ``(p, c)``.

    What the network tends to under gradient flow on the squared error, in the mean over starts
    (``K`` the tangent kernel), or under training of its read-out alone (the NNGP).
    """

    def scores(shown: Tensor, asked: Tensor) -> Tensor:
        regressor = Regressor.of(gram[shown][:, shown].double(), ridge, name=name)
        return gram[asked][:, shown].double() @ regressor.solve(y[shown])

    return scores


def of_turned(blocks: Sequence[Tensor], y: Tensor, ridge: float, name: str) -> Scorer:
    """The same, learning from each sample under every element of C_n, ``n`` times as many.

    ``blocks[k]`` is ``K(x, g^k x')`` over the pool, for a kernel with ``K(g x, g x') = K(x, x')``:
    so ``K(g^a x, g^b x') = blocks[(b - a) mod n]``. ``ridge`` is in parts of the symmetrised
    kernel's mean diagonal, and ``n`` times that is added, as many as a sample has terms in the
    loss: so the ridge too is that of the regression with the symmetrised kernel.
    """
    order = len(blocks)

    def scores(shown: Tensor, asked: Tensor) -> Tensor:
        own = [block[shown][:, shown].double() for block in blocks]
        gram = torch.cat(
            [torch.cat([own[(b - a) % order] for b in range(order)], dim=1) for a in range(order)]
        )
        cross = torch.cat([block[asked][:, shown].double() for block in blocks], dim=1)
        # ``Regressor`` counts in the mean diagonal of what it is given.
        traces = torch.stack([block.trace() for block in own])
        regressor = Regressor.of(gram, ridge * float(traces.sum() / traces[0]), name=name)
        return cross @ regressor.solve(y[shown].repeat(order, 1))

    return scores


def curves(
    scorers: Mapping[str, Scorer],
    labels: Tensor,
    params: CurveLimit,
    tell: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Curve], dict[tuple[str, str], float]]:
    """The curve of each scorer; and for each two, the largest difference of their scores.

    In a run all learn from the same samples, the smaller sizes from the first of the larger, and
    are asked the same. A difference is relative to the root mean square of the first's scores.
    """
    found: dict[str, list[list[float]]] = {name: [] for name in scorers}
    apart: dict[tuple[str, str], float] = {}
    for shown, asked in _draws(len(labels), params):
        run: dict[str, list[float]] = {name: [] for name in scorers}
        for size in params.sizes:
            scores = {name: score(shown[:size], asked) for name, score in scorers.items()}
            for name, said in scores.items():
                right = said.argmax(dim=1) == labels[asked]
                run[name].append(float(right.double().mean()))
            for one, two in _pairs(list(scores)):
                length = float(scores[one].square().mean().sqrt())
                off = float((scores[one] - scores[two]).abs().max()) / length
                apart[one, two] = max(apart.get((one, two), 0.0), off)
        for name, values in run.items():
            found[name].append(values)
        tell()
    return {name: torch.tensor(c, dtype=torch.float64) for name, c in found.items()}, apart


def gains(curve: Curve, base: Curve) -> list[dict[str, float]]:
    """Of each size: mean over runs of the difference, its standard error, and the least."""
    off = curve - base
    return [{"mean": float(d.mean()), "error": _error(d), "least": float(d.min())} for d in off.T]


def short(curve: Curve, base: Curve, params: CurveLimit) -> list[str]:
    """A line for each size at which the mean gain is below ``limit.gain_min``."""
    return [
        f"limit: with {size} samples symmetry gains {gain['mean']:.4g} of accuracy; expected at "
        f"least {params.gain_min:g} (limit.gain_min)"
        for size, gain in zip(params.sizes, gains(curve, base), strict=True)
        if not gain["mean"] >= params.gain_min
    ]


def compared(
    found: Mapping[str, Curve], best: str, base: str, sizes: Sequence[int]
) -> dict[str, Any]:
    """Of each line by size the mean over runs and its standard error; gains; the least of these."""
    over = gains(found[best], found[base])
    return {
        "lines": {
            name: {
                str(size): {"accuracy": told(float(c.mean())), "error": told(_error(c))}
                for size, c in zip(sizes, curve.T, strict=True)
            }
            for name, curve in found.items()
        },
        "gain": {
            str(size): {key: told(value) for key, value in gain.items()}
            for size, gain in zip(sizes, over, strict=True)
        },
        "least_gain": told(min(gain["mean"] for gain in over)),
    }


def rows(
    kernel: str, found: Mapping[str, Curve], base: str, sizes: Sequence[int]
) -> Iterator[list[Any]]:
    """Below ``HEADER``: gains are over ``base``, run by run, with their standard error."""
    for name, curve in found.items():
        for place, size in enumerate(sizes):
            c, off = curve[:, place], (curve - found[base])[:, place]
            gain = [None, None] if name == base else [float(off.mean()), _error(off)]
            accuracy = [float(c.mean()), float(c.std()), _error(c)]
            yield [kernel, name, size, len(c), *accuracy, *gain]


def draw(found: Mapping[str, Curve], sizes: Sequence[int], title: str) -> Picture:
    """Accuracy against samples; bars are standard errors over runs."""
    marks = {
        name: [
            Mark(size, float(c.mean()), _error(c)) for size, c in zip(sizes, curve.T, strict=True)
        ]
        for name, curve in found.items()
    }
    return line_chart(marks, title, "samples to learn from", "accuracy")


def _draws(count: int, params: CurveLimit) -> Iterator[tuple[Tensor, Tensor]]:
    most = params.sizes[-1]
    for run in range(params.runs):
        order = np.random.default_rng([_DRAWS, params.seed, run]).permutation(count)
        places = torch.from_numpy(order)
        yield places[:most], places[most : most + params.test]


def _pairs(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for place, one in enumerate(names):
        for two in names[place + 1 :]:
            yield one, two


def _error(values: Tensor) -> float:
    """The standard error of the mean."""
    return float(values.std()) / math.sqrt(len(values))
