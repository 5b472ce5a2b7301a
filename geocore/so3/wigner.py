"""Wigner's matrices: the irreducible representations of SO(3)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from geocore.so3.checks import is_whole

__all__ = ["real_basis", "wigner_D", "wigner_d"]

Basis = Literal["complex", "real"]


def wigner_d(l: int, beta: Tensor) -> Tensor:
    r"""``d^l(beta) = exp(-i beta J_y)``: real and orthogonal, ``d^l(a) d^l(b) = d^l(a + b)``.

    .. math:: d^l_{mn}(\beta) = (-i)^{m-n} \sum_{k=-l}^{l} V_{mk} V_{nk} e^{-ik\beta}

    where the columns of ``V`` are the eigenvectors of ``J_x``, whose eigenvalues are ``-l..l``: one
    real product with cosines where ``m - n`` is even, one with sines where it is odd. There is
    neither a factorial nor a recursion that could lose digits: orthogonal to 1e-13 at l = 128.

    ``beta`` in radians, ``(...)`` -> ``(..., 2l+1, 2l+1)``, orders from -l to l, in its number
    type; differentiable. ``d^1_00 = cos(beta)``, ``d^1_10 = -sin(beta) / sqrt 2``.

    Raises ``ValueError`` for a negative degree, ``TypeError`` for angles that are no floats.
    """
    _check_degree(l)
    if not beta.is_floating_point():
        raise TypeError(f"beta is {beta.dtype}; expected floats, in radians")
    vectors, even, odd = (part.to(beta) for part in _spectrum(l))
    orders = torch.arange(-l, l + 1, device=beta.device, dtype=beta.dtype)
    angles = beta[..., None] * orders
    cosines = (vectors * angles.cos()[..., None, :]) @ vectors.mT
    sines = (vectors * angles.sin()[..., None, :]) @ vectors.mT
    return even * cosines + odd * sines


def wigner_D(
    l: int, alpha: Tensor, beta: Tensor, gamma: Tensor, basis: Basis = "complex"
) -> Tensor:
    r"""``D^l(R S) = D^l(R) D^l(S)`` with ``R = R_z(alpha) R_y(beta) R_z(gamma)``; unitary.

    .. math:: D^l_{mn} = e^{-im\alpha}\, d^l_{mn}(\beta)\, e^{-in\gamma}

    In the ``real`` basis (``real_basis``) it is orthogonal, and ``D^1`` is ``R`` itself on the axes
    ``(y, z, x)``. Radians, the three broadcast, ``(...)`` -> ``(..., 2l+1, 2l+1)``; differentiable.

    Raises ``ValueError`` for a negative degree or another basis, ``TypeError`` for angles that are
    no floats.
    """
    if basis not in ("complex", "real"):
        raise ValueError(f"basis is {basis!r}; expected 'complex' or 'real'")
    alpha, beta, gamma = torch.broadcast_tensors(alpha, beta, gamma)
    small = wigner_d(l, beta)
    if basis == "real":
        return _about_z(l, alpha) @ _to_real(l, small) @ _about_z(l, gamma)
    orders = torch.arange(-l, l + 1, device=beta.device, dtype=beta.dtype)
    left, right = -alpha[..., None] * orders, -gamma[..., None] * orders
    phases = left[..., :, None] + right[..., None, :]
    return torch.polar(torch.ones_like(phases), phases) * small


def real_basis(l: int) -> Tensor:
    r"""The unitary ``C`` of ``Y_real = C Y_complex``, ``(2l+1, 2l+1)``, complex128.

    .. math::
        Y_{l,m} = \sqrt2 (-1)^m \mathrm{Re}\, Y_l^m, \quad Y_{l,0} = Y_l^0, \quad
        Y_{l,-m} = \sqrt2 (-1)^m \mathrm{Im}\, Y_l^m \qquad (m > 0)

    Rows are real orders and columns complex ones, both from -l to l. ``D_real = conj(C) D C^T``.
    """
    _check_degree(l)
    return _real_basis(l).clone()


@lru_cache(maxsize=256)
def _real_basis(l: int) -> Tensor:
    basis = torch.zeros(2 * l + 1, 2 * l + 1, dtype=torch.complex128)
    basis[l, l] = 1
    root = 1 / math.sqrt(2)
    for m in range(1, l + 1):
        sign = (-1) ** m
        basis.real[l + m, l + m], basis.real[l + m, l - m] = sign * root, root
        basis.imag[l - m, l + m], basis.imag[l - m, l - m] = -sign * root, root
    return basis


def _about_z(l: int, angle: Tensor) -> Tensor:
    """``D^l(R_z(angle))`` in the real basis: a plane rotation for each pair of orders."""
    orders = torch.arange(-l, l + 1, device=angle.device, dtype=angle.dtype)
    turned = angle[..., None] * orders
    # cos on the diagonal; sin(m a) at (m, -m): Y_{-|m|} gains sin(|m| a) of Y_{|m|}.
    return turned.cos().diag_embed() - turned.sin().diag_embed().flip(-1)


def _to_real(l: int, small: Tensor) -> Tensor:
    """``conj(C) d C^T``, which is real: orders ``m`` and ``-m`` are summed and subtracted.

    ``d_{-m,-n} = (-1)^(m-n) d_mn``, so sines and cosines do not mix.
    """
    basis = _real_basis(l).to(device=small.device)
    left, right = basis.real.to(small.dtype), basis.imag.to(small.dtype)
    # (left - i right) d (left + i right)^T; the imaginary part vanishes.
    return left @ small @ left.mT + right @ small @ right.mT


@lru_cache(maxsize=256)
def _spectrum(l: int) -> tuple[Tensor, Tensor, Tensor]:
    """Eigenvectors of ``J_x`` as columns, and the signs of the cosines and of the sines."""
    orders = torch.arange(-l, l + 1, dtype=torch.float64)
    ladder = (l * (l + 1) - orders[:-1] * orders[1:]).sqrt() / 2
    momentum = torch.diag(ladder, 1) + torch.diag(ladder, -1)
    _, vectors = torch.linalg.eigh(momentum)  # in rising order, so its eigenvalues are the orders
    steps = (orders[:, None] - orders).to(torch.int64) % 4
    # (-i)^s (c - i s): +c, -s, -c, +s for s = 0..3
    even = torch.tensor([1.0, 0.0, -1.0, 0.0], dtype=torch.float64)[steps]
    odd = torch.tensor([0.0, -1.0, 0.0, 1.0], dtype=torch.float64)[steps]
    return vectors, even, odd


def _check_degree(l: int) -> None:
    if not is_whole(l):
        raise TypeError(f"l is {l!r}; expected an integer")
    if l < 0:
        raise ValueError(f"l is {l}; expected 0 or more")
