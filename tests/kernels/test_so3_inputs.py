"""Signals on the sphere come as coefficients or as maps: the same coefficients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.healpix.grid import pix2vec
from geocore.kernels.so3_inputs import harmonic_coefficients, mean_square
from geocore.so3.driscoll_healy import driscoll_healy_directions


def polynomial(v: Tensor) -> Tensor:
    """``1 + 2 z + x y``, whose mean square is ``1 + 4/3 + 1/15``."""
    x, y, z = v.unbind(-1)
    return 1 + 2 * z + x * y


def centres(nside: int, ordering: str) -> Tensor:
    pixels = torch.arange(12 * nside**2)
    return pix2vec(nside, pixels, ordering)  # type: ignore[arg-type]


@pytest.mark.parametrize("ordering", ["nested", "ring"])
def test_maps_on_either_grid_have_the_known_coefficients(ordering: str) -> None:
    planar = harmonic_coefficients(polynomial(driscoll_healy_directions(6))[None, None], 3)
    maps = polynomial(centres(8, ordering))[None, None]
    healpix = harmonic_coefficients(maps, 3, ordering=ordering)  # type: ignore[arg-type]
    known = torch.zeros(1, 1, 3, 3, dtype=torch.complex128)
    known[0, 0, 0, 0] = math.sqrt(4 * math.pi)
    known[0, 0, 1, 0] = 2 * math.sqrt(4 * math.pi / 3)
    # x y = sin^2 sin(2 phi) / 2, Y_22 = sqrt(15 / 32 pi) sin^2 e^(2 i phi)
    known.imag[0, 0, 2, 2] = -0.25 / math.sqrt(15 / (32 * math.pi))
    torch.testing.assert_close(planar, known, rtol=0, atol=1e-13)
    torch.testing.assert_close(healpix, known, rtol=0, atol=1e-10)
    mean = torch.tensor([1 + 4 / 3 + 1 / 15], dtype=torch.float64)
    torch.testing.assert_close(mean_square(planar), mean, rtol=0, atol=1e-13)


def test_coefficients_lose_what_has_no_meaning() -> None:
    given = torch.ones(2, 1, 4, 4, dtype=torch.complex128) * (1 + 1j)
    found = harmonic_coefficients(given, 3)
    assert found.shape == (2, 1, 3, 3)
    assert found[0, 0].tolist() == [[1, 0, 0], [1, 1 + 1j, 0], [1, 1 + 1j, 1 + 1j]]
    assert given[0, 0, 0, 0] == 1 + 1j


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((2, 3), torch.float64, r"shape \(2, 3\); expected coefficients"),
        ((2, 1, 48), torch.complex128, "expected coefficients"),
        ((0, 1, 48), torch.float64, "expected coefficients"),
        ((2, 1, 50), torch.float64, "50 pixels; expected 12 nside"),
        ((2, 1, 12), torch.float64, "bandlimit is 4; expected an integer from 1 to 3 nside"),
        ((2, 1, 6, 6), torch.float64, "at least the bandlimit, 4"),
        ((2, 1, 8, 10), torch.float64, r"\(2, 1, 8, 10\); expected"),
        ((2, 1, 3, 3), torch.complex128, "at least the bandlimit, 4"),
    ],
)
def test_other_shapes_are_named(shape: tuple[int, ...], dtype: torch.dtype, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        harmonic_coefficients(torch.zeros(shape, dtype=dtype), 4)


def test_other_numbers_are_named() -> None:
    with pytest.raises(TypeError, match=r"inputs are torch\.int64; expected float32"):
        harmonic_coefficients(torch.zeros(1, 1, 48, dtype=torch.int64), 2)
