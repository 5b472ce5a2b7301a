"""The index mathematics compiles without a break and then gives the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from geocore.healpix import adjacency, grid, hierarchy, interpolate, locate

NSIDE = 16
PIXEL = torch.arange(12 * NSIDE**2)
VECTORS = torch.randn(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
ANGLES = grid.pix2ang(4, torch.arange(192))
XYF = grid.nest2xyf(NSIDE, PIXEL)

CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (grid.nest2ring, (PIXEL,)),
    (grid.ring2nest, (PIXEL,)),
    (grid.nest2xyf, (PIXEL,)),
    (grid.ring2xyf, (PIXEL,)),
    (grid.xyf2nest, XYF),
    (grid.xyf2ring, XYF),
    (grid.pix2vec, (PIXEL, "ring")),
    (grid.pix2ang, (PIXEL, "nested")),
    (locate.vec2pix, (VECTORS, "nested")),
    (locate.ang2pix, (*ANGLES, "ring")),
    (adjacency.neighbours, (PIXEL, "ring")),
    (interpolate.interp_weights, (*ANGLES, "nested")),
    (hierarchy.parents, (PIXEL, 2, "ring")),
    (hierarchy.children, (PIXEL, 1, "ring")),
]
NAMES = [function.__name__ for function, _ in CASES]


def agree(backend: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    torch.compiler.reset()
    compiled = torch.compile(function, backend=backend, fullgraph=True)
    # Interpolation at a centre: which others have weight zero is rounding, so nearly equal.
    found, expected = compiled(NSIDE, *arguments), function(NSIDE, *arguments)
    torch.testing.assert_close(found, expected, atol=2e-14, rtol=0)


@pytest.mark.parametrize(("function", "arguments"), CASES, ids=NAMES)
def test_in_one_graph(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    agree("eager", function, arguments)


@pytest.mark.slow
@pytest.mark.parametrize(("function", "arguments"), CASES, ids=NAMES)
def test_as_machine_code(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    agree("inductor", function, arguments)
