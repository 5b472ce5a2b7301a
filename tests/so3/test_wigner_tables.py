"""The recursion gives the matrices that the spectrum of J_y gives."""

from __future__ import annotations

import math

import pytest
import torch

from geocore.so3.wigner import wigner_d
from geocore.so3.wigner_tables import signed_wigner_table, wigner_table


@pytest.mark.parametrize("bandlimit", [1, 2, 13, 48])
def test_equal_to_the_matrices(bandlimit: int) -> None:
    beta = torch.linspace(0.001, math.pi - 0.001, 9, dtype=torch.float64)
    table = wigner_table(bandlimit, beta)
    for l in {0, bandlimit // 2, bandlimit - 1}:
        matrices = wigner_d(l, beta)
        expected = matrices[:, l:, l:].permute(1, 2, 0)
        torch.testing.assert_close(table[: l + 1, : l + 1, l], expected, atol=1e-13, rtol=0)
        assert not table[l + 1 :, :, l].any()
        assert not table[:, l + 1 :, l].any()


def test_legendre_functions_to_degree_128() -> None:
    beta = torch.linspace(0.001, math.pi - 0.001, 5, dtype=torch.float64)
    table = wigner_table(129, beta, orders=1)[:, 0]
    expected = wigner_d(128, beta)[:, 128:, 128].T
    torch.testing.assert_close(table[:, 128], expected, atol=1e-12, rtol=0)


def test_negative_orders_follow_from_the_other_hemisphere() -> None:
    beta = torch.linspace(0.1, 3.0, 6, dtype=torch.float64)
    mirrored = wigner_table(6, math.pi - beta)
    for l in range(6):
        for m in range(l + 1):
            for n in range(l + 1):
                expected = wigner_d(l, beta)[:, l + m, l - n]
                found = (-1) ** (l + m) * mirrored[m, n, l]
                torch.testing.assert_close(found, expected, atol=1e-14, rtol=0)


def test_all_orders_of_the_second_index() -> None:
    beta = torch.linspace(0.1, 3.0, 6, dtype=torch.float64)
    table = signed_wigner_table(5, beta)
    assert table.shape == (5, 9, 5, 6)
    for l in range(5):
        expected = torch.zeros(5, 9, 6, dtype=torch.float64)
        expected[: l + 1, 4 - l : 5 + l] = wigner_d(l, beta)[:, l:].permute(1, 2, 0)
        torch.testing.assert_close(table[:, :, l], expected, atol=1e-14, rtol=0)


def test_poles() -> None:
    table = wigner_table(5, torch.tensor([0.0], dtype=torch.float64))[..., 0]
    m = torch.arange(5)
    same = (m[:, None] == m)[..., None] & (m[:, None, None] <= m)
    torch.testing.assert_close(table, same.double(), atol=1e-14, rtol=0)  # d^l(0) = 1


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="bandlimit is 0; expected at least 1"):
        wigner_table(0, torch.zeros(1))
    with pytest.raises(ValueError, match="orders is 5; expected 1 to bandlimit 4"):
        wigner_table(4, torch.zeros(1), orders=5)
