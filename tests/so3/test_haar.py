"""Sums over rotations are Haar integrals."""

from __future__ import annotations

import pytest
import torch

from geocore.so3.haar import haar_quadrature
from geocore.so3.rotation import euler_zyz_to_matrix
from geocore.so3.wigner import wigner_D


@pytest.mark.parametrize("grid", ["gauss-legendre", "driscoll-healy"])
@pytest.mark.parametrize("bandlimit", [1, 2, 4])
def test_entries_of_representations_are_orthogonal(bandlimit: int, grid: str) -> None:
    alpha, beta, gamma, weights = haar_quadrature(bandlimit, grid)
    blocks = [wigner_D(l, alpha, beta, gamma).flatten(1) for l in range(bandlimit)]
    entries = torch.cat(blocks, dim=1)
    gram = entries.mH @ (weights[:, None] * entries)
    sizes = torch.cat([torch.full((n.shape[1],), n.shape[1]) for n in blocks]).double().sqrt()
    expected = torch.diag(1 / sizes).to(gram.dtype)
    torch.testing.assert_close(gram, expected, atol=1e-14, rtol=0)


def test_moments_of_rotations() -> None:
    alpha, beta, gamma, weights = haar_quadrature(2)
    matrices = euler_zyz_to_matrix(alpha, beta, gamma)
    trace = matrices.diagonal(dim1=1, dim2=2).sum(dim=1)
    assert weights.sum().item() == pytest.approx(1)
    assert (weights * trace).sum().item() == pytest.approx(0, abs=1e-14)
    # The character of a sum of irreps: E[tr^2] = 1, E[tr^3] = 1.
    assert (weights * trace**2).sum().item() == pytest.approx(1)
    assert (weights * trace**3).sum().item() == pytest.approx(1)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="bandlimit is 0; expected an integer of at least 1"):
        haar_quadrature(0)
