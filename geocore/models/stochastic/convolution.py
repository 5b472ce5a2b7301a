"""Planar convolutions with random weights: dropout of channels, DropConnect, one of two filters.

Sources: dropout of whole channels, arXiv:1411.4280; the families, arXiv:2212.08123.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from geocore.models.stochastic.layer import ChoosingLayer, DroppingLayer, StochasticLayer

__all__ = ["DropConnectConv2d", "DropoutConv2d", "NonparametricConv2d"]


class DropoutConv2d(DroppingLayer):
    """``y_b = (W diag(z_b) s) * x_b + bias``: whole input channels are dropped, a mask a sample.

    ``z`` is one number an input channel, 0 with probability ``p``, ``s = 1 / (1 - p)`` with
    ``rescale`` and else 1; ``*`` is the convolution of ``nn.Conv2d`` with square kernels and the
    same ``stride`` and ``padding`` (zeros) along both axes. ``(batch, in_channels, height, width)
    -> (batch, out_channels, height', width')``, ``noise_shape = (in_channels,)``. Raises
    ``ValueError`` for ``p`` outside [0, 1) and for other shapes.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        p: float,
        rescale: bool = True,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        super().__init__(shape, p, rescale, bias=bias, dtype=dtype)
        self.stride, self.padding = _checked(stride, padding)
        self.noise_shape = (in_channels,)

    def sample(self, x: Tensor, u: Tensor) -> Tensor:
        _check_input(self, x, u)
        kept = ((u >= self.p).to(x.dtype) * self.scale)[..., None, None]
        return F.conv2d(x * kept, self.weight, self.bias, self.stride, self.padding)

    def realised(self, u: Tensor) -> tuple[Tensor, Tensor | None]:
        self.check_noise("u", u, (len(u),))
        dropped = (u < self.p)[:, None, :, None, None]
        return self.weight.masked_fill(dropped, 0) * self.scale, self._biases(len(u))

    def extra_repr(self) -> str:
        return f"{_told(self)}, p={self.p}, rescale={self.rescale}"


class DropConnectConv2d(DroppingLayer):
    """``y_b = (W z_b s) * x_b + bias``: each weight of the filters is dropped by itself.

    As ``DropoutConv2d``, but ``z`` is one number a weight and sample: ``noise_shape`` is that of
    ``weight``, ``(out_channels, in_channels, kernel_size, kernel_size)``. All samples are one
    convolution with a group each; it holds every sample's filters.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        p: float,
        rescale: bool = True,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        super().__init__(shape, p, rescale, bias=bias, dtype=dtype)
        self.stride, self.padding = _checked(stride, padding)
        self.noise_shape = shape

    def sample(self, x: Tensor, u: Tensor) -> Tensor:
        _check_input(self, x, u)
        theta = (self.weight * self.scale).masked_fill(u < self.p, 0)
        # The filters of all samples, one after the other, each on the channels of its own sample.
        filters, channels = theta.flatten(0, 1), x.flatten(0, 1)[None]
        flat = F.conv2d(channels, filters, None, self.stride, self.padding, groups=len(x))[0]
        out: Tensor = flat.view(len(x), self.theta_shape[0], *flat.shape[1:])
        return out if self.bias is None else out + self.bias[:, None, None]

    def realised(self, u: Tensor) -> tuple[Tensor, Tensor | None]:
        self.check_noise("u", u, (len(u),))
        return self.weight.masked_fill(u < self.p, 0) * self.scale, self._biases(len(u))

    def extra_repr(self) -> str:
        return f"{_told(self)}, p={self.p}, rescale={self.rescale}"


class NonparametricConv2d(ChoosingLayer):
    """``y_bo = W_k[o] * x_b + bias_k[o]``: ``k`` is 0 or 1, at even odds for each ``b`` and ``o``.

    Shapes as those of ``DropoutConv2d``; ``noise_shape = (out_channels,)``, ``weight`` is ``(2,
    out_channels, in_channels, kernel_size, kernel_size)`` and ``bias`` ``(2, out_channels)``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        super().__init__(shape, bias=bias, dtype=dtype)
        self.stride, self.padding = _checked(stride, padding)

    def sample(self, x: Tensor, u: Tensor) -> Tensor:
        _check_input(self, x, u)
        bias = None if self.bias is None else self.bias.flatten()
        both = F.conv2d(x, self.weight.flatten(0, 1), bias, self.stride, self.padding)
        first, second = both.unflatten(1, (2, self.theta_shape[0])).unbind(1)
        return torch.where((u >= 0.5)[..., None, None], second, first)

    def extra_repr(self) -> str:
        return _told(self)


def _checked(stride: int, padding: int) -> tuple[int, int]:
    if stride < 1 or padding < 0:
        raise ValueError(f"stride and padding are {stride}, {padding}; expected >= 1 and >= 0")
    return stride, padding


def _check_input(layer: StochasticLayer, x: Tensor, u: Tensor) -> None:
    channels = layer.theta_shape[1]
    if x.ndim != 4 or x.shape[1] != channels:
        raise ValueError(
            f"x has shape {tuple(x.shape)}; expected (batch, {channels}, height, width)"
        )
    layer.check_noise("u", u, (len(x),))


def _told(layer: DropoutConv2d | DropConnectConv2d | NonparametricConv2d) -> str:
    out, into, edge, _ = layer.theta_shape
    return f"{into}, {out}, kernel_size={edge}, stride={layer.stride}, padding={layer.padding}"
