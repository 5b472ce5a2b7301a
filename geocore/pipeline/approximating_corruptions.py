"""Images made worse, at five severities: noise, blur, contrast, brightness.

Sizes as Hendrycks and Dietterich have them for CIFAR-10-C (arXiv:1903.12261); theirs are made with
other libraries, so that figures are not theirs.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["CORRUPTIONS", "SEVERITIES", "corrupted"]

SEVERITIES = (1, 2, 3, 4, 5)
CORRUPTIONS = ("gaussian_noise", "blur", "contrast", "brightness")
_SIZES = {
    "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),  # standard deviation
    "blur": (0.4, 0.6, 0.7, 0.8, 1.0),  # pixels, standard deviation of the kernel
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),  # factor about the image's mean
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),  # added
}


def corrupted(x: Tensor, name: str, severity: int, generator: torch.Generator) -> Tensor:
    """``x (n, channels, height, width)`` in [0, 1], made worse and kept in [0, 1].

    ``gaussian_noise`` adds normal numbers of ``generator``; ``blur`` is a Gaussian mean, with the
    edges repeated outwards; ``contrast`` draws towards each image's mean; ``brightness`` adds.
    Raises ``ValueError`` for another name, a severity that is not 1 to 5, and other shapes.
    """
    if name not in _SIZES:
        raise ValueError(f"name is {name!r}; expected one of {', '.join(_SIZES)}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity is {severity}; expected 1 to 5")
    if x.ndim != 4:
        raise ValueError(f"x has shape {tuple(x.shape)}; expected (n, channels, height, width)")
    size = _SIZES[name][severity - 1]
    if name == "gaussian_noise":
        worse = x + size * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    elif name == "blur":
        worse = _blurred(x, size)
    elif name == "contrast":
        mean = x.mean(dim=(2, 3), keepdim=True)
        worse = mean + size * (x - mean)
    else:
        worse = x + size
    return worse.clamp(0, 1)


def _blurred(x: Tensor, sigma: float) -> Tensor:
    reach = math.ceil(3 * sigma)
    at = torch.arange(-reach, reach + 1, dtype=x.dtype)
    weights = (-(at**2) / (2 * sigma**2)).exp()
    weights = weights / weights.sum()
    flat = F.pad(x, (reach,) * 4, mode="replicate").flatten(0, 1)[:, None]
    rows = F.conv2d(flat, weights.view(1, 1, -1, 1))
    both = F.conv2d(rows, weights.view(1, 1, 1, -1))
    return both.view(x.shape)
