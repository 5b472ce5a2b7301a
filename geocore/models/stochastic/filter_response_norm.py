"""Normalisation of a channel by its own mean square, which no other sample enters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["FilterResponseNorm"]


class FilterResponseNorm(nn.Module):
    """``y_c = gamma_c x_c / sqrt(nu_c^2 + eps) + beta_c``, ``nu_c^2`` the mean of ``x_c^2``.

    The mean is over the pixels of one sample's channel: no statistics of the batch, so that
    members can be stacked and a sample's output depends on no other. Nothing is subtracted: a
    constant image keeps its sign. ``(batch, channels, height, width)`` to the same; ``weight``
    is gamma, ``bias`` beta. Raises ``ValueError`` for other shapes and for ``eps <= 0``. Source:
    arXiv:1911.09737, eq. 1-2, without its thresholded activation and with a fixed ``eps``.
    """

    def __init__(
        self, channels: int, eps: float = 1e-6, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        if channels < 1:
            raise ValueError(f"channels is {channels}; expected a positive integer")
        if not eps > 0:
            raise ValueError(f"eps is {eps}; expected a positive number")
        self.channels, self.eps = channels, eps
        self.weight = nn.Parameter(torch.ones(channels, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(channels, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] != self.channels:
            found = tuple(x.shape)
            raise ValueError(
                f"x has shape {found}; expected (batch, {self.channels}, height, width)"
            )
        square = x.square().mean((-2, -1), keepdim=True)
        factor = self.weight[:, None, None] * (square + self.eps).rsqrt()
        return x * factor + self.bias[:, None, None]

    def extra_repr(self) -> str:
        return f"{self.channels}, eps={self.eps}"
