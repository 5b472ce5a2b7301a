"""Each face rolls as a flat image does, with a flat Swin's labels."""

from __future__ import annotations

import pytest
import torch

from geocore.healpix.grid import nest2xyf
from geocore.healpix.shifts import shift_plan
from tests.healpix.shifted import all_labels


@pytest.mark.parametrize("faces", [(3,), (0, 4, 11)])
@pytest.mark.parametrize(("nside", "side"), [(4, 2), (8, 2), (8, 4), (32, 8)])
def test_it_is_the_roll_of_a_flat_image(nside: int, side: int, faces: tuple[int, ...]) -> None:
    """``torch.roll`` by minus half a window, and the nine regions of the flat Swin's mask."""
    plan = shift_plan(nside, faces, side**2, "roll")
    x, y, _ = nest2xyf(nside, torch.arange(nside**2))
    tokens = torch.arange(len(faces) * nside**2).reshape(len(faces), -1)
    image = torch.empty(len(faces), nside, nside, dtype=torch.int64)
    image[:, y, x] = tokens
    rolled = image.roll((-side // 2, -side // 2), dims=(1, 2))
    assert torch.equal(plan.permutation, rolled[:, y, x].reshape(-1))

    regions = torch.zeros(nside, nside, dtype=torch.int64)
    for row, rows in enumerate((slice(-side), slice(-side, -side // 2), slice(-side // 2, None))):
        for column, columns in enumerate(
            (slice(-side), slice(-side, -side // 2), slice(-side // 2, None))
        ):
            regions[rows, columns] = 3 * row + column
    theirs = regions[y, x].reshape(-1, side**2).repeat(len(faces), 1)
    ours = all_labels(plan, side**2)
    assert torch.equal(
        ours[:, :, None] == ours[:, None, :], theirs[:, :, None] == theirs[:, None, :]
    )
    assert len(plan.masked) == len(faces) * (2 * nside // side - 1)
