"""Neighbours: reference values, healpy on every pixel, and the graph's own laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geocore.healpix.adjacency import DIRECTIONS, face_neighbours, neighbours
from geocore.healpix.grid import Ordering, ring2nest

NSIDES = [1, 2, 4, 8, 16, 32, 64]


def test_reference_values() -> None:
    assert neighbours(4, torch.tensor(0)).tolist() == [69, 71, 2, 3, 1, 91, 90, 143]
    assert DIRECTIONS == ("SW", "W", "NW", "N", "NE", "E", "SE", "S")


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize("nside", NSIDES)
def test_every_pixel_agrees_with_healpy(nside: int, ordering: Ordering) -> None:
    healpy = pytest.importorskip("healpy")
    pixel = torch.arange(12 * nside**2)
    expected = healpy.get_all_neighbours(nside, pixel.numpy(), nest=ordering == "nested")
    np.testing.assert_array_equal(neighbours(nside, pixel, ordering), expected.T)


@pytest.mark.parametrize("nside", NSIDES[1:])
def test_the_graph_has_48_nside_squared_minus_12_pairs(nside: int) -> None:
    around = neighbours(nside, torch.arange(12 * nside**2))
    assert int((around < 0).sum()) == int((around < 0).any(dim=1).sum()) == 24
    pixel = torch.arange(len(around))[:, None].expand_as(around)[around >= 0]
    pairs = set(zip(pixel.tolist(), around[around >= 0].tolist(), strict=True))
    assert len(pairs) == 2 * (48 * nside**2 - 12)
    assert pairs == {(other, one) for one, other in pairs}


def test_faces_touch_as_the_pixels_of_the_coarsest_grid() -> None:
    around = face_neighbours()
    assert around[0].tolist() == [4, -1, 3, 2, 1, -1, 5, 8]
    assert around[4].tolist() == [11, 7, 3, -1, 0, 5, 8, -1]
    # A face's corner pixel at nside 2 has the same faces outside of it as the face itself.
    north = neighbours(2, torch.arange(12) * 4 + 3) // 4
    faces = torch.arange(12)
    assert torch.equal(north[:, 3].where(north[:, 3] >= 0, -1), around[:, 3])
    assert torch.equal(north[:, 7], faces)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="pixel runs from 0 to 12; expected 0 to 11"):
        neighbours(1, torch.arange(13))
    with pytest.raises(TypeError, match=r"pixel is torch\.float32; expected torch\.int64"):
        neighbours(1, torch.zeros(3))
    with pytest.raises(ValueError, match="ordering is 'spiral'"):
        neighbours(1, torch.arange(3), "spiral")  # type: ignore[arg-type]


def test_any_shape_and_both_orders_name_the_same_pixels() -> None:
    pixel = torch.arange(24).reshape(2, 3, 4)
    ring, nested = neighbours(4, pixel, "ring"), neighbours(4, ring2nest(4, pixel))
    assert ring.shape == (2, 3, 4, 8)
    there = nested >= 0
    assert torch.equal(ring2nest(4, ring[there]), nested[there])
    assert torch.equal(ring >= 0, there)
