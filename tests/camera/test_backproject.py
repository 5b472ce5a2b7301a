"""The sphere seen by a camera: the reference, analytic maps, labels there and back, validity."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.camera.backproject import (
    RotatedBackprojector,
    SharedBackprojector,
    backproject_reference,
)
from geocore.camera.lens import RadialCamera, valid_pixels
from geocore.camera.models import Equisolid, Pinhole, Stereographic
from geocore.camera.polynomial import RadialPolynomial
from geocore.camera.pose import look_at
from geocore.camera.rotated import RotatedSampler
from geocore.camera.sampling import SharedSampler
from geocore.healpix.grid import pixel_centres
from geocore.healpix.locate import vec2pix
from geocore.so3.rotation import compose, quaternion_to_matrix
from geocore.so3.sampling import random_rotations
from geocore.testing import assert_parity
from tests.camera.cameras import FRONT

# Of the last two lenses some pixels see nothing.
CAMERAS: list[RadialCamera] = [
    Stereographic.from_angle_of_view(140.0, 14, 14),
    Pinhole.from_angle_of_view(80.0, 9, 14),
    FRONT.resized(12, 16),
    Equisolid(12, 16, 3.5, offset=(0.5, -0.5), limit=140.0),
    RadialPolynomial(15, 20, (10.0, 0.0, -1.5), offset=(1.0, 0.5), aspect=0.9),
]
FACES = [tuple(range(12)), tuple(range(8)), (0, 1, 2, 3), (2, 5, 9), (6,)]
assert_double = functools.partial(torch.testing.assert_close, atol=1e-12, rtol=0)


def random_poses(count: int) -> Tensor:
    base = look_at(60.0, 10.0).expand(count, 4)
    return compose(random_rotations("so3", 3, np.arange(count)), base)


def random_maps(count: int, npix: int, channels: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, npix, channels, dtype=torch.float64, generator=generator)


def random_mask(count: int, npix: int) -> Tensor:
    return torch.rand(count, npix, generator=torch.Generator().manual_seed(1)) < 0.6


def directions(camera: RadialCamera, rotation: Tensor) -> Tensor:
    v, u = torch.meshgrid(
        torch.arange(camera.height).double(), torch.arange(camera.width).double(), indexing="ij"
    )
    return camera.unproject(u, v) @ quaternion_to_matrix(rotation).T


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize(
    ("faces", "masked"), [(FACES[0], False), (FACES[1], True), (FACES[2], False), (FACES[3], True)]
)
def test_parity_with_the_reference(
    camera: RadialCamera, faces: tuple[int, ...], masked: bool
) -> None:
    npix, count = len(faces) * 4**2, 2 if faces == FACES[0] else 1
    poses = random_poses(count)
    maps, mask = random_maps(count, npix), random_mask(count, npix) if masked else None
    expected, expected_valid = backproject_reference(maps, camera, poses, 4, faces, mask)
    values, valid = RotatedBackprojector(camera, 4, faces)(maps, poses, mask)
    assert torch.equal(valid, expected_valid)
    assert_double(values, expected)
    for n in range(count):
        shared = SharedBackprojector(camera, poses[n], 4, faces, torch.float64)
        own = None if mask is None else mask[n : n + 1]
        values, valid = shared(maps[n : n + 1], own)
        assert torch.equal(valid[0], expected_valid[n])
        assert_double(values[0], expected[n])


def test_gradients_are_those_of_the_reference() -> None:
    camera, faces, poses = CAMERAS[4], (0, 1, 2, 3, 4, 7), random_poses(2)
    maps, mask = random_maps(2, 6 * 4**2), random_mask(2, 6 * 4**2)
    rotated = RotatedBackprojector(camera, 4, faces)
    assert_parity(
        lambda x: rotated(x, poses, mask)[0],
        lambda x: backproject_reference(x, camera, poses, 4, faces, mask)[0],
        maps, atol=1e-12,
    )  # fmt: skip


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("faces", FACES)
def test_a_pixel_is_valid_where_its_containing_pixel_is_there(
    camera: RadialCamera, faces: tuple[int, ...]
) -> None:
    """And where its value came from is there too: the others are infinite."""
    nside, poses = 4, random_poses(3)
    everywhere = RotatedBackprojector(camera, nside)
    mask = torch.zeros(3, 12 * nside**2, dtype=torch.bool)
    for face in faces:
        mask[:, face * nside**2 : (face + 1) * nside**2] = True
    maps = torch.full((3, 12 * nside**2, 1), torch.inf, dtype=torch.float64)
    maps[mask] = 0.7
    values, valid = everywhere(maps, poses, mask)
    for n in range(3):
        pixel = vec2pix(nside, directions(camera, poses[n]))
        assert torch.equal(valid[n], mask[n][pixel] & valid_pixels(camera))
    assert_double(values[..., 0], 0.7 * valid.double())
    some, some_valid = RotatedBackprojector(camera, nside, faces)(maps[mask].view(3, -1, 1), poses)
    assert torch.equal(some_valid, valid)
    assert_double(some, values)


def test_interpolation_is_healpixs_own() -> None:
    healpy = pytest.importorskip("healpy")
    camera, pose, maps = CAMERAS[2], random_poses(1)[0], random_maps(1, 12 * 8**2, 1)
    x, y, z = directions(camera, pose).numpy().transpose(2, 0, 1)
    theta, phi = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    expected = healpy.get_interp_val(maps[0, :, 0].numpy(), theta, phi, nest=True)
    values, valid = SharedBackprojector(camera, pose, 8, dtype=torch.float64)(maps)
    assert valid.all()
    np.testing.assert_allclose(values[0, ..., 0].numpy(), expected, atol=1e-12, rtol=0)


def test_a_smooth_map_is_seen_to_second_order_in_the_pixels_size() -> None:
    camera, pose = CAMERAS[2], random_poses(1)[0]
    expected = directions(camera, pose) @ torch.tensor([0.3, -0.5, 0.8], dtype=torch.float64)
    errors = []
    for nside in (16, 32, 64):
        maps = (pixel_centres(nside) @ torch.tensor([0.3, -0.5, 0.8]).double())[None, :, None]
        values, _ = SharedBackprojector(camera, pose, nside, dtype=torch.float64)(maps)
        errors.append(float((values[0, ..., 0] - expected).abs().max()))
    assert errors[0] < 4e-3
    # A quarter each time the pixels are halved, where not for the corners between base faces.
    assert errors[1] < errors[0] / 2.5 and errors[2] < errors[1] / 2.5


@pytest.mark.parametrize("camera", CAMERAS)
def test_labels_come_back_as_they_went(camera: RadialCamera) -> None:
    """HEALPix pixels are much smaller than the image's here, so nothing gets lost between."""
    nside, poses = 64, random_poses(3)
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 10, (3, camera.height, camera.width), generator=generator)
    labels = labels.to(torch.uint8)
    sphere = RotatedSampler(camera, pixel_centres(nside)).labels(labels, poses)
    found, valid = RotatedBackprojector(camera, nside).labels(sphere, poses)
    assert torch.equal(valid, valid_pixels(camera).expand(3, -1, -1))
    assert torch.equal(found[valid], labels[valid]) and (found[~valid] == 0).all()

    shared = SharedBackprojector(camera, poses[1], nside)
    there = SharedSampler(camera, poses[1], pixel_centres(nside))
    seen = there.valid.expand(3, -1)
    found, valid = shared.labels(there.labels(labels), seen)
    assert torch.equal(found[valid], labels[valid])
    assert torch.equal(valid, valid_pixels(camera).expand(3, -1, -1))


