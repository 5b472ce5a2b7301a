"""Representations of SO(3): their law, published values, and peers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.so3.rotation import euler_zyz_to_matrix
from geocore.so3.wigner import real_basis, wigner_D, wigner_d
from tests.so3.signals import angles


def test_first_matrices() -> None:
    beta = torch.linspace(0, math.pi, 9, dtype=torch.float64)
    one, two = wigner_d(1, beta), wigner_d(2, beta)
    expected = {
        (0, 0): beta.cos(),
        (1, 1): (1 + beta.cos()) / 2,
        (1, 0): -beta.sin() / math.sqrt(2),
        (0, 1): beta.sin() / math.sqrt(2),
        (1, -1): (1 - beta.cos()) / 2,
    }
    for (m, n), values in expected.items():
        torch.testing.assert_close(one[:, m + 1, n + 1], values, atol=1e-15, rtol=0)
    torch.testing.assert_close(two[:, 2, 2], (3 * beta.cos() ** 2 - 1) / 2, atol=1e-15, rtol=0)


@pytest.mark.parametrize("l", [0, 1, 5, 12, 64, 128])
def test_orthogonal(l: int) -> None:
    d = wigner_d(l, torch.linspace(0.0, 4.0, 5, dtype=torch.float64))
    one = torch.eye(2 * l + 1, dtype=torch.float64).expand_as(d)
    torch.testing.assert_close(d @ d.mT, one, atol=1e-12, rtol=0)


@pytest.mark.parametrize("basis", ["complex", "real"])
@pytest.mark.parametrize("l", [1, 2, 7])
def test_products_of_rotations_are_products_of_matrices(l: int, basis: str) -> None:
    from geocore.so3.rotation import matrix_to_euler_zyz

    first, second = angles(6, seed=1), angles(6, seed=2)
    product = matrix_to_euler_zyz(euler_zyz_to_matrix(*first) @ euler_zyz_to_matrix(*second))
    found = wigner_D(l, *first, basis) @ wigner_D(l, *second, basis)  # type: ignore[arg-type]
    expected = wigner_D(l, *product, basis)  # type: ignore[arg-type]
    torch.testing.assert_close(found, expected, atol=1e-13, rtol=0)


def test_the_vector_representation_is_the_rotation() -> None:
    alpha, beta, gamma = angles(5)
    order = [1, 2, 0]  # m = -1, 0, 1 are y, z, x
    rotation = euler_zyz_to_matrix(alpha, beta, gamma)[:, order][:, :, order]
    found = wigner_D(1, alpha, beta, gamma, "real")
    torch.testing.assert_close(found, rotation, atol=1e-15, rtol=0)


def test_the_real_basis_is_unitary_and_makes_matrices_real() -> None:
    alpha, beta, gamma = angles(4)
    for l in (0, 3, 12):
        change = real_basis(l)
        one = torch.eye(2 * l + 1, dtype=torch.complex128)
        torch.testing.assert_close(change @ change.mH, one, atol=1e-15, rtol=0)
        found = change.conj() @ wigner_D(l, alpha, beta, gamma) @ change.mT
        expected = wigner_D(l, alpha, beta, gamma, "real").to(torch.complex128)
        torch.testing.assert_close(found, expected, atol=1e-14, rtol=0)


def test_a_change_of_what_is_handed_out_stays_outside() -> None:
    real_basis(2).zero_()
    assert real_basis(2).abs().sum() > 1


def test_values_of_e3nn() -> None:
    o3 = pytest.importorskip("e3nn.o3")
    alpha, beta, gamma = angles(3)
    # e3nn's polar axis is y: (x, y, z) there is (y, z, x) here, and it knows no other difference.
    # Its generators are of torch's default type, whatever the angles are.
    for l in range(13):
        torch.set_default_dtype(torch.float64)
        try:
            expected = o3.wigner_D(l, alpha, beta, gamma)
        finally:
            torch.set_default_dtype(torch.float32)
        found = wigner_D(l, alpha, beta, gamma, "real")
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_values_of_sympy() -> None:
    from sympy.physics.quantum.spin import Rotation

    alpha, beta, gamma = (torch.tensor(x, dtype=torch.float64) for x in (0.3, 1.1, -0.7))
    for l in (1, 3, 12):
        found = wigner_D(l, alpha, beta, gamma)
        for m, n in ((l, -1), (0, l), (-l, 1), (1, 0), (-1, -1)):
            exact = complex(Rotation.D(l, m, n, 0.3, 1.1, -0.7).doit().evalf(30))
            assert abs(complex(found[l + m, l + n]) - exact) < 1e-12


def test_derivatives() -> None:
    inputs = tuple(angle.requires_grad_() for angle in angles(1))
    for l in (1, 3):
        for basis in ("complex", "real"):

            def matrix(a: Tensor, b: Tensor, c: Tensor, l: int = l, basis: str = basis) -> Tensor:
                return wigner_D(l, a, b, c, basis)  # type: ignore[arg-type]

            assert torch.autograd.gradcheck(matrix, inputs)


def test_single_precision() -> None:
    alpha, beta, gamma = (angle.float() for angle in angles(5))
    found = wigner_D(10, alpha, beta, gamma, "real")
    expected = wigner_D(10, *angles(5), "real")
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected.float(), atol=2e-5, rtol=0)


def test_what_is_refused() -> None:
    beta = torch.zeros(1)
    with pytest.raises(ValueError, match="l is -1; expected 0 or more"):
        wigner_d(-1, beta)
    with pytest.raises(TypeError, match=r"l is 1\.5; expected an integer"):
        wigner_d(1.5, beta)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"beta is torch\.int64; expected floats"):
        wigner_d(1, torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ValueError, match="basis is 'cartesian'; expected"):
        wigner_D(1, beta, beta, beta, "cartesian")  # type: ignore[arg-type]
