"""Maps as they are shown: means of numbers, majorities of classes, and gaps."""

from __future__ import annotations

import numpy as np
import torch

from geocore.data.tabletype import TableType
from geocore.pipeline.sphere_grids import Shown
from geocore.report.sphere_file import UNKNOWN
from geocore.so3.driscoll_healy import driscoll_healy_directions

KIND = TableType(grid="healpix", nside=4, ordering="nested", faces=(0, 5), channels=1)


def test_a_map_that_is_coarse_enough_stays_as_it_is() -> None:
    shown = Shown(KIND, 32)
    assert (shown.nside, shown.faces) == (4, (0, 5))
    values = torch.arange(64.0).reshape(32, 2)
    known = torch.arange(32) != 7
    means = shown.means(values, known)
    np.testing.assert_array_equal(np.delete(means, 7, axis=0), np.delete(values.numpy(), 7, axis=0))
    assert np.isnan(means[7]).all()
    codes = shown.majority(torch.arange(32).to(torch.uint8) % 3, known, 3)
    assert codes[7] == UNKNOWN and list(codes[:4]) == [0, 1, 2, 0]


def test_coarser_pixels_hold_means_and_majorities_of_what_is_known() -> None:
    shown = Shown(KIND, 2)
    values, known = torch.zeros(32, 1), torch.zeros(32, dtype=torch.bool)
    values[:4, 0], known[:3] = torch.tensor([1.0, 2, 6, 100]), True
    codes = torch.tensor([2, 2, 1, 1] * 8)
    means, majority = shown.means(values, known), shown.majority(codes, known, 3)
    assert means.shape == (8, 1) and majority.shape == (8,)
    assert means[0, 0] == 3 and np.isnan(means[1:]).all()
    assert majority[0] == 2 and (majority[1:] == UNKNOWN).all()
    every = torch.ones(32, dtype=torch.bool)
    assert (shown.majority(codes, every, 3) == 1).all()  # of two twos and two ones the first class


def test_a_grid_of_colatitudes_is_shown_by_its_nearest_points() -> None:
    shown = Shown(TableType(grid="driscoll-healy", height=32, width=32, channels=1), 16)
    height = driscoll_healy_directions(16)[..., 2].reshape(-1, 1)
    means = shown.means(height, torch.ones(len(height), dtype=torch.bool))
    assert shown.nside == 16 and len(means) == 12 * 16**2
    assert means[:256].mean() > 0.6 and means[-256:].mean() < -0.6  # north and south faces
