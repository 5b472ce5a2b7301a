"""Constructions on the plane: group convolutions as references, and steerable layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from geocore.config.laws import LawsParams
from geocore.groups.convolution import GroupConvolution, LiftingConvolution
from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import OnGroupMaps, moved
from geocore.groups.smooth_law import centre_error
from geocore.groups.steerable import Layer, SteerableNetwork
from geocore.groups.steerable_fields import Element, Feature, OnFields, Symmetry
from geocore.measure.equivariance import equivariance_error
from geocore.pipeline.constructions import Case, Construction, worst

__all__ = ["PLANAR", "noise", "other_elements"]


Action = Callable[[Tensor], Tensor]


def noise(params: LawsParams, dtype: torch.dtype, batch: int) -> Tensor:
    """White images ``(batch, 1, size, size)``: the exact law needs no smoothness."""
    generator = torch.Generator().manual_seed(params.seed)
    side = params.image_size
    return torch.randn(batch, 1, side, side, generator=generator, dtype=torch.float64).to(dtype)


def other_elements(symmetry: Symmetry, count: int) -> list[Element]:
    """Elements that permute no pixels: of C_n and D_n all such, of the others ``count``."""
    n, of_pixels = symmetry.n, {(round(a, 9), m) for a, m in symmetry.on_pixels()}
    golden = math.pi * (3 - math.sqrt(5))  # its multiples keep clear of quarter turns
    angles = [golden * k % (2 * math.pi) for k in range(1, count + 1)]
    if n is not None:
        angles = [2 * math.pi * k / n for k in range(n)]
    mirrors = (False, True) if symmetry.reflections else (False,)
    every = [(angle, mirrored) for mirrored in mirrors for angle in angles]
    return [one for one in every if (round(one[0], 9), one[1]) not in of_pixels]


def _error(
    module: nn.Module, x: Tensor, act: Action, act_out: Action | Literal["invariant"]
) -> float:
    with torch.no_grad():
        return float(equivariance_error(module, x, act, act_out).max())


def _group_convolution(n: int, reflections: bool, params: LawsParams, dtype: torch.dtype) -> Case:
    group, generator = PlanarGroup(n, reflections), torch.Generator().manual_seed(params.seed)
    module = nn.Sequential(
        LiftingConvolution(group, 1, 4, 5, generator),
        nn.ReLU(),
        GroupConvolution(group, 4, 4, 5, generator),
        nn.ReLU(),
    ).to(dtype)
    on_pixels = [g for g in group if 4 * group.parts(g)[0] % n == 0]
    others = [g for g in group if g not in on_pixels]
    x, on_maps = noise(params, dtype, 2), OnGroupMaps(group)

    def exact() -> float:
        return worst(
            _error(module, x, partial(moved, group, g), partial(on_maps.act, g)) for g in on_pixels
        )

    def at(g: int) -> float:
        r, s = group.parts(g)
        regular = torch.eye(group.order, dtype=torch.float64)[group.shifted(g)]
        flat = nn.Sequential(module, nn.Flatten(1, 2))
        element = (2 * math.pi * r / n, bool(s))
        matrix = torch.block_diag(*[regular] * 4)
        return centre_error(flat, matrix, element, params.image_size, dtype=dtype)

    def sampled() -> float:
        return worst(map(at, others))

    return Case(module, partial(noise, params, dtype), exact, sampled if others else None)


def _steerable(
    name: str,
    features: tuple[Feature, ...],
    nonlinearity: str,
    outputs: int | None,
    params: LawsParams,
    dtype: torch.dtype,
) -> Case:
    symmetry = Symmetry.named(name)
    module = SteerableNetwork(
        symmetry,
        (Feature("trivial"),),
        [Layer(features, 5, nonlinearity)] * 2,
        outputs,
        generator=torch.Generator().manual_seed(params.seed),
        dtype=dtype,
    )
    x, images = noise(params, dtype, 2), OnFields(module.fields_in)
    fields, on_fields = module.fields_out, OnFields(module.fields_out)
    others = other_elements(symmetry, params.elements)

    def law(g: Element) -> Action | Literal["invariant"]:
        return "invariant" if outputs else partial(on_fields.act, g)

    def exact() -> float:
        return worst(_error(module, x, partial(images.act, g), law(g)) for g in images)

    def at(g: Element) -> float:
        matrix = None if outputs else fields.matrix(g)
        return centre_error(module, matrix, g, params.image_size, dtype=dtype)

    def sampled() -> float:
        return worst(map(at, others))

    return Case(module, partial(noise, params, dtype), exact, sampled if others else None)


def _features(name: str) -> dict[str, tuple[Feature, ...]]:
    """Of each kind that the group has, from 16 to 32 channels."""
    symmetry = Symmetry.named(name)
    n, mirrors = symmetry.n, symmetry.reflections
    first, second = (Feature("irreducible", 4, frequency=k) for k in (1, 2))
    found: dict[str, tuple[Feature, ...]] = {"irreducible": (Feature("trivial", 4), first, second)}
    if n is not None:
        found = {"regular": (Feature("regular", 4),), **found}  # as the group convolutions
    else:
        found = {"circle": (Feature("circle", 4, frequency=2),), **found}
    if mirrors:
        found["induced"] = (Feature("induced", 4, frequency=1), Feature("trivial", 4))
    elif n is not None:
        induced = Feature("induced", 4, frequency=1, subgroup=n // 2)
        found["induced"] = (induced, Feature("trivial", 4))
    return found


def _rows() -> list[Construction]:
    rows = [
        Construction(
            f"group convolution {PlanarGroup(n, mirrors).name}",
            "plane",
            PlanarGroup(n, mirrors).name,
            "h(g f) = g h(f), (g f)(u, p) = f(g^-1 u, g^-1 p)",
            partial(_group_convolution, n, mirrors),
        )
        for n, mirrors in ((4, False), (4, True), (8, False))
    ]
    law = "h(g f) = g h(f), (g f)(p) = rho(g) f(g^-1 p)"
    for name in ("C4", "C8", "D4", "SO2", "O2"):
        rows += [
            Construction(
                f"steerable {name}, {kind}", "plane", name, law,
                partial(
                    _steerable, name, features, "fourier" if kind == "circle" else "norm", None
                ),
            )
            for kind, features in _features(name).items()
        ]  # fmt: skip
    gated = _features("SO2")["irreducible"]
    rows.append(
        Construction(
            "steerable SO2, gated", "plane", "SO2", law,
            partial(_steerable, "SO2", gated, "gated", None),
        )
    )  # fmt: skip
    rows.append(
        Construction(
            "steerable D4, invariant head", "plane", "D4", "h(g f) = h(f)",
            partial(_steerable, "D4", _features("D4")["regular"], "norm", 3),
        )
    )  # fmt: skip
    return rows


PLANAR = tuple(_rows())
