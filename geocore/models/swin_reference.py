"""Swin blocks written as the paper describes them: what the fast ones are compared with.

Every window has its dense mask of floats, 0 or -inf; the softmax is written out; dropout draws a
float for each number; every step is a tensor operation that autograd differentiates.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.models.dropout import ElementDropout
from geocore.models.products import Linear
from geocore.models.swin_block import SwinBlock
from geocore.models.tiling import Windows
from geocore.models.window_attention import WindowAttention

__all__ = ["ReferenceBlock", "as_reference", "dense_mask", "window_attention_reference"]


def dense_mask(windows: Windows) -> Tensor | None:
    """``(windows, window, window)`` float32: 0 where slots may attend, else -inf. None: all may."""
    if windows.labels is None:
        return None
    count = windows.tokens // windows.window
    mask = torch.zeros(count, windows.window, windows.window)
    for number, labels in enumerate(windows.labels.tolist(), start=count - windows.masked):
        for i, one in enumerate(labels):
            for j, other in enumerate(labels):
                if one != other:
                    mask[number, i, j] = -torch.inf
    return mask


def window_attention_reference(
    layer: WindowAttention, x: Tensor, mask: Tensor | None = None
) -> Tensor:
    """What ``layer(x, labels)`` is, with ``mask`` the dense one: Swin V1 or V2 as published.

    In training it drops single weights, whatever the kind of the layer's dropout.
    """
    batch, slots, channels = x.shape
    width = channels // layer.heads
    runs = x.reshape(-1, layer.window, channels)
    parts = layer.qkv(runs).reshape(len(runs), layer.window, 3, layer.heads, width)
    q, k, v = parts.permute(2, 0, 3, 1, 4)
    scale, bias = layer.scale(), layer.bias()
    if scale is not None:
        logits = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT * scale
    else:
        logits = (q * width**-0.5) @ k.mT
    if bias is not None:
        logits = logits + bias
    if mask is not None:
        shape = logits.shape
        logits = logits.reshape(batch, len(mask), *shape[1:]) + mask.to(x.dtype)[:, None]
        logits = logits.reshape(shape)
    weights = (logits - logits.amax(dim=-1, keepdim=True)).exp()
    weights = weights / weights.sum(dim=-1, keepdim=True)
    weights = F.dropout(weights, layer.dropout, layer.training)
    mixed = (weights @ v).transpose(1, 2).reshape(batch, slots, channels)
    out: Tensor = layer.out(mixed)
    return out


class ReferenceBlock(nn.Module):
    """What ``block(x)`` is, on the same parameters; with ``channel`` dropout not in training."""

    mask: Tensor | None

    def __init__(self, block: SwinBlock) -> None:
        super().__init__()
        self.block = block
        self.register_buffer("mask", dense_mask(block.windows), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        block = self.block
        if block.post:
            x = block.drop_path(x, block.attention_norm(self._attend(x)))
            x = block.drop_path(x, block.mlp_norm(self._perceive(x)))
        else:
            x = block.drop_path(x, self._attend(block.attention_norm(x)))
            x = block.drop_path(x, self._perceive(block.mlp_norm(x)))
        return x

    def _attend(self, x: Tensor) -> Tensor:
        windows = self.block.windows
        slots = x if windows.order is None else x[:, windows.order]
        out = window_attention_reference(self.block.attention, slots, self.mask)
        return self._drop(out if windows.inverse is None else out[:, windows.inverse])

    def _perceive(self, x: Tensor) -> Tensor:
        mlp = self.block.mlp
        return self._drop(mlp.contract(self._drop(F.gelu(mlp.expand(x)))))

    def _drop(self, x: Tensor) -> Tensor:
        out: Tensor = self.block.dropout(x)
        return out


def as_reference(model: nn.Module) -> nn.Module:
    """A copy of the model made of ``ReferenceBlock`` and of PyTorch's own linear maps and dropout.

    Its parameters have the names of the model's, but for ``block.`` in those of the blocks.
    """
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            plain: nn.Module
            if isinstance(child, SwinBlock):
                plain = ReferenceBlock(child)
            elif isinstance(child, Linear):
                plain = nn.Linear(1, 1)
                plain.weight, plain.bias = child.weight, child.bias
            elif isinstance(child, ElementDropout):
                plain = nn.Dropout(child.probability)
            else:
                continue
            setattr(parent, name, plain.train(child.training))
    return model
