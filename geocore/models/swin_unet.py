"""The body of Swin networks over tokens of any geometry: an encoder, and a decoder with skips."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from geocore.config.model import SwinParams
from geocore.models.blocks import PatchEmbedding, PatchMerging
from geocore.models.initial import initialise
from geocore.models.products import Linear
from geocore.models.swin_block import SwinBlock, make_dropout
from geocore.models.tiling import Tiling, Windows

__all__ = ["PatchExpanding", "SwinUnet"]

Seen = dict[str, Tensor]


class PatchExpanding(nn.Module):
    """A token becomes four children: ``(batch, n, c) -> (batch, 4 n, children)``, no bias.

    The inverse of merging: a linear map to 4 ``children`` channels, cut into the children in nested
    order, each normalised.
    """

    def __init__(self, channels: int, children: int) -> None:
        super().__init__()
        self.expand = Linear(channels, 4 * children, bias=False)
        self.norm = nn.LayerNorm(children)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        out: Tensor = self.norm(self.expand(x).reshape(batch, 4 * tokens, -1))
        return out


class SwinUnet(nn.Module):
    """Pixels ``(batch, 4 tokens, c)`` -> ``(batch, 4 tokens, outputs)`` or ``(batch, outputs)``.

    Patch embedding joins 4 consecutive pixels to a token. Stage i has ``tilings[i].tokens`` tokens
    of 2^i ``embed`` channels; merging joins 4 consecutive tokens. Every other block of a stage
    shifts its windows. With ``dense`` a decoder mirrors the encoder: expanding, joining with what
    entered the encoder's stage (2 c -> c), the same number of blocks, and at last the
    expanding to the pixels and a linear map without bias. Else the head is the mean over the
    tokens ``inside`` of the last stage, and a linear map.

    ``places`` gives each token's row of the position table, which has ``entries`` rows; None for
    no positions. Weights are drawn from ``seed``.

    Source: HEAL-SWIN (arXiv:2307.07313), after Swin-Unet (arXiv:2105.05537).
    """

    places: Tensor | None
    inside: Tensor | None

    def __init__(
        self,
        tilings: Sequence[Tiling],
        pixel_channels: int,
        outputs: int,
        params: SwinParams,
        *,
        seed: int,
        dense: bool,
        places: Tensor | None = None,
        entries: int = 0,
    ) -> None:
        super().__init__()
        if outputs < 1:
            raise ValueError(f"outputs is {outputs}; expected at least 1")
        self.checkpointing = params.checkpointing
        stages = range(len(tilings))
        widths = [params.embed * 2**stage for stage in stages]
        self.embed = PatchEmbedding(pixel_channels, params.embed, norm=False)
        self.position = nn.Parameter(torch.zeros(entries, params.embed)) if entries else None
        self.register_buffer("places", places, persistent=False)
        self.dropout = make_dropout(params)
        self.encoder, self.merges = nn.ModuleList(), nn.ModuleList()
        windows = [_windows(tiling) for tiling in tilings]
        rates = _drop_paths(params)

        def blocks(stage: int) -> nn.ModuleList:
            plain, shifted = windows[stage]
            return nn.ModuleList(
                SwinBlock(
                    widths[stage], params.heads[stage], shifted if number % 2 else plain, params,
                    rates[stage][number],
                )
                for number in range(params.depths[stage])
            )  # fmt: skip

        for stage in stages:
            self.encoder.append(blocks(stage))
            if stage < stages[-1]:
                self.merges.append(PatchMerging(widths[stage]))
                self.register_buffer(f"kept{stage}", _kept(tilings[stage]), persistent=False)
        self.norm = nn.LayerNorm(widths[-1])
        self.decoder: nn.ModuleList | None = None
        self.register_buffer("inside", tilings[-1].inside, persistent=False)
        if dense:
            self.decoder, self.expands, self.joins = (nn.ModuleList() for _ in range(3))
            for stage in reversed(stages[:-1]):
                self.expands.append(PatchExpanding(widths[stage + 1], widths[stage]))
                self.joins.append(Linear(2 * widths[stage], widths[stage]))
                self.decoder.append(blocks(stage))
            self.decoder_norm = nn.LayerNorm(params.embed)
            self.to_pixels = PatchExpanding(params.embed, params.embed)
            self.head = Linear(params.embed, outputs, bias=False)
        else:
            self.head = Linear(widths[-1], outputs)
        initialise(self, seed)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the positions, of the order of the tokens that they are added to."""
        if self.position is not None:
            nn.init.trunc_normal_(self.position, std=0.5, a=-1.0, b=1.0, generator=generator)

    def forward(self, pixels: Tensor, seen: Seen | None = None) -> Tensor:
        """``seen`` is filled with each layer's output by name, in order."""
        x = self.embed(pixels)
        if self.position is not None and self.places is not None:
            x = x + self.position.index_select(0, self.places)
        x = _note(seen, "embed", self.dropout(x))
        skips = []
        for stage, blocks in enumerate(self.encoder):
            if stage:
                kept = getattr(self, f"kept{stage - 1}")
                x = self.merges[stage - 1](x if kept is None else x * kept)
                _note(seen, f"merge{stage}", x)
            skips.append(x)
            x = self._blocks(x, blocks, f"stage{stage}", seen)
        x = self.norm(x)
        if self.decoder is None:
            x = x if self.inside is None else x.index_select(1, self.inside)
            return _note(seen, "logits", self.head(x.mean(dim=1)))
        skips.pop()
        for expand, join, blocks in zip(self.expands, self.joins, self.decoder, strict=True):
            stage = len(skips) - 1
            x = join(torch.cat([expand(x), skips.pop()], dim=-1))
            x = self._blocks(_note(seen, f"join{stage}", x), blocks, f"decoder{stage}", seen)
        x = _note(seen, "pixels", self.to_pixels(self.decoder_norm(x)))
        return _note(seen, "logits", self.head(x))

    def _blocks(self, x: Tensor, blocks: nn.Module, name: str, seen: Seen | None) -> Tensor:
        assert isinstance(blocks, nn.ModuleList)
        for number, block in enumerate(blocks):
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
            _note(seen, f"{name}.block{number}", x)
        return x


def _note(seen: Seen | None, name: str, x: Tensor) -> Tensor:
    if seen is not None:
        seen[name] = x
    return x


def _kept(tiling: Tiling) -> Tensor | None:
    """1 for tokens inside and 0 for others, ``(tokens, 1)``; None where no merging joins the two.

    Else what lies outside would get into the parents that are partly inside.
    """
    if tiling.inside is None:
        return None
    kept = torch.zeros(tiling.tokens)
    kept[tiling.inside] = 1
    children = kept.reshape(-1, 4)
    return None if bool((children == children[:, :1]).all()) else kept[:, None]


def _windows(tiling: Tiling) -> tuple[Windows, Windows]:
    """Of the blocks in turn; one and the same where nothing is shifted."""
    plain = Windows(tiling.tokens, tiling.window, tiling.plain)
    if tiling.shifted is None:
        return plain, plain
    return plain, Windows(tiling.tokens, tiling.window, tiling.shifted)


def _drop_paths(params: SwinParams) -> list[list[float]]:
    """For each stage the rates of its blocks: from 0, rising linearly over all blocks.

    The decoder's blocks have the rates of the encoder's that they mirror.
    """
    count, top = sum(params.depths), params.drop_path or 0.0
    rates = [top * block / max(1, count - 1) for block in range(count)]
    first = [sum(params.depths[:stage]) for stage in range(len(params.depths))]
    return [rates[a : a + depth] for a, depth in zip(first, params.depths, strict=True)]
