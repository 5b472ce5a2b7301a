"""Discs: brute force, healpy, and the areas that they cover."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.healpix.disc import query_disc
from geocore.healpix.grid import pixel_centres, ring2nest
from geocore.healpix.hierarchy import parents
from geocore.healpix.locate import pixel_radius, vec2pix

POLES = torch.tensor([[0, 0, 1], [0, 0, -1]]).double()


def centres(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.cat([POLES, torch.randn(count, 3, dtype=torch.float64, generator=generator)])


def radii(nside: int, count: int) -> list[float]:
    """From much smaller than a pixel to everything, or to some 10^4 pixels."""
    generator = torch.Generator().manual_seed(nside)
    most = min(3.3, 60 / nside)
    return (most * torch.rand(count, dtype=torch.float64, generator=generator) ** 2).tolist()


@pytest.mark.parametrize("nside", [1, 4, 16])
def test_it_is_all_pixels_whose_centres_are_near(nside: int) -> None:
    everywhere = pixel_centres(nside)
    for centre, radius in zip(centres(60), radii(nside, 62), strict=True):
        cosine = everywhere @ centre / centre.norm()
        expected = torch.nonzero(cosine.clamp(-1, 1).acos() <= radius)[:, 0]
        found = query_disc(nside, centre, radius)
        assert torch.equal(found, expected)
        ring = query_disc(nside, centre, radius, ordering="ring")
        assert torch.equal(ring2nest(nside, ring).sort().values, expected)
        assert (ring.diff() > 0).all()


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("nside", [1, 2, 4, 8, 16, 32, 64, 1024, 2**20])
def test_healpy_agrees(nside: int, inclusive: bool) -> None:
    healpy = pytest.importorskip("healpy")
    for centre, radius in zip(centres(20), radii(nside, 22), strict=True):
        expected = healpy.query_disc(nside, centre.numpy(), radius, inclusive=inclusive, nest=True)
        found = query_disc(nside, centre, radius, inclusive=inclusive)
        assert found.tolist() == sorted(expected.tolist())
        if not inclusive:
            expected = healpy.query_disc(nside, centre.numpy(), radius)
            found = query_disc(nside, centre, radius, ordering="ring")
            assert found.tolist() == sorted(expected.tolist())


def test_inclusive_misses_nothing_and_shrinks_to_what_is_covered() -> None:
    """Every direction of the disc lies in one of the pixels; oversampling sheds the others."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(
        torch.randn(200_000, 3, dtype=torch.float64, generator=generator)
    )
    for centre in centres(5):
        near = directions @ (centre / centre.norm()) >= math.cos(0.4)
        covered = set(vec2pix(8, directions[near]).tolist())
        sizes = []
        for oversampling in (1, 4, 64):
            found = query_disc(8, centre, 0.4, inclusive=True, oversampling=oversampling)
            assert covered <= set(found.tolist())
            assert set(query_disc(8, centre, 0.4).tolist()) <= covered
            sizes.append(len(found))
        assert sizes[0] >= sizes[1] >= sizes[2] >= len(covered)


def test_inclusive_by_definition() -> None:
    fine = pixel_centres(64)
    for centre in centres(5):
        angle = (fine @ (centre / centre.norm())).clamp(-1, 1).acos()
        for radius in (0.05, 0.4, 2.0):
            near = torch.nonzero(angle < radius + pixel_radius(64))[:, 0]
            found = query_disc(8, centre, radius, inclusive=True, oversampling=8)
            assert torch.equal(found, parents(64, near, 3).unique())


def test_a_disc_covers_its_area() -> None:
    for radius in (0.3, 1.0, 2.5):
        share = len(query_disc(64, torch.tensor([1.0, 2.0, 3.0]), radius)) / (12 * 64**2)
        assert share == pytest.approx((1 - math.cos(radius)) / 2, abs=3e-4)


def test_the_smallest_and_the_largest() -> None:
    centre = pixel_centres(8)[100]
    assert query_disc(8, centre, 1e-12).tolist() == [100]
    assert query_disc(8, centre, 1e-12, inclusive=True, oversampling=2**16).tolist() == [100]
    assert len(query_disc(8, -centre, math.pi)) == 768
    # Also around a point opposite to a face's centre, nearly all of the sphere.
    assert len(query_disc(2, torch.tensor([1.0, 0, 0]), 2.93)) == 48


def test_wrong_arguments_are_named() -> None:
    centre = torch.tensor([0.0, 0, 1])
    with pytest.raises(ValueError, match=r"centre has shape \(1, 3\); expected \(3,\)"):
        query_disc(4, centre[None], 0.1)
    with pytest.raises(ValueError, match="zero or non-finite vector"):
        query_disc(4, 0 * centre, 0.1)
    for radius in (-0.1, float("nan")):
        with pytest.raises(ValueError, match=f"radius is {radius}; expected radians, at least 0"):
            query_disc(4, centre, radius)
    with pytest.raises(
        ValueError, match="oversampling is 3; expected a power of two up to 4194304"
    ):
        query_disc(4, centre, 0.1, inclusive=True, oversampling=3)
