"""Places in maps of some faces: the sphere's own pixels, renumbered; and nothing else is met."""

from __future__ import annotations

import math

import pytest
import torch

from geocore.healpix.grid import nest2ring, pixel_centres, pixel_numbers
from geocore.healpix.locate import vec2pix
from geocore.healpix.partial import PartialMap
from geocore.healpix.rotate import MapRotation

healpy = pytest.importorskip("healpy")

FACES = (0, 1, 5)


def points(count: int = 2000) -> torch.Tensor:
    drawn = torch.randn(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.nn.functional.normalize(drawn, dim=1)


@pytest.mark.parametrize("faces", [FACES, tuple(range(12)), (11,)])
def test_places_hold_the_numbers_of_the_sphere(faces: tuple[int, ...]) -> None:
    there = points()
    place = PartialMap(4, faces).containing(there)
    number, held = vec2pix(4, there), pixel_numbers(4, faces)
    on_map = torch.isin(number, held)
    assert torch.equal(place >= 0, on_map)
    assert torch.equal(held[place[on_map]], number[on_map])


def test_weights_of_the_whole_sphere_are_healpys() -> None:
    there = points()
    index, weight = PartialMap(4).interpolated(there)
    values = torch.rand(192, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = (values[index] * weight).sum(dim=1)
    ring = torch.empty_like(values)
    ring[nest2ring(4, torch.arange(192))] = values
    expected = healpy.get_interp_val(ring.numpy(), *healpy.vec2ang(there.numpy()))
    torch.testing.assert_close(found, torch.from_numpy(expected), atol=1e-12, rtol=0)
    assert math.isclose(float(weight.sum(dim=1).min()), 1, abs_tol=1e-12)


def test_what_weighs_nothing_is_never_met() -> None:
    there = points()
    index, weight = PartialMap(4, FACES).interpolated(there)
    for pixel in (0, 17, 47):
        values = torch.zeros(48, dtype=torch.float64)
        values[pixel] = math.inf
        some = (weight > 0).any(dim=1)
        corners, weights = values[index[some]], weight[some]
        reached = ((index[some] == pixel) & (weights > 0)).any(dim=1)
        assert torch.equal(torch.isinf(corners).any(dim=1), reached)


def test_a_turned_map_meets_an_infinity_only_beside_it() -> None:
    turn = torch.tensor([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    maps = torch.zeros(1, 48, 1, dtype=torch.float64)
    maps[0, 0] = math.inf
    turned = MapRotation(4, FACES, turn, torch.float64)(maps)[0, :, 0]
    near = pixel_centres(4, FACES) @ (turn @ pixel_centres(4, FACES)[0]) > math.cos(0.6)
    assert not turned[near].isfinite().all() and turned[~near].isfinite().all()
