"""Tables of Wigner's small d at the colatitudes of a grid, for all degrees at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geocore.so3.orders import alternating
from geocore.so3.table_cache import cached_table

__all__ = ["harmonic_table", "signed_wigner_table", "wigner_table"]


def wigner_table(bandlimit: int, beta: Tensor, orders: int | None = None) -> Tensor:
    r"""``d^l_mn(beta_j)`` for ``l, m < bandlimit`` and ``n < orders``, all of ``m, n >= 0``.

    Shape ``(m, n, l, j)``, float64, zero where ``m`` or ``n`` exceeds ``l``; ``orders`` is
    ``bandlimit`` by default, and 1 gives the Legendre functions ``d^l_m0``. Negative orders follow
    from ``d^l_{m,-n}(beta) = (-1)^{l+m} d^l_{mn}(pi - beta)``. By the recursion in ``l``

    .. math::
        d^{l+1}_{mn} = \frac{(l+1)(2l+1)}{\sqrt{((l+1)^2-m^2)((l+1)^2-n^2)}} \Big[\big(\cos\beta -
        \tfrac{mn}{l(l+1)}\big) d^l_{mn} - \tfrac{\sqrt{(l^2-m^2)(l^2-n^2)}}{l(2l+1)} d^{l-1}_{mn}
        \Big]

    from ``l = max(m, n)``, where there is one term. Upwards in ``l`` it is stable. What is slow to
    build is kept on disk (``geocore.so3.table_cache``).

    Source: Kostelec and Rockmore, FFTs on the rotation group, 2008, equations 8 and 9.
    """
    if bandlimit < 1:
        raise ValueError(f"bandlimit is {bandlimit}; expected at least 1")
    width = bandlimit if orders is None else orders
    if not 1 <= width <= bandlimit:
        raise ValueError(f"orders is {width}; expected 1 to bandlimit {bandlimit}")
    beta = beta.to(torch.float64)
    shape = (bandlimit, width, bandlimit, len(beta))
    return cached_table(beta, shape, lambda: _built(bandlimit, width, beta))


def harmonic_table(bandlimit: int, beta: Tensor) -> Tensor:
    """``Y_lm(beta, 0) = sqrt((2l + 1) / 4 pi) d^l_m0(beta)``, real: ``(m, l, j)`` with ``m >= 0``.

    Float64, zero where ``m`` exceeds ``l``; at another longitude times ``exp(i m phi)``.
    """
    degrees = torch.arange(bandlimit, dtype=torch.float64)
    factor = ((2 * degrees + 1) / (4 * math.pi)).sqrt()[:, None]
    return wigner_table(bandlimit, beta, orders=1)[:, 0] * factor


def signed_wigner_table(bandlimit: int, beta: Tensor) -> Tensor:
    """``d^l_mn(beta_j)`` for ``m >= 0`` and all ``n``: ``(m, n + bandlimit - 1, l, j)``.

    Float64, zero where an order exceeds ``l``; from ``d^l_{m,-n}(beta) = (-1)^{l+m}
    d^l_{mn}(pi - beta)``. Negative ``m`` follow from ``d^l_{-m,-n} = (-1)^{m-n} d^l_{mn}``.
    """
    beta = beta.to(torch.float64)
    upper, lower = wigner_table(bandlimit, beta), wigner_table(bandlimit, math.pi - beta)
    orders = torch.arange(bandlimit)
    signs = alternating(orders[:, None] + orders)
    return torch.cat([(lower * signs[:, None, :, None])[:, 1:].flip(1), upper], dim=1)


def _built(bandlimit: int, width: int, beta: Tensor) -> Tensor:
    """The table by the recursion above."""
    m = torch.arange(bandlimit, dtype=torch.float64)[:, None, None]
    n = torch.arange(width, dtype=torch.float64)[None, :, None]
    cosine = beta.cos()
    start, highest = _starts(m, n, beta), torch.maximum(m, n)
    table = torch.zeros(bandlimit, width, bandlimit, len(beta), dtype=torch.float64)
    before, current = torch.zeros_like(start), torch.zeros_like(start)
    for l in range(bandlimit):
        current = torch.where(highest == l, start, current)
        table[:, :, l] = current
        # Rows that have not begun are zero and stay so, whatever stands in the denominators.
        below = ((l + 1) ** 2 - m**2) * ((l + 1) ** 2 - n**2)
        factor = (l + 1) * (2 * l + 1) / below.clamp_min(1).sqrt()
        mean = m * n / (l * (l + 1)) if l else torch.zeros_like(highest)
        fall = ((l**2 - m**2) * (l**2 - n**2)).clamp_min(0).sqrt() / max(1, l * (2 * l + 1))
        following = factor * ((cosine - mean) * current - fall * before)
        before, current = current, torch.where(highest <= l, following, 0.0)
    return table


def _starts(m: Tensor, n: Tensor, beta: Tensor) -> Tensor:
    """``d^L_mn`` with ``L = max(m, n)``: ``+- sqrt(binomial(2L, L - k)) cos^(L+k) sin^(L-k)``.

    ``k`` is the lesser order, the angles are half of ``beta``, and the sign is that of
    ``(-1)^(m-n)`` where ``m`` is the greater. In logarithms, so that nothing overflows.
    """
    highest, least = torch.maximum(m, n), torch.minimum(m, n)
    ways = (
        torch.lgamma(2 * highest + 1)
        - torch.lgamma(highest + least + 1)
        - torch.lgamma(highest - least + 1)
    )
    cosine, sine = (beta / 2).cos(), (beta / 2).sin()
    # 0^0 = 1 at the poles: xlogy counts 0 log 0 as 0.
    powers = torch.xlogy(highest + least, cosine) + torch.xlogy(highest - least, sine)
    size = torch.exp(ways / 2 + powers)
    odd = (m > n) & ((m - n) % 2 == 1)
    return torch.where(odd, -size, size)
