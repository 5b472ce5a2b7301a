"""Spherical harmonics: orthonormal, rotated by Wigner's matrices, equal to peers."""

from __future__ import annotations

import math

import pytest
import torch

from geocore.so3.harmonics import spherical_harmonics
from geocore.so3.quadrature import gauss_legendre
from geocore.so3.wigner import real_basis, wigner_D
from tests.so3.signals import angles, rotations


def points(count: int) -> torch.Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("basis", ["real", "complex"])
def test_orthonormal(basis: str) -> None:
    beta, weights = gauss_legendre(8)
    alpha = math.pi * torch.arange(16, dtype=torch.float64) / 8
    beta, alpha = beta[:, None].expand(8, 16), alpha.expand(8, 16)
    sine = beta.sin()
    grid = torch.stack([sine * alpha.cos(), sine * alpha.sin(), beta.cos()], dim=-1).reshape(-1, 3)
    values = spherical_harmonics(7, grid, basis)  # type: ignore[arg-type]
    measure = (weights[:, None].expand(8, 16) * math.pi / 8).reshape(-1, 1)
    gram = values.mH @ (measure * values)
    one = torch.eye(64, dtype=gram.dtype)
    torch.testing.assert_close(gram, one, atol=1e-14, rtol=0)


@pytest.mark.parametrize("basis", ["real", "complex"])
def test_rotated(basis: str) -> None:
    v, rotation = points(6), rotations(6)
    before = spherical_harmonics(6, v, basis)  # type: ignore[arg-type]
    after = spherical_harmonics(6, (rotation @ v[..., None])[..., 0], basis)  # type: ignore[arg-type]
    for l in range(7):
        matrix = wigner_D(l, *angles(6), basis)  # type: ignore[arg-type]
        span = slice(l * l, (l + 1) ** 2)
        expected = (matrix.conj() @ before[:, span, None])[..., 0]
        torch.testing.assert_close(after[:, span], expected, atol=1e-14, rtol=0)


def test_real_ones_are_the_complex_ones_in_the_real_basis() -> None:
    v = points(4)
    whole, parts = spherical_harmonics(5, v, "complex"), spherical_harmonics(5, v)
    for l in range(6):
        span = slice(l * l, (l + 1) ** 2)
        found = whole[:, span] @ real_basis(l).mT
        torch.testing.assert_close(found, parts[:, span].to(whole.dtype), atol=1e-14, rtol=0)


def test_values_of_e3nn() -> None:
    o3 = pytest.importorskip("e3nn.o3")
    v = points(5)
    peer = v[:, [1, 2, 0]]  # its polar axis is the second
    for l in range(12):
        expected = o3.spherical_harmonics(l, peer, normalize=True, normalization="integral")
        found = spherical_harmonics(l, v)[:, l * l :]
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_values_of_scipy_to_degree_128() -> None:
    special = pytest.importorskip("scipy.special")
    v = points(5)
    theta, phi = torch.acos(v[:, 2] / v.norm(dim=1)), torch.atan2(v[:, 1], v[:, 0])
    values = spherical_harmonics(128, v, "complex")
    for l, m in ((0, 0), (3, -2), (12, 12), (128, 0), (128, 77), (128, -128)):
        expected = torch.from_numpy(special.sph_harm_y(l, m, theta.numpy(), phi.numpy()))
        torch.testing.assert_close(values[:, l * l + l + m], expected, atol=1e-12, rtol=0)


def test_differentiable_at_the_poles_too() -> None:
    v = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [0.3, -0.5, 0.2]], dtype=torch.float64)
    v.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: spherical_harmonics(4, v), (v,))


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="lmax is -1; expected an integer of at least 0"):
        spherical_harmonics(-1, torch.ones(3))
    with pytest.raises(ValueError, match=r"vectors has shape \(4,\); expected \(\.\.\., 3\)"):
        spherical_harmonics(1, torch.ones(4))
    with pytest.raises(TypeError, match=r"vectors is torch\.int64; expected floats"):
        spherical_harmonics(1, torch.ones(3, dtype=torch.int64))
