"""Angular power spectra of maps on either grid of the sphere."""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.healpix.hierarchy import ud_grade
from geocore.pipeline.dense_grids import areas_of
from geocore.so3.s2_transform import S2Transform

__all__ = ["Spectra", "sky_of"]


def sky_of(kind: TableType, seen: Tensor) -> float:
    """The part of the whole sphere that the pixels ``seen (..., pixels)`` of a grid cover."""
    areas = areas_of(kind).double()
    whole = len(kind.faces) / 12 if kind.faces is not None else 1.0
    return whole * float((seen.double() @ areas).mean() / areas.sum())


class Spectra:
    """``C_l = sum_channels sum_m |f_lm|^2 / (2 l + 1)``, by the part of the sky that is seen.

    Of a HEALPix map at most at ``nside``, up to ``l = 2 nside`` (healpy's ``anafast``, three
    iterations); of a Driscoll-Healy grid all degrees that it knows, exactly. What is not seen is
    to be 0: then they are pseudo-C_l, where neighbouring degrees mix.
    """

    def __init__(self, kind: TableType, nside: int) -> None:
        self._kind = kind
        self._nside = min(nside, kind.nside or 0)
        self._transform = None
        if kind.grid == "driscoll-healy":
            assert kind.height is not None  # such a table says it
            self._transform = S2Transform(kind.height // 2)

    def of(self, values: Tensor, seen: Tensor) -> Tensor:
        """Of ``values (points, channels)``, 0 where not ``seen (points,)``: ``(lmax + 1,)``.

        Zeros where nothing is seen. Raises ``UserError`` where healpy is needed and missing.
        """
        sky = sky_of(self._kind, seen)
        values = values.double()
        found = self._grid(values) if self._transform is not None else self._healpix(values)
        return found / sky if sky else found

    def _grid(self, values: Tensor) -> Tensor:
        assert self._transform is not None and self._kind.height is not None
        samples = values.T.reshape(-1, self._kind.height, self._kind.height)
        power = self._transform(samples).abs().square()  # (channels, l, m >= 0)
        total = 2 * power.sum(dim=-1) - power[..., 0]
        degrees = torch.arange(total.shape[-1], dtype=torch.float64)
        found: Tensor = (total / (2 * degrees + 1)).sum(dim=0)
        return found

    def _healpix(self, values: Tensor) -> Tensor:
        try:
            import healpy
        except ImportError:
            raise UserError(
                "healpy is not installed, and power spectra need it: pip install 'geocore[data]'"
            ) from None
        faces = list(self._kind.faces or ())
        coarse, _ = ud_grade(values, self._nside, faces)
        whole = torch.zeros(12, self._nside**2, values.shape[1], dtype=torch.float64)
        whole[faces] = coarse.unflatten(0, (len(faces), -1))
        maps = healpy.reorder(whole.flatten(0, 1).T.numpy(), n2r=True)
        spectra = [healpy.anafast(one, lmax=2 * self._nside, iter=3) for one in maps]
        return torch.from_numpy(sum(spectra))
