"""How well a planar function keeps its law under elements that no grid of pixels has.

Smooth images are sums of Gaussian bumps, which turn exactly: their centres do. The middle pixel of
an odd grid stays where it is, so that there the law is read off without interpolation.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["bumps", "centre_error"]


def bumps(
    count: int,
    size: int,
    width: float = 3.0,
    element: tuple[float, bool] = (0.0, False),
    *,
    seed: int = 0,
    channels: int = 1,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """``(g f)(p) = sum_k a_k exp(-|p - g c_k|^2 / (2 width^2))``.

    Shape ``(count, channels, size, size)``. Six bumps an image, centres uniform in a square of two
    fifths of the side about the middle, amplitudes normal; both by ``seed`` alone. ``element`` is
    ``(angle, mirrored)`` as of ``Symmetry``. Pixels are 1 apart, x to the right, y up, 0 in the
    middle of the grid. Raises ``ValueError`` for a width that is not positive.
    """
    if width <= 0:
        raise ValueError(f"width is {width}; expected a positive number of pixels")
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(count, channels, 6, 2, generator=generator, dtype=torch.float64)
    centres = (2 * drawn - 1) * size / 5
    levels = torch.randn(count, channels, 6, generator=generator, dtype=torch.float64)
    cos, sin = math.cos(element[0]), math.sin(element[0])
    flip = -1.0 if element[1] else 1.0
    matrix = torch.tensor([[flip * cos, -sin], [flip * sin, cos]], dtype=torch.float64)
    there = centres @ matrix.T
    place = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    across, up = place[None, :] - there[..., :1, None], -place[:, None] - there[..., 1:, None]
    values = torch.exp(-(across.square() + up.square()) / (2 * width**2))
    return (levels[..., None, None] * values).sum(dim=2).to(dtype)


def centre_error(
    function: Callable[[Tensor], Tensor],
    matrix: Tensor | None,
    element: tuple[float, bool],
    size: int,
    *,
    width: float = 3.0,
    count: int = 16,
    channels: int = 1,
    dtype: torch.dtype = torch.float64,
) -> float:
    """``|f(g x)(0) - rho(g) f(x)(0)| / |rho(g) f(x)(0)|`` over ``count`` smooth images.

    ``function`` takes scalar images of odd ``size`` to ``(count, out, h, w)`` with odd h and w, or
    to ``(count, out)``; ``matrix`` is ``rho(g)``, ``(out, out)``, None for the identity. Raises
    ``ValueError`` for an even size: it has no middle pixel.
    """
    if size % 2 == 0:
        raise ValueError(f"size is {size}; expected an odd number")
    images = (
        bumps(count, size, width, which, channels=channels, dtype=dtype)
        for which in ((0.0, False), element)
    )
    with torch.no_grad():
        plain, turned = (_middle(function(each)) for each in images)
    expected = plain if matrix is None else plain @ matrix.to(plain).T
    return float((turned - expected).norm() / expected.norm())


def _middle(fields: Tensor) -> Tensor:
    if fields.ndim == 2:
        return fields
    return fields[..., fields.shape[-2] // 2, fields.shape[-1] // 2]
