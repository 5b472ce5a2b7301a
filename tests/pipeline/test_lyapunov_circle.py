"""The circle's figures: of a field that is known, and what is kept of it; the linear law."""

from __future__ import annotations

import math

import pytest
import torch

from geocore.explain.chain import linear_gaussian_exponent
from geocore.explain.circle import RADIUS, CircleFigures, circle_network
from geocore.explain.section import Section
from geocore.pipeline.lyapunov_circle import figures_of, looked_at, network_figures, ridges_of
from geocore.pipeline.lyapunov_linear import LinearLaw, linear_law, measured_linear

SIZE = 81


def known(radius: float) -> CircleFigures:
    """A field with one ridge, a circle of that radius, of height 2 over a centre of 2 - 9 r^2."""
    points = Section.plane(1.0, SIZE, dtype=torch.float64).points()
    distance = points.norm(dim=-1)
    total = 2 - 9 * (distance - radius).square()
    direction = points / distance.clamp(min=1e-9)[..., None]
    direction[SIZE // 2, SIZE // 2] = torch.tensor([1.0, 0.0])

    def scalar(value: float) -> torch.Tensor:
        return torch.tensor([value], dtype=torch.float64)

    return CircleFigures(
        ridge=scalar(2.0), centre=scalar(2 - 9 * radius**2), alignment=scalar(1.0),
        accuracy=scalar(1.0), exponent=total[None], direction=direction[None],
        near=(distance - RADIUS).abs() <= 0.05, depth=3,
    )  # fmt: skip


def test_a_ridge_on_the_circle() -> None:
    found = network_figures(known(RADIUS), 0)
    assert found.covered == 1.0 and found.auc == 1.0
    assert found.off < 1e-3  # a parabola's crest, but for the bilinear neighbours
    assert found.contrast == pytest.approx(9 * RADIUS**2, abs=1e-12)
    crests = ridges_of(known(RADIUS), 0)
    assert float((crests.position.norm(dim=1) - RADIUS).abs().max()) < 0.01
    assert float(crests.height.mean()) == pytest.approx(2, abs=1e-3)


def test_a_ridge_beside_the_circle() -> None:
    found = network_figures(known(RADIUS - 0.2), 0)
    assert found.covered == 0.0
    assert found.off == pytest.approx(0.2, abs=2e-3)
    assert found.auc < 0.7


def test_a_flat_field_has_no_ridge() -> None:
    flat = known(RADIUS)
    flat.exponent.zero_()
    found = network_figures(flat, 0)
    assert math.isnan(found.off) and found.covered == 0.0 and found.auc == 0.5


def test_what_is_kept_is_what_was_found() -> None:
    states = [circle_network(2, 4, seed).state_dict() for seed in range(3)]
    stacked = {name: torch.stack([state[name] for state in states]) for name in states[0]}
    kept = looked_at(circle_network(2, 4, 0), stacked, 11)
    figures = figures_of(kept)
    assert figures.depth == 2 and figures.exponent.shape == (3, 11, 11)
    alone = figures_of(
        looked_at(circle_network(2, 4, 1), {n: v[1:2] for n, v in stacked.items()}, 11)
    )
    torch.testing.assert_close(figures.exponent[1], alone.exponent[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(figures.ridge[1], alone.ridge[0], rtol=0, atol=1e-5)
    field = figures.field(1)
    torch.testing.assert_close(field.total, figures.exponent[1])


def test_linear_networks_have_their_law() -> None:
    found = linear_law(3, measured_linear(3, 20, 400, 0))
    assert found.law == linear_gaussian_exponent(1 / 3, 3)
    assert found.error < 0.01 and found.errors_off < 3
    assert found.largest > found.law + 2 * found.error  # the longest vector grows faster
    wrong = LinearLaw(2 * found.law, found.growth, found.error, found.largest)
    assert wrong.errors_off > 10  # the formula as printed, without its 1/2
    first, other = (measured_linear(3, 2, 9, seed)["growth"] for seed in (0, 1))
    assert torch.equal(first, measured_linear(3, 2, 9, 0)["growth"])
    assert not torch.allclose(first, other)
