"""Power spectra against functions whose coefficients are known."""

from __future__ import annotations

import math
import sys

import pytest
import torch

from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.healpix.grid import pixel_centres
from geocore.pipeline.sphere_spectra import Spectra, sky_of
from geocore.so3.driscoll_healy import driscoll_healy_directions

MAP = TableType(grid="healpix", nside=16, ordering="nested", faces=tuple(range(12)), channels=1)
GRID = TableType(grid="driscoll-healy", height=16, width=16, channels=1)


def points(kind: TableType) -> torch.Tensor:
    if kind.grid == "healpix":
        return pixel_centres(16)
    return driscoll_healy_directions(8).reshape(-1, 3)


@pytest.mark.parametrize(("kind", "off"), [(MAP, 1e-4), (GRID, 1e-12)])
def test_the_coordinates_have_power_at_degree_one_alone(kind: TableType, off: float) -> None:
    """``z`` is ``sqrt(4 pi / 3) Y_10``, so ``C_1 = 4 pi / 9``; x and y have as much each, and
    the spectrum of several channels is their sum.
    """
    spectra = Spectra(kind, 32)
    seen = torch.ones(kind.pixels, dtype=torch.bool)
    for channels in ([2], [0], [0, 1, 2]):
        found = spectra.of(points(kind)[:, channels], seen)
        expected = torch.zeros_like(found)
        expected[1] = len(channels) * 4 * math.pi / 9
        torch.testing.assert_close(found, expected, atol=off, rtol=0)


def test_a_constant_has_degree_zero_alone_and_a_partial_sky_is_divided_out() -> None:
    """``C_0 = 4 pi c^2``; of the northern faces' third of the sky ``4 pi c^2 / 3``."""
    found = Spectra(MAP, 16).of(torch.full((MAP.pixels, 1), 0.5), torch.ones(MAP.pixels).bool())
    assert float(found[0]) == pytest.approx(math.pi, rel=1e-5)
    assert float(found[1:].max()) < 1e-6
    part = TableType(grid="healpix", nside=16, ordering="nested", faces=(0, 1, 2, 3), channels=1)
    seen = torch.ones(MAP.pixels).bool() & (torch.arange(MAP.pixels) < part.pixels)
    whole = Spectra(MAP, 16).of(0.5 * seen[:, None], seen)
    assert float(whole[0]) == pytest.approx(math.pi / 3, rel=1e-2)
    ones = torch.ones(part.pixels).bool()
    alone = Spectra(part, 16).of(torch.full((part.pixels, 1), 0.5), ones)
    torch.testing.assert_close(alone, whole)  # the same sky, in another table


def test_nothing_seen_has_no_power_and_fine_maps_are_coarser() -> None:
    nothing = Spectra(MAP, 4).of(torch.zeros(MAP.pixels, 1), torch.zeros(MAP.pixels).bool())
    assert nothing.tolist() == [0.0] * 9  # l up to 2 nside


def test_without_healpy_there_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "healpy", None)
    with pytest.raises(UserError, match=r"healpy is not installed.*geocore\[data\]"):
        Spectra(MAP, 16).of(torch.ones(MAP.pixels, 1), torch.ones(MAP.pixels).bool())


def test_the_sky_is_measured_by_area() -> None:
    """The cap of 60 degrees about the pole is a quarter of the sphere."""
    for kind in (MAP, GRID):
        cap = points(kind)[:, 2] > 0.49
        assert sky_of(kind, torch.stack([cap, cap])) == pytest.approx(0.25, abs=0.03)
