"""Swin on the plane: HEAL-SWIN's network on images as they are, what it is compared with."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from geocore.config.model import SwinParams
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.models.planar_order import PlanarOrder
from geocore.models.swin_unet import SwinUnet
from geocore.models.tiling import Tiling

__all__ = ["Swin"]


class Swin(nn.Module):
    """``SwinUnet`` on planar images, with as many parameters as ``HealSwin`` of equal settings.

    Images ``(batch, height, width, channels)``, floats in [0, 1], to ``(batch, height, width,
    outputs)`` with ``dense``, else to ``(batch, outputs)``. A token is a patch of 2 x 2 pixels,
    merging joins 2 x 2 tokens, windows are squares; those of every other block are shifted by half
    a window both ways.

    The image is padded with zeros, below and to the right, to whole tiles of as many tokens of the
    last stage as a window has, or as the image needs. Padding is not attended to, and what is
    joined with it at the border reads zeros in its place. A window that exceeds a tile at the last
    stages is clamped to it.

    ``kind`` fixes height, width and channels of a planar table. Source: Swin-Unet
    (arXiv:2105.05537), the baseline of arXiv:2307.07313.
    """

    inward: Tensor
    outward: Tensor

    def __init__(
        self,
        kind: TableType,
        outputs: int,
        params: SwinParams,
        *,
        seed: int = 0,
        dense: bool = False,
    ) -> None:
        super().__init__()
        height, width, channels = _geometry(kind)
        self.input_shape = (height, width, channels)
        self.dense = dense
        orders = _orders(height, width, params)
        pixels, tokens = orders[0], orders[1]
        places, entries = None, 0
        if params.position == "absolute":
            places, entries = torch.arange(tokens.places), tokens.places
        self.body = SwinUnet(
            [_tiling(order, params) for order in orders[1:]], channels, outputs, params,
            seed=seed, dense=dense, places=places, entries=entries,
        )  # fmt: skip
        self._orders = {order.places: order for order in reversed(orders)}
        # The image with one zero pixel after its last: padding reads that one.
        row, column = pixels.coordinates()
        number = torch.where(pixels.inside(), row * width + column, height * width)
        self.register_buffer("inward", number, persistent=False)
        self.register_buffer("outward", _image_places(pixels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(self._nested(x))
        return self._image(out) if self.dense else out

    def trace(self, x: Tensor) -> dict[str, Tensor]:
        """Each layer's output in order, by name: ``(batch, rows, columns, channels)`` of all
        resolutions, without the padding, and at the end ``logits``.
        """
        seen: dict[str, Tensor] = {}
        self.body(self._nested(x), seen)
        return {
            name: self._grid(value) if value.ndim == 3 else value for name, value in seen.items()
        }

    def _nested(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1:] != self.input_shape:
            expected = ", ".join(map(str, self.input_shape))
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (batch, {expected})")
        if not x.is_floating_point():
            raise TypeError(f"x is {x.dtype}; expected floats in [0, 1]")
        batch, *_, channels = x.shape
        flat = torch.cat([x.reshape(batch, -1, channels), x.new_zeros(batch, 1, channels)], dim=1)
        return flat.index_select(1, self.inward)

    def _image(self, nested: Tensor) -> Tensor:
        height, width, _ = self.input_shape
        image = nested.index_select(1, self.outward)
        return image.reshape(len(nested), height, width, nested.shape[-1])

    def _grid(self, nested: Tensor) -> Tensor:
        order = self._orders[nested.shape[1]]
        places = _image_places(order).to(nested.device)
        return nested.index_select(1, places).reshape(len(nested), order.height, order.width, -1)


def _image_places(order: PlanarOrder) -> Tensor:
    return order.numbers()[: order.height, : order.width].reshape(-1)


def _orders(height: int, width: int, params: SwinParams) -> list[PlanarOrder]:
    """Of the pixels, and of the tokens of each stage."""
    scale = 2 ** len(params.depths)  # pixels a side of a token of the last stage
    most = max(-(-height // scale), -(-width // scale))
    needed = 1 << (most - 1).bit_length()
    orders = [PlanarOrder(height, width, scale * min(math.isqrt(params.window), needed))]
    for _ in params.depths:
        orders.append(orders[-1].parents())
    return orders


def _tiling(order: PlanarOrder, params: SwinParams) -> Tiling:
    window = min(params.window, order.side**2)
    plain = order.plan(window, shift=False)
    shifted = order.plan(window, shift=True) if params.shift == "grid" else plain
    inside = order.inside()
    whole = bool(inside.all())
    return Tiling(
        order.places,
        window,
        shifted=None if torch.equal(shifted.permutation, plain.permutation) else shifted,
        plain=None if whole else plain,
        inside=None if whole else inside.nonzero().flatten(),
    )


def _geometry(kind: TableType) -> tuple[int, int, int]:
    if faults := kind.mismatches(TableType(grid="planar")):
        raise UserError(*(f"model.name is swin; its table's {fault}" for fault in faults))
    if kind.height is None or kind.width is None or kind.channels is None:
        raise ValueError(f"kind is {kind}; expected height, width and channels")
    return kind.height, kind.width, kind.channels
