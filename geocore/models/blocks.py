"""Blocks and patches: what the stages of a hierarchical HEALPix network are made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Block", "ChannelDropout", "PatchEmbedding", "PatchMerging"]


class PatchEmbedding(nn.Module):
    """Four nested pixels become one token: ``(batch, npix, c) -> (batch, npix / 4, channels)``.

    The token is normalised, unless ``norm`` is false.
    """

    def __init__(self, pixel_channels: int, channels: int, *, norm: bool = True) -> None:
        super().__init__()
        self.project = nn.Linear(4 * pixel_channels, channels)
        self.norm = nn.LayerNorm(channels) if norm else nn.Identity()

    def initialise(self, generator: torch.Generator) -> None:
        """Draw a bias, of the order of what the pixels give.

        Without one an empty patch (all pixels zero, as outside of an image) is the norm's
        singular point: its gradient there is 1 / sqrt(eps) = 316 and drowns all others.
        """
        nn.init.trunc_normal_(self.project.bias, std=0.5, a=-1.0, b=1.0, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        batch, npix, channels = x.shape
        out: Tensor = self.norm(self.project(x.reshape(batch, npix // 4, 4 * channels)))
        return out


class PatchMerging(nn.Module):
    """Four children become their parent: ``(batch, n, c) -> (batch, n / 4, 2 c)``, no bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduce = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, channels = x.shape
        out: Tensor = self.reduce(self.norm(x.reshape(batch, tokens // 4, 4 * channels)))
        return out


class ChannelDropout(nn.Module):
    """A channel of a sample is dropped at all its tokens or at none; the rest is scaled up.

    It commutes with every permutation of the tokens, so a network in training is as equivariant
    as in use, and it draws one random number a channel instead of one for each of its tokens.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return x
        keep = 1 - self.probability
        mask = torch.empty(len(x), 1, x.shape[-1], dtype=x.dtype, device=x.device)
        return x * mask.bernoulli_(keep).div_(keep)


class Block(nn.Module):
    """x + mix(norm(x)), then x + mlp(norm(x)): pre-norm, residual, dropout on both branches."""

    def __init__(self, channels: int, mix: nn.Module, mlp_ratio: float, dropout: float) -> None:
        super().__init__()
        hidden = max(1, round(mlp_ratio * channels))
        self.mix_norm = nn.LayerNorm(channels)
        self.mix = mix
        self.mlp_norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, hidden)
        self.contract = nn.Linear(hidden, channels)
        self.dropout = ChannelDropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.mix(self.mix_norm(x)))
        hidden = F.gelu(self.expand(self.mlp_norm(x)))
        out: Tensor = x + self.dropout(self.contract(hidden))
        return out
