"""The constructions of the survey: one list, which laws and costs are measured along.

A further geometry is a module with a tuple of its own, added to ``constructions`` below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geocore.config.laws import LawsParams

__all__ = ["Case", "Construction", "constructions", "worst"]

Measure = Callable[[], float]


@dataclass(frozen=True)
class Case:
    """A construction, built: what runs, on what, and how its law is measured.

    ``sample(batch)`` is an input. ``exact()`` is the largest relative error over elements for which
    the law holds to rounding, ``sampled()`` over elements for which it holds as far as sampling
    does; None where there are none such.
    """

    module: nn.Module
    sample: Callable[[int], Tensor]
    exact: Measure | None
    sampled: Measure | None


@dataclass(frozen=True)
class Construction:
    """One row: where it lives, its group, its law in a formula, and ``build(params, dtype)``."""

    name: str
    space: str
    group: str
    law: str
    build: Callable[[LawsParams, torch.dtype], Case]


def worst(errors: Iterable[float]) -> float:
    """The largest error, and NaN where any is: Python's ``max`` loses it. At least one."""
    return float(torch.tensor(list(errors), dtype=torch.float64).max())


def constructions() -> tuple[Construction, ...]:
    """All of them, by the space that their signals live on."""
    from geocore.pipeline.detecting_constructions import DETECTING
    from geocore.pipeline.planar_constructions import PLANAR
    from geocore.pipeline.spherical_constructions import SPHERICAL

    return (*PLANAR, *SPHERICAL, *DETECTING)
