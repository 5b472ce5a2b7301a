"""Nonlinearity without a grid: products of coefficients by Clebsch-Gordan, exact in each degree."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.models.s2cnn.convolution import check_coefficients
from geocore.models.s2cnn.norm import NormGate, mean_square
from geocore.so3.coupling import clebsch_gordan
from geocore.so3.orders import all_orders

__all__ = ["TensorProduct"]


class TensorProduct(nn.Module):
    """``(u x v)^l_m = sum_(l1 l2) w_(l1 l2 l) sum_m1 <l1 m1 l2 m-m1|l m> u_l1,m1 v_l2,m-m1``.

    ``u`` and ``v`` are learned maps of ``f`` to ``fragments`` signals on the sphere, the second
    divided by its root mean square, so that the whole grows like ``f``. The product is lifted back
    to SO(3) by learned kernels and added to a linear mix of the channels:
    ``h = C f + (u x v) B``. Everything acts on the second index of ``f^l_mn``, or couples the first
    by Clebsch-Gordan coefficients, which are real and intertwine ``conj(D)`` as they do ``D``: it
    commutes with rotations to rounding, without oversampling (Kondor et al., Clebsch-Gordan Nets,
    1806.09231; Cobb et al., Efficient Generalized Spherical CNNs, 2010.11661).

    Complex ``(batch, in, b, b, 2b - 1)`` -> ``(batch, out, b', b', 2b' - 1)``. The sum has about
    ``b^5 / 4`` terms (b = 10: 25 thousand) times ``batch fragments``, in time and memory: for small
    ``b``, or with ``reach``, which leaves out pairs with ``|l1 - l2| > reach``. ``gate`` multiplies
    each output channel by a sigmoid of its norm (``NormGate``).

    Raises ``ValueError`` for numbers that are not positive and coefficients of another shape.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bandlimit_in: int,
        bandlimit_out: int | None = None,
        fragments: int | None = None,
        *,
        reach: int | None = None,
        gate: bool = False,
        dtype: torch.dtype = torch.float32,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        out = bandlimit_in if bandlimit_out is None else bandlimit_out
        count = out_channels if fragments is None else fragments
        sizes = (in_channels, out_channels, bandlimit_in, out, count)
        if min(sizes) < 1:
            found = f"channels, bandlimits and fragments are {sizes}"
            raise ValueError(f"{found}; expected positive integers")
        if reach is not None and reach < 0:
            raise ValueError(f"reach is {reach}; expected None or at least 0")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.bandlimit_in, self.bandlimit_out = bandlimit_in, out
        self.left = _Filters(count, in_channels, bandlimit_in, 1 / in_channels, dtype)
        self.right = _Filters(count, in_channels, bandlimit_in, 1 / in_channels, dtype)
        self.lift = _Filters(out_channels, count, out, 1 / (4 * math.pi * count), dtype)
        self.mix = nn.Parameter(torch.empty(out_channels, in_channels, dtype=dtype))
        entries = _entries(bandlimit_in, out, reach)
        for name, table in entries.items():
            kept = table.to(dtype) if table.is_floating_point() else table
            self.register_buffer(name, kept, persistent=False)
        self.path_weight = nn.Parameter(
            torch.empty(count, int(entries["path"].max()) + 1, dtype=dtype)
        )
        degrees = torch.arange(max(bandlimit_in, out), dtype=torch.float64)
        self.register_buffer("odd_dims", (2 * degrees + 1).to(dtype)[:, None], persistent=False)
        self.gate = NormGate(out_channels, dtype) if gate else None
        for filters in (self.left, self.right, self.lift):
            filters.initialise(generator)
        self.initialise(generator)

    first: Tensor
    second: Tensor
    target: Tensor
    path: Tensor
    even: Tensor
    odd: Tensor
    odd_dims: Tensor

    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Half of the output's expected mean square comes from each of the two terms."""
        nn.init.normal_(self.mix, std=(2 * self.in_channels) ** -0.5, generator=generator)
        nn.init.normal_(self.path_weight, std=0.5**0.5, generator=generator)

    def forward(self, coefficients: Tensor) -> Tensor:
        b, wide = self.bandlimit_in, self.bandlimit_out
        check_coefficients(coefficients, (self.in_channels, b, b, 2 * b - 1))
        left = self._on_sphere(coefficients, self.left)
        right = self._on_sphere(coefficients, self.right)
        right = right * (mean_square(right, "s2") + 1e-12).rsqrt()[..., None, None]
        product = self._product(all_orders(left).flatten(-2), all_orders(right).flatten(-2))
        product = product / self.odd_dims[:wide]
        lifted = torch.einsum("ztlm,otln->zolmn", product, self.lift())
        kept = min(b, wide)
        same = coefficients[:, :, :kept, :kept, b - kept : b + kept - 1]
        mixed = torch.einsum("zclmn,oc->zolmn", same, self.mix.to(same.dtype))
        more = wide - kept
        out = lifted + F.pad(mixed, (more, more, 0, more, 0, more))
        if self.gate is None:
            return out
        gated: Tensor = self.gate(out)
        return gated

    def _on_sphere(self, coefficients: Tensor, filters: _Filters) -> Tensor:
        """``sqrt(4 pi (2l + 1)) sum_cn f^l_mn,c a_tcln``: ``(batch, fragments, b, m >= 0)``."""
        factor = (4 * math.pi * self.odd_dims[: self.bandlimit_in]).sqrt()
        return torch.einsum("zclmn,tcln->ztlm", coefficients, filters()) * factor

    def _product(self, left: Tensor, right: Tensor) -> Tensor:
        weight = self.path_weight[:, self.path]
        # The product of two real signals is i times a real one where l1 + l2 - l is odd.
        couplings = torch.complex(weight * self.even, weight * self.odd)
        terms = left[..., self.first] * right[..., self.second] * couplings
        wide = self.bandlimit_out
        sums = terms.new_zeros(*terms.shape[:-1], wide * wide)
        return sums.index_add(-1, self.target, terms).reshape(*terms.shape[:-1], wide, wide)


class _Filters(nn.Module):
    """Coefficients of real signals: ``a_l,-n = (-1)^n conj a_ln``, ``(out, in, b, 2b - 1)``.

    ``b^2`` real parameters a pair of channels; each ``|a_ln|^2`` starts with mean ``variance``.
    """

    def __init__(
        self, out: int, into: int, bandlimit: int, variance: float, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.variance = variance
        self.weight = nn.Parameter(torch.empty(out, into, bandlimit**2, dtype=dtype))
        l, n = torch.meshgrid(torch.arange(bandlimit), torch.arange(bandlimit), indexing="ij")
        inside = n <= l
        self.register_buffer("real_at", torch.where(inside, l * l + l + n, 0), persistent=False)
        self.register_buffer("imag_at", torch.where(inside, l * l + l - n, 0), persistent=False)
        scale = torch.where(n > 0, 0.5**0.5, 1.0) * inside
        self.register_buffer("real_scale", scale.to(dtype), persistent=False)
        self.register_buffer("imag_scale", (scale * (n > 0)).to(dtype), persistent=False)

    real_at: Tensor
    imag_at: Tensor
    real_scale: Tensor
    imag_scale: Tensor

    def forward(self) -> Tensor:
        half = torch.complex(
            self.weight[..., self.real_at] * self.real_scale,
            self.weight[..., self.imag_at] * self.imag_scale,
        )
        return all_orders(half)

    def initialise(self, generator: torch.Generator | None = None) -> None:
        nn.init.normal_(self.weight, std=self.variance**0.5, generator=generator)


def _entries(bandlimit_in: int, bandlimit_out: int, reach: int | None) -> dict[str, Tensor]:
    """The terms of the product with ``m >= 0``: where from, where to, which path, how much.

    The factor ``sqrt((2l1+1)(2l2+1) / (4 pi (2l+1) n))``, ``n`` the number of ``l`` that a pair
    ``(l1, l2)`` goes to, makes weights of variance 1 keep the mean square of the left signal.
    """
    rows: dict[str, list[Tensor]] = {name: [] for name in ("first", "second", "target", "path")}
    values: dict[str, list[Tensor]] = {"even": [], "odd": []}
    width, path = 2 * bandlimit_in - 1, 0
    for l1 in range(bandlimit_in):
        for l2 in range(bandlimit_in):
            targets = range(abs(l1 - l2), min(l1 + l2 + 1, bandlimit_out))
            if not targets or (reach is not None and abs(l1 - l2) > reach):
                continue
            for l in targets:
                m1, m2, value = _couplings(l1, l2, l)
                scale = (2 * l1 + 1) * (2 * l2 + 1) / (4 * math.pi * (2 * l + 1) * len(targets))
                value = value * scale**0.5
                rows["first"].append(l1 * width + m1 + bandlimit_in - 1)
                rows["second"].append(l2 * width + m2 + bandlimit_in - 1)
                rows["target"].append(l * bandlimit_out + m1 + m2)
                rows["path"].append(torch.full_like(m1, path))
                odd = (l1 + l2 - l) % 2
                values["odd"].append(value * odd)
                values["even"].append(value * (1 - odd))
                path += 1
    return {name: torch.cat(parts) for name, parts in (rows | values).items()}


def _couplings(l1: int, l2: int, l: int) -> tuple[Tensor, Tensor, Tensor]:
    """``m1, m2`` and ``<l1 m1 l2 m2|l m1+m2>`` wherever ``0 <= m1 + m2 <= l``."""
    table = clebsch_gordan(l1, l2, l)
    m1 = torch.arange(-l1, l1 + 1)[:, None].expand(-1, 2 * l2 + 1)
    m2 = torch.arange(-l2, l2 + 1).expand(2 * l1 + 1, -1)
    inside = (m1 + m2 >= 0) & (m1 + m2 <= l)
    m1, m2 = m1[inside], m2[inside]
    return m1, m2, table[m1 + l1, m2 + l2, m1 + m2 + l]
