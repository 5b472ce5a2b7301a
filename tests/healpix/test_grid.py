"""Pixel numbers and centres: reference values, healpy on every pixel, and the layout of maps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from geocore.healpix.grid import (
    ALL_FACES,
    MAX_NSIDE,
    Ordering,
    nest2ring,
    nest2xyf,
    nside_of,
    pix2ang,
    pix2vec,
    pixel_centres,
    pixel_numbers,
    ring2nest,
    ring2xyf,
    ring_order,
    xyf2nest,
    xyf2ring,
)

NSIDES = [1, 2, 4, 8, 16, 32, 64]


def test_reference_values() -> None:
    assert nest2ring(4, torch.arange(16)).tolist() == [
        74, 58, 57, 42, 43, 27, 26, 14, 41, 25, 24, 12, 13, 5, 4, 0,
    ]  # fmt: skip
    assert ring2nest(4, torch.arange(4)).tolist() == [15, 31, 47, 63]


def test_the_centres_of_nside_1() -> None:
    x, y, z = pix2vec(1, torch.arange(12)).unbind(1)
    expected = torch.tensor([2 / 3] * 4 + [0.0] * 4 + [-2 / 3] * 4, dtype=torch.float64)
    torch.testing.assert_close(z, expected, atol=1e-15, rtol=0)
    longitude = torch.atan2(y, x).remainder(2 * math.pi) / math.pi
    expected = torch.tensor([0.25, 0.75, 1.25, 1.75, 0, 0.5, 1, 1.5, 0.25, 0.75, 1.25, 1.75])
    torch.testing.assert_close(longitude, expected.double(), atol=1e-15, rtol=0)


@pytest.mark.parametrize("nside", NSIDES)
def test_every_pixel_agrees_with_healpy(nside: int) -> None:
    healpy = pytest.importorskip("healpy")
    pixel = torch.arange(12 * nside**2)
    np.testing.assert_array_equal(nest2ring(nside, pixel), healpy.nest2ring(nside, pixel.numpy()))
    np.testing.assert_array_equal(ring2nest(nside, pixel), healpy.ring2nest(nside, pixel.numpy()))
    for nested, ours in ((True, nest2xyf), (False, ring2xyf)):
        theirs = healpy.pix2xyf(nside, pixel.numpy(), nest=nested)
        np.testing.assert_array_equal(torch.stack(ours(nside, pixel)), np.stack(theirs))
        vectors = np.stack(healpy.pix2vec(nside, pixel.numpy(), nest=nested), axis=1)
        ordering: Ordering = "nested" if nested else "ring"
        np.testing.assert_allclose(pix2vec(nside, pixel, ordering), vectors, atol=2e-15, rtol=0)
        angles = np.stack(healpy.pix2ang(nside, pixel.numpy(), nest=nested))
        found = torch.stack(pix2ang(nside, pixel, ordering))
        np.testing.assert_allclose(found, angles, atol=2e-15, rtol=0)


@pytest.mark.parametrize("nside", [*NSIDES, 1024, MAX_NSIDE])
def test_numbers_and_coordinates_are_each_others_inverses(nside: int) -> None:
    generator = torch.Generator().manual_seed(0)
    pixel = torch.randint(12 * nside**2, (5000,), generator=generator)
    ends = torch.tensor([0, 12 * nside**2 - 1])
    pixel = torch.cat([pixel, ends])
    assert torch.equal(xyf2nest(nside, *nest2xyf(nside, pixel)), pixel)
    assert torch.equal(xyf2ring(nside, *ring2xyf(nside, pixel)), pixel)
    assert torch.equal(ring2nest(nside, nest2ring(nside, pixel)), pixel)


def test_angles_are_those_of_the_centres() -> None:
    """Next to the poles too, where a cosine says nothing of the angle."""
    last = 12 * MAX_NSIDE**2 - 1
    pixel = torch.tensor([0, 1, 5, 4 * MAX_NSIDE**2, last // 2, last - 2, last])
    theta, phi = pix2ang(MAX_NSIDE, pixel, "ring")
    x, y, z = pix2vec(MAX_NSIDE, pixel, "ring").unbind(1)
    across = torch.hypot(x, y)
    torch.testing.assert_close(torch.atan2(across, z), theta, atol=5e-16, rtol=0)
    torch.testing.assert_close(theta.sin(), across, atol=2e-16, rtol=0)
    torch.testing.assert_close(torch.atan2(y, x).remainder(2 * math.pi), phi, atol=1e-15, rtol=0)
    # The ring next to the pole: 1 - cos(theta) = 1 / (3 nside^2), so theta = sqrt(2/3) / nside.
    assert float(theta[0]) == pytest.approx(math.sqrt(2 / 3) / MAX_NSIDE, rel=1e-12)


@pytest.mark.parametrize("nside", [1, 4, 16])
def test_centres_are_unit_and_integrate_low_harmonics(nside: int) -> None:
    """Equal areas and rings: the means of x, y, z and of x y, y z, x z vanish exactly."""
    centres = pixel_centres(nside)
    torch.testing.assert_close(centres.norm(dim=1), torch.ones(len(centres)).double())
    assert centres.mean(dim=0).abs().max() < 1e-14
    second = centres.T @ centres / len(centres)
    assert (second - torch.diag(second.diagonal())).abs().max() < 1e-14
    assert abs(float(second[2, 2]) - 1 / 3) < 0.2 / nside**2


def test_a_nested_map_lists_its_faces_one_after_another() -> None:
    faces = [1, 4, 11]
    expected = torch.cat([torch.arange(16) + 16 * face for face in faces])
    assert torch.equal(pixel_numbers(4, faces), expected)
    assert torch.equal(pixel_centres(4, faces), pixel_centres(4)[expected])


@pytest.mark.parametrize("faces", [ALL_FACES, (0, 5, 6), (8,)])
def test_a_ring_map_lists_the_same_pixels_in_ring_order(faces: tuple[int, ...]) -> None:
    numbers = pixel_numbers(8, faces, "ring")
    assert (numbers.diff() > 0).all()
    assert set(ring2nest(8, numbers).tolist()) == set(pixel_numbers(8, faces).tolist())
    nested = pixel_centres(8, faces)
    torch.testing.assert_close(
        nested[ring_order(8, faces)], pixel_centres(8, faces, "ring"), atol=1e-15, rtol=0
    )


def test_nside_of() -> None:
    assert nside_of(3072) == 16
    assert nside_of(512, range(8)) == 8
    for npix, faces in ((3073, ALL_FACES), (0, ALL_FACES), (12 * 9, ALL_FACES), (64, (0, 1, 2))):
        with pytest.raises(ValueError, match=f"npix is {npix}; expected"):
            nside_of(npix, faces)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="nside is 12; expected a power of two from 1 to 1048576"):
        nest2ring(12, torch.arange(3))
    with pytest.raises(ValueError, match="pixel runs from 0 to 12; expected 0 to 11"):
        nest2ring(1, torch.arange(13))
    with pytest.raises(ValueError, match="nside is 2097152; expected a power of two from 1 to 10"):
        pix2vec(2 * MAX_NSIDE, torch.arange(3))
    with pytest.raises(ValueError, match="y runs from 0 to 4; expected 0 to 3"):
        xyf2nest(4, torch.arange(4), torch.tensor([0, 1, 2, 4]), torch.arange(4))
    with pytest.raises(ValueError, match="face runs from -1 to 3; expected 0 to 11"):
        xyf2ring(4, torch.arange(4), torch.arange(4), torch.tensor([-1, 0, 2, 3]))
    with pytest.raises(TypeError, match=r"pixel is torch\.int32; expected torch\.int64"):
        ring2nest(1, torch.arange(3, dtype=torch.int32))
    with pytest.raises(ValueError, match=r"faces is \(3, 1\); expected a rising list"):
        pixel_centres(2, [3, 1])
    with pytest.raises(ValueError, match="ordering is 'spiral'; expected 'nested' or 'ring'"):
        pixel_centres(2, [3], "spiral")  # type: ignore[arg-type]
