"""A hierarchical network on nested HEALPix maps of any set of faces, exact under quarter turns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geocore.config.model import HealpixEncoderParams
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.models.blocks import Block, PatchEmbedding, PatchMerging
from geocore.models.initial import initialise
from geocore.models.mixing import Attention, TokenMlp
from geocore.models.pairs import free_pairs, orbit_pairs, orbit_positions, window_pairs

__all__ = ["HealpixEncoder"]

_LARGEST_FACE = 64  # tokens of a face that the last stage attends over: its cost is quadratic


class HealpixEncoder(nn.Module):
    """f(R x) = f(x) for the quarter turns R about z: maps ``(batch, npix, channels)`` -> logits.

    With ``position`` ``orbit`` or ``none`` and faces that are whole rows (0-3, 4-7, 8-11) the law
    holds exactly, up to rounding, and each token map turns with the input.

    Patch embedding joins 4 nested pixels to a token; stages of blocks are joined by merging 4
    children (twice the channels); the head is a norm, the mean over all tokens and a linear map.
    Blocks of all stages but the last mix the tokens of a window, a contiguous nested run of
    ``window`` tokens, at most a face. Blocks of the last stage mix all tokens of the map with
    weights that are shared over quarter turns: there information crosses the faces. ``block``
    chooses the mixing: attention, or an MLP over tokens, which on maps as small as the digits'
    takes half the time of attention and is the more accurate.

    ``kind`` fixes nside, faces and channels of a nested table; the images are floats in [0, 1].
    Returns ``(batch, classes)``. Raises ``UserError`` if the stages do not fit ``nside``.

    Source: the hierarchy of HEAL-SWIN (arXiv:2307.07313), without its shifts.
    """

    places: Tensor

    def __init__(
        self,
        kind: TableType,
        classes: int,
        params: HealpixEncoderParams,
        *,
        seed: int = 0,
        dense: bool = False,
    ) -> None:
        super().__init__()
        if dense:
            raise UserError(
                "model.name is healpix_encoder, which gives one answer a map; expected heal_swin "
                "or swin for one a pixel"
            )
        nside, faces, pixel_channels = _geometry(kind)
        _check_stages(nside, params.depths)
        if classes < 1:
            raise ValueError(f"classes is {classes}; expected at least 1")
        self.input_shape = (len(faces) * nside**2, pixel_channels)
        per_face, channels = nside**2 // 4, params.embed
        self.embed = PatchEmbedding(pixel_channels, channels)
        self.position: nn.Parameter | None = None
        if params.position != "none":
            places, entries = torch.arange(len(faces) * per_face), len(faces) * per_face
            if params.position == "orbit":
                places, entries = orbit_positions(faces, per_face)
            self.position = nn.Parameter(torch.zeros(entries, channels))
            self.register_buffer("places", places, persistent=False)
        mixing = Attention if params.block == "attention" else TokenMlp
        in_window = window_pairs if params.block == "attention" else free_pairs
        self.merges, self.stages = nn.ModuleList(), nn.ModuleList()
        for stage, depth in enumerate(params.depths):
            if stage:
                self.merges.append(PatchMerging(channels))
                per_face, channels = per_face // 4, 2 * channels
            if stage < len(params.depths) - 1:
                pairs, entries = in_window(min(params.window, per_face))
            else:
                pairs, entries = orbit_pairs(faces, per_face)
            self.stages.append(
                nn.ModuleList(
                    Block(
                        channels,
                        mixing(channels, params.heads[stage], pairs, entries),
                        params.mlp_ratio,
                        params.dropout,
                    )
                    for _ in range(depth)
                )
            )
        self.norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, classes)
        initialise(self, seed)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the positions, of the order of the normalised tokens that they are added to."""
        if self.position is not None:
            nn.init.trunc_normal_(self.position, std=0.5, a=-1.0, b=1.0, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        return self._through(x, {})

    def trace(self, x: Tensor) -> dict[str, Tensor]:
        """Each layer's output in order, by name: token maps ``(batch, tokens, channels)``, nested,
        and at the end ``logits``.
        """
        seen: dict[str, Tensor] = {}
        self._through(x, seen)
        return seen

    def _through(self, x: Tensor, seen: dict[str, Tensor]) -> Tensor:
        if x.ndim != 3 or x.shape[1:] != self.input_shape:
            npix, channels = self.input_shape
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (batch, {npix}, {channels})")
        if not x.is_floating_point():
            raise TypeError(f"x is {x.dtype}; expected floats in [0, 1]")
        x = self.embed(x)
        if self.position is not None:
            x = x + self.position.index_select(0, self.places)
        seen["embed"] = x
        for stage, blocks in enumerate(self.stages):
            if stage:
                x = self.merges[stage - 1](x)
                seen[f"merge{stage}"] = x
            assert isinstance(blocks, nn.ModuleList)
            for number, block in enumerate(blocks):
                x = block(x)
                seen[f"stage{stage}.block{number}"] = x
        logits: Tensor = self.head(self.norm(x).mean(dim=1))
        seen["logits"] = logits
        return logits


def _geometry(kind: TableType) -> tuple[int, tuple[int, ...], int]:
    if faults := kind.mismatches(TableType(grid="healpix", ordering="nested")):
        raise UserError(
            *(f"model.name is healpix_encoder; its table's {fault}" for fault in faults)
        )
    if kind.nside is None or kind.faces is None or kind.channels is None:
        raise ValueError(f"kind is {kind}; expected nside, faces and channels")
    return kind.nside, kind.faces, kind.channels


def _check_stages(nside: int, depths: tuple[int, ...]) -> None:
    """The last stage has ``nside / 2^stages`` tokens a side and face: at least 1, at most 8."""
    least = 2 ** len(depths)
    most = least * round(_LARGEST_FACE**0.5)
    if not least <= nside <= most:
        other = "fewer" if nside < least else "more"
        raise UserError(
            f"model.depths has {len(depths)} stages and resample.nside is {nside}; expected an "
            f"nside from {least} to {most}, or {other} stages"
        )