def test_labels_are_those_of_the_containing_pixel() -> None:
    camera, faces, poses = CAMERAS[3], (2, 5, 9), random_poses(2)
    labels = torch.arange(3 * 16, dtype=torch.int64).expand(2, -1) + 1
    mask = random_mask(2, 3 * 16)
    for chosen in (None, mask):
        found, valid = RotatedBackprojector(camera, 4, faces).labels(labels, poses, chosen)
        for n in range(2):
            pixel = vec2pix(4, directions(camera, poses[n])).flatten().tolist()
            expected = []
            for p, seen in zip(pixel, valid_pixels(camera).flatten().tolist(), strict=True):
                place = faces.index(p // 16) * 16 + p % 16 if p // 16 in faces else -1
                counts = place >= 0 and (chosen is None or bool(chosen[n, place]))
                expected.append(place + 1 if seen and counts else 0)
            assert found[n].flatten().tolist() == expected
            assert torch.equal(valid[n], found[n] > 0)
            shared = SharedBackprojector(camera, poses[n], 4, faces)
            own = None if chosen is None else chosen[n : n + 1]
            alike, alike_valid = shared.labels(labels[n : n + 1], own)
            assert torch.equal(alike[0], found[n]) and torch.equal(alike_valid[0], valid[n])


def test_large_images_go_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    camera, maps, poses = CAMERAS[4], random_maps(2, 12 * 16), random_poses(2)
    whole = RotatedBackprojector(camera, 4)(maps, poses)
    monkeypatch.setattr("geocore.camera.backproject._POINTS", 7)
    chunked = RotatedBackprojector(camera, 4)(maps, poses)
    assert torch.equal(whole[0], chunked[0]) and torch.equal(whole[1], chunked[1])


def test_nothing_to_do() -> None:
    rotated = RotatedBackprojector(CAMERAS[0], 4)
    values, valid = rotated(torch.zeros(0, 192, 3), torch.zeros(0, 4))
    assert values.shape == (0, 14, 14, 3) and valid.shape == (0, 14, 14)
    labels, valid = rotated.labels(torch.zeros(0, 192, dtype=torch.uint8), torch.zeros(0, 4))
    assert labels.shape == (0, 14, 14) and labels.dtype == torch.uint8 and not valid.numel()


def test_wrong_arguments_are_named() -> None:
    rotated, pose = RotatedBackprojector(CAMERAS[0], 4, [0]), random_poses(1)
    with pytest.raises(ValueError, match=r"maps has shape \(1, 15, 1\); expected \(n, 16, chan"):
        rotated(torch.zeros(1, 15, 1), pose)
    with pytest.raises(ValueError, match=r"rotations has shape \(1, 4\); expected \(2, 4\)"):
        rotated(torch.zeros(2, 16, 1), pose)
    with pytest.raises(ValueError, match=r"mask has shape \(1, 15\); expected \(1, 16\)"):
        rotated(torch.zeros(1, 16, 1), pose, torch.ones(1, 15, dtype=torch.bool))
    with pytest.raises(TypeError, match=r"mask is torch.float32; expected torch.bool"):
        rotated(torch.zeros(1, 16, 1), pose, torch.ones(1, 16))
    with pytest.raises(ValueError, match=r"rotation has shape \(1, 4\); expected \(4,\)"):
        SharedBackprojector(CAMERAS[0], pose, 4)
    with pytest.raises(ValueError, match="faces is"):
        RotatedBackprojector(CAMERAS[0], 4, [12])
