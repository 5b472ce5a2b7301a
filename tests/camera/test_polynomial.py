"""WoodScape's polynomial: published values of its front camera, and where it stops to rise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from geocore.camera.lens import valid_pixels
from geocore.camera.models import Equidistant
from geocore.camera.polynomial import RadialPolynomial
from geocore.testing import assert_parity
from tests.camera.cameras import FRONT, image_points


def test_reference_values_of_the_front_camera() -> None:
    quarter = torch.tensor(math.pi / 2, dtype=torch.float64)
    assert float(FRONT.radius(quarter)) == pytest.approx(598.0125766, abs=5e-8)
    # A point at 90 degrees to the right of the axis: u = rho + cx_offset + W / 2 - 1/2.
    u, v, in_front = FRONT.project(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
    assert float(u) == pytest.approx(598.0125766 + 3.942 + 639.5, abs=5e-8)
    assert float(v) == pytest.approx(-3.093 + 482.5, abs=1e-9) and in_front
    # The furthest pixel centre; monotone on [0, pi], so every pixel sees a direction.
    corners = [
        torch.tensor(edge).double() for edge in ([0.0, 1279.0] * 2, [0.0, 0.0, 965.0, 965.0])
    ]
    x, y, z = FRONT.unproject(*corners).unbind(-1)
    furthest = float(torch.rad2deg(torch.atan2(torch.hypot(x, y), z)).max())
    assert furthest == pytest.approx(112.906, abs=5e-4)
    assert FRONT.max_angle == math.pi
    assert valid_pixels(FRONT).all()


def test_a_polynomial_of_degree_one_is_the_equidistant_lens() -> None:
    shape = {"offset": (1.0, -2.0), "aspect": 1.1}
    polynomial = RadialPolynomial(20, 30, (9.0,), **shape)  # type: ignore[arg-type]
    equidistant = Equidistant(20, 30, 9.0, **shape)  # type: ignore[arg-type]
    u, v = image_points(polynomial, 0.7)
    assert polynomial.max_angle == equidistant.max_angle
    assert_parity(
        lambda *point: polynomial.unproject(*point),
        lambda *point: equidistant.unproject(*point),
        u, v, atol=1e-13,
    )  # fmt: skip


def test_horner_is_the_sum_of_powers() -> None:
    theta = torch.linspace(0, 3, 20).double()
    expected = np.polynomial.Polynomial([0.0, *FRONT.coefficients])(theta.numpy())
    np.testing.assert_allclose(FRONT.radius(theta).numpy(), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("coefficients", "limit"),
    [
        ((20.0, 0.0, -3.0), math.sqrt(20 / 9)),
        ((10.0, -5.0), 1.0),
        ((10.0, -1.0), math.pi),  # turns at 5, beyond what there is
        ((10.0, 0.0, 0.0, 0.0), math.pi),
        # rho' = 100 (1 - theta)^2 touches 0 and rises on: the field ends there all the same.
        ((100.0, -100.0, 100 / 3), 1.0),
    ],
)
def test_the_field_ends_where_the_radius_stops_to_rise(
    coefficients: tuple[float, ...], limit: float
) -> None:
    camera = RadialPolynomial(30, 40, coefficients)
    assert camera.max_angle == pytest.approx(limit, abs=1e-6)
    narrow = RadialPolynomial(30, 40, coefficients, limit=30.0)
    assert narrow.max_angle == math.radians(30.0)


@pytest.mark.parametrize("coefficients", [(), (0.0, 1.0), (-3.0,), (1.0, math.nan), (math.inf,)])
def test_wrong_coefficients_are_named(coefficients: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"coefficients is \(.*the first is above 0"):
        RadialPolynomial(3, 4, coefficients)
