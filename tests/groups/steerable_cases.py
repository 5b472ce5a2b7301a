"""Groups and the features that they have, which several tests of steerable layers share."""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.groups.steerable import Layer, SteerableNetwork
from geocore.groups.steerable_fields import Feature, Symmetry

NAMES = ("C4", "C8", "D4", "SO2", "O2")


def features(symmetry: Symmetry) -> dict[str, tuple[Feature, ...]]:
    """One list of features for each kind that the group has."""
    found: dict[str, tuple[Feature, ...]] = {
        "irreducible": (
            Feature("irreducible", 2, frequency=1),
            Feature("trivial", 2),
            Feature("irreducible", frequency=2),
        ),
        "vector": (Feature("vector", 2), Feature("trivial"), Feature("tensor")),
    }
    if symmetry.n is None:
        found["circle"] = (Feature("circle", 2, frequency=2), Feature("trivial"))
    else:
        found["regular"] = (Feature("regular", 2),)
        if not symmetry.reflections:
            found["induced"] = (Feature("induced", 2, frequency=1, subgroup=symmetry.n // 2),)
    if symmetry.reflections:
        found["induced"] = (
            Feature("induced", 2, frequency=1),
            Feature("induced"),
            Feature("irreducible", odd=True),
        )
    return found


CASES = [(Symmetry.named(name), kind) for name in NAMES for kind in features(Symmetry.named(name))]
SCALARS = (Feature("trivial", 2),)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=seeded(), dtype=torch.float64)


def network(
    symmetry: Symmetry,
    kind: str,
    nonlinearity: str = "own",
    outputs: int | None = None,
    dtype: torch.dtype = torch.float64,
    inputs: tuple[Feature, ...] = SCALARS,
    pool: str | None = "average",
) -> SteerableNetwork:
    # The sign has no kernel from scalars on few pixels: vectors come between.
    even = (feature for feature in features(symmetry)[kind] if not feature.odd)
    between = (*even, Feature("vector"))
    if nonlinearity == "own":
        nonlinearity = "fourier" if kind == "circle" else "norm"
    layers = [
        Layer(between, 5, nonlinearity, pool),
        Layer(features(symmetry)[kind], 3, nonlinearity),
    ]
    return SteerableNetwork(symmetry, inputs, layers, outputs, generator=seeded(), dtype=dtype)
