"""Clebsch-Gordan coefficients: the product of two representations, taken apart."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

from geocore.so3.wigner import real_basis

__all__ = ["clebsch_gordan", "coefficient", "couple", "real_clebsch_gordan", "wigner_3j"]

Spin = int | float | Fraction


def clebsch_gordan(j1: Spin, j2: Spin, j3: Spin) -> Tensor:
    r"""``<j1 m1 j2 m2 | j3 m3>``, so that ``D^{j1} x D^{j2}`` falls apart into the ``D^{j3}``:

    .. math::
        \sum_{m_1' m_2'} D^{j_1}_{m_1 m_1'} D^{j_2}_{m_2 m_2'} C_{m_1' m_2' m_3}
        = \sum_{m_3'} C_{m_1 m_2 m_3'} D^{j_3}_{m_3' m_3}

    Shape ``(2 j1 + 1, 2 j2 + 1, 2 j3 + 1)``, float64, orders rising from -j; zero unless
    ``m1 + m2 = m3`` and ``|j1 - j2| <= j3 <= j1 + j2``. Condon-Shortley phase. Spins are integers
    or half-integers. Each entry is Racah's sum in whole numbers, rounded once, so there is no
    cancellation at any spin.

    Raises ``ValueError`` for a spin that is negative or no multiple of a half.
    """
    return _block(_doubled("j1", j1), _doubled("j2", j2), _doubled("j3", j3)).clone()


def wigner_3j(j1: Spin, j2: Spin, j3: Spin) -> Tensor:
    r"""The symmetric form, invariant under even permutations of its columns:

    .. math::
        \begin{pmatrix} j_1 & j_2 & j_3 \\ m_1 & m_2 & m_3 \end{pmatrix} =
        \frac{(-1)^{j_1 - j_2 - m_3}}{\sqrt{2 j_3 + 1}}
        \langle j_1 m_1 j_2 m_2 | j_3\, {-m_3}\rangle

    Shape and errors as ``clebsch_gordan``; zero unless ``m1 + m2 + m3 = 0``.
    """
    two1, two2, two3 = _doubled("j1", j1), _doubled("j2", j2), _doubled("j3", j3)
    block = _block(two1, two2, two3).flip(-1)
    if (two1 + two2 + two3) % 2:
        return block  # zero: no such product
    signs = [(-1) ** ((two1 - two2 - two_m) // 2) for two_m in range(-two3, two3 + 1, 2)]
    return block * torch.tensor(signs, dtype=torch.float64) / math.sqrt(two3 + 1)


def real_clebsch_gordan(l1: int, l2: int, l3: int) -> Tensor:
    r"""The same in the real basis (``geocore.so3.wigner.real_basis``): intertwines real ``D``.

    With the columns of ``C`` orthonormal. In the real basis the coefficients are real where ``l1 +
    l2 + l3`` is even and imaginary where it is odd; there the phase ``i`` is taken out. Shape
    ``(2 l1 + 1, 2 l2 + 1, 2 l3 + 1)``, float64; integers only.
    """
    for name, value in (("l1", l1), ("l2", l2), ("l3", l3)):
        if _doubled(name, value) % 2:
            raise ValueError(f"{name} is {value}; expected an integer in the real basis")
    one, two, three = (real_basis(int(l)) for l in (l1, l2, l3))
    block = clebsch_gordan(l1, l2, l3).to(torch.complex128)
    turned = torch.einsum("abc,ia,jb,kc->ijk", block, one.conj(), two.conj(), three)
    return turned.imag.clone() if (l1 + l2 + l3) % 2 else turned.real.clone()


def couple(two_j1: int, two_j2: int, two_j3: int) -> bool:
    """Whether ``j3`` is in the product of ``j1`` and ``j2``, from twice the spins."""
    within = abs(two_j1 - two_j2) <= two_j3 <= two_j1 + two_j2
    return within and (two_j1 + two_j2 + two_j3) % 2 == 0


@lru_cache(maxsize=1 << 16)
def coefficient(two_j1: int, two_j2: int, two_j3: int, two_m1: int, two_m2: int) -> float:
    """One ``<j1 m1 j2 m2 | j3 m1+m2>`` from twice its arguments, correctly rounded but for a root.

    Racah's formula: the square of the factor before the sum, and the sum, are rational. The spins
    must be coupled and the orders no larger than them.
    """

    def halved(twice: int) -> int:
        return math.factorial(twice // 2)

    j1, j2, j3, m1, m2 = two_j1, two_j2, two_j3, two_m1, two_m2
    m3 = m1 + m2
    square = Fraction(
        (j3 + 1) * halved(j1 + j2 - j3) * halved(j1 - j2 + j3) * halved(j2 + j3 - j1)
        * halved(j1 + m1) * halved(j1 - m1) * halved(j2 + m2) * halved(j2 - m2)
        * halved(j3 + m3) * halved(j3 - m3),
        halved(j1 + j2 + j3 + 2),
    )  # fmt: skip
    least = max(0, j2 - j3 - m1, j1 - j3 + m2)
    most = min(j1 + j2 - j3, j1 - m1, j2 + m2)
    total = Fraction(0)
    for twice in range(least, most + 1, 2):
        below = (
            halved(twice) * halved(j1 + j2 - j3 - twice) * halved(j1 - m1 - twice)
            * halved(j2 + m2 - twice) * halved(j3 - j2 + m1 + twice)
            * halved(j3 - j1 - m2 + twice)
        )  # fmt: skip
        total += Fraction((-1) ** (twice // 2), below)
    # One fraction under the root: its two factors alone may be too large or small for a float.
    return math.copysign(math.sqrt(square * total * total), total) if total else 0.0


@lru_cache(maxsize=1 << 10)
def _block(two1: int, two2: int, two3: int) -> Tensor:
    block = torch.zeros(two1 + 1, two2 + 1, two3 + 1, dtype=torch.float64)
    if not couple(two1, two2, two3):
        return block
    for first in range(two1 + 1):
        for second in range(two2 + 1):
            m1, m2 = 2 * first - two1, 2 * second - two2
            if abs(m1 + m2) <= two3:
                third = (m1 + m2 + two3) // 2
                block[first, second, third] = coefficient(two1, two2, two3, m1, m2)
    return block


def _doubled(name: str, spin: Spin) -> int:
    if isinstance(spin, bool) or not isinstance(spin, int | float | Fraction):
        raise TypeError(f"{name} is {spin!r}; expected an integer or a half-integer")
    twice = 2 * spin
    if not (spin >= 0 and twice == twice // 1):
        raise ValueError(f"{name} is {spin}; expected 0, 1/2, 1, 3/2, ...")
    return int(twice)
