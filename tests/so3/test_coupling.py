"""Clebsch-Gordan coefficients: published values, exact ones, and what they are for."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from geocore.so3.coupling import clebsch_gordan, real_clebsch_gordan, wigner_3j
from geocore.so3.wigner import wigner_D
from tests.so3.signals import angles


def test_published_values() -> None:
    for j3, expected in ((0, -1 / math.sqrt(3)), (1, 0.0), (2, math.sqrt(2 / 3))):
        assert clebsch_gordan(1, 1, j3)[1, 1, j3].item() == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("two1", "two2"), [(1, 1), (2, 1), (3, 2), (5, 3), (4, 4), (7, 6), (12, 8), (24, 24)]
)
def test_values_of_sympy(two1: int, two2: int) -> None:
    from sympy import Rational
    from sympy.physics.wigner import clebsch_gordan as exact

    checked = 0
    for two3 in range(abs(two1 - two2), two1 + two2 + 1, 2):
        block = clebsch_gordan(two1 / 2, two2 / 2, two3 / 2)
        step = max(1, two1 // 4)
        for a in range(0, two1 + 1, step):
            for b in range(0, two2 + 1, step):
                m1, m2 = 2 * a - two1, 2 * b - two2
                if abs(m1 + m2) > two3:
                    continue
                spins = [Rational(x, 2) for x in (two1, two2, two3, m1, m2, m1 + m2)]
                found = block[a, b, (m1 + m2 + two3) // 2].item()
                assert abs(found - float(exact(*spins))) < 1e-13
                checked += 1
    assert checked > 3


@pytest.mark.parametrize(("j1", "j2"), [(1, 1), (0.5, 2), (Fraction(3, 2), 2.5), (12, 9)])
def test_all_spins_together_are_a_change_of_basis(j1: float, j2: float) -> None:
    spins = [abs(j1 - j2) + k for k in range(int(2 * min(j1, j2)) + 1)]
    whole = torch.cat([clebsch_gordan(j1, j2, j3).flatten(0, 1) for j3 in spins], dim=1)
    one = torch.eye(len(whole), dtype=torch.float64)
    torch.testing.assert_close(whole.T @ whole, one, atol=1e-14, rtol=0)


@pytest.mark.parametrize("spins", [(1, 1, 1), (2, 3, 4), (4, 4, 7)])
def test_intertwines(spins: tuple[int, int, int]) -> None:
    a, b, c = angles(3)
    for basis, block in (
        ("complex", clebsch_gordan(*spins)),
        ("real", real_clebsch_gordan(*spins)),
    ):
        one, two, three = (wigner_D(l, a, b, c, basis) for l in spins)  # type: ignore[arg-type]
        block = block.to(one.dtype)
        product = torch.einsum("zim,zjn,mnk->zijk", one, two, block)
        together = torch.einsum("ijk,zkm->zijm", block, three)
        torch.testing.assert_close(product, together, atol=1e-13, rtol=0)


def test_three_j_symbols() -> None:
    symbol = wigner_3j(2, 1, 2)
    torch.testing.assert_close(symbol, wigner_3j(1, 2, 2).permute(1, 0, 2) * -1, atol=1e-15, rtol=0)
    torch.testing.assert_close(wigner_3j(2, 2, 1), symbol.permute(2, 0, 1), atol=1e-15, rtol=0)
    assert wigner_3j(1, 1, 0)[2, 0, 0].item() == pytest.approx(1 / math.sqrt(3))
    assert not wigner_3j(1, 1, 0.5).any()


def test_large_spins() -> None:
    block = clebsch_gordan(40, 40, 0)[:, :, 0]
    # <j m j -m | 0 0> = (-1)^(j - m) / sqrt(2j + 1)
    signs = torch.tensor([(-1.0) ** (40 - m) for m in range(-40, 41)], dtype=torch.float64)
    torch.testing.assert_close(block.flip(1).diagonal(), signs / 9, atol=1e-15, rtol=0)


def test_spins_that_do_not_couple() -> None:
    assert not clebsch_gordan(1, 1, 3).any()
    assert not clebsch_gordan(1, 1, 0.5).any()


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"j2 is -1; expected 0, 1/2, 1, 3/2"):
        clebsch_gordan(1, -1, 0)
    with pytest.raises(ValueError, match=r"j1 is 0\.3; expected 0, 1/2"):
        clebsch_gordan(0.3, 1, 1)
    with pytest.raises(TypeError, match="j3 is '1'; expected an integer or a half-integer"):
        clebsch_gordan(1, 1, "1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"l1 is 0\.5; expected an integer in the real basis"):
        real_clebsch_gordan(0.5, 1, 1)  # type: ignore[arg-type]
