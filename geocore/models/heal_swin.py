"""HEAL-SWIN: a Swin U-Net on nested HEALPix maps of any set of faces."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geocore.config.model import SwinParams
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.healpix.shifts import shift_plan
from geocore.models.pairs import orbit_positions
from geocore.models.swin_unet import SwinUnet
from geocore.models.tiling import Tiling

__all__ = ["HealSwin"]


class HealSwin(nn.Module):
    """f(R x) = R f(x) for the quarter turns R about z, exactly up to rounding.

    So for faces that are whole rows (0-3, 4-7, 8-11), all shifts, and positions ``none`` or
    ``orbit``; in training with ``dropout_kind`` ``channel`` as well. Maps ``(batch, npix,
    channels)``, floats in [0, 1], to ``(batch, npix, outputs)`` with ``dense``, else to ``(batch,
    outputs)``, which are invariant.

    Tokens are nested pixels of nside / 2, / 4, ... and windows contiguous runs of them, at most a
    face; ``params.shift`` says how every other block moves them, across the seams of the faces or
    along the rings. ``kind`` fixes nside, faces and channels of a nested table. The number of
    parameters depends on neither nside nor faces, but for positions. Raises ``UserError`` if the
    stages do not fit nside.

    Source: arXiv:2307.07313.
    """

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
        nside, faces, pixel_channels = _geometry(kind, params)
        self.input_shape = (len(faces) * nside**2, pixel_channels)
        places, entries, per_face = None, 0, nside**2 // 4
        if params.position == "orbit":
            places, entries = orbit_positions(faces, per_face)
        elif params.position == "absolute":
            places, entries = torch.arange(len(faces) * per_face), len(faces) * per_face
        tilings = [
            _tiling(nside // 2 ** (stage + 1), faces, params) for stage in range(len(params.depths))
        ]
        self.body = SwinUnet(
            tilings, pixel_channels, outputs, params, seed=seed, dense=dense,
            places=places, entries=entries,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        out: Tensor = self.body(x)
        return out

    def trace(self, x: Tensor) -> dict[str, Tensor]:
        """Each layer's output in order, by name: maps ``(batch, n, channels)``, nested, of all
        resolutions, and at the end ``logits``.
        """
        self._check(x)
        seen: dict[str, Tensor] = {}
        self.body(x, seen)
        return seen

    def _check(self, x: Tensor) -> None:
        if x.ndim != 3 or x.shape[1:] != self.input_shape:
            npix, channels = self.input_shape
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (batch, {npix}, {channels})")
        if not x.is_floating_point():
            raise TypeError(f"x is {x.dtype}; expected floats in [0, 1]")


def _tiling(nside: int, faces: tuple[int, ...], params: SwinParams) -> Tiling:
    window = min(params.window, nside**2)
    plan = None
    if params.shift != "none" and window > 1:
        plan = shift_plan(nside, faces, window, params.shift)
    return Tiling(len(faces) * nside**2, window, plan)


def _geometry(kind: TableType, params: SwinParams) -> tuple[int, tuple[int, ...], int]:
    stages = len(params.depths)
    if faults := kind.mismatches(TableType(grid="healpix", ordering="nested")):
        raise UserError(*(f"model.name is heal_swin; its table's {fault}" for fault in faults))
    if kind.nside is None or kind.faces is None or kind.channels is None:
        raise ValueError(f"kind is {kind}; expected nside, faces and channels")
    if kind.nside < 2**stages:
        raise UserError(
            f"model.depths has {stages} stages and resample.nside is {kind.nside}; expected an "
            f"nside of at least {2**stages}, or fewer stages"
        )
    if params.window > kind.nside**2 // 4:  # later stages are clamped, their faces being smaller
        raise UserError(
            f"model.window is {params.window} and resample.nside is {kind.nside}; expected a "
            f"window of at most {kind.nside**2 // 4}, the tokens of a face"
        )
    return kind.nside, kind.faces, kind.channels
