"""A rotation for each sample: parity, equivariance, and nothing missed by the culling."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.camera.lens import RadialCamera, valid_pixels
from geocore.camera.models import Equidistant, Equisolid, Pinhole, Stereographic
from geocore.camera.polynomial import RadialPolynomial
from geocore.camera.pose import look_at
from geocore.camera.rotated import RotatedSampler
from geocore.camera.sampling import SharedSampler, sample_reference
from geocore.healpix.grid import pixel_centres
from geocore.healpix.symmetry import QuarterTurns
from geocore.so3.rotation import compose, matrix_to_quaternion
from geocore.so3.sampling import random_rotations
from tests.camera.cameras import FRONT

# The first five are rational maps; of the last three lenses some pixels see nothing.
CAMERAS: list[RadialCamera] = [
    Stereographic.from_angle_of_view(100.0, 28, 28),
    Pinhole.from_angle_of_view(80.0, 9, 14),
    Pinhole.from_angle_of_view(170.0, 8, 8),
    Stereographic.from_angle_of_view(350.0, 12, 8),
    Stereographic(12, 30, 40.0, offset=(3.0, -20.0), aspect=1.3),
    Equidistant.from_angle_of_view(170.0, 12, 17),
    FRONT.resized(24, 32),
    Stereographic(12, 18, 6.0, limit=50.0),
    Equisolid(12, 16, 3.5, offset=(0.5, -0.5)),
    RadialPolynomial(30, 40, (20.0, 0.0, -3.0), offset=(1.0, 0.5), aspect=0.9),
]
RATIONAL, BLIND = CAMERAS[:5], CAMERAS[-3:]
# float32 interpolation of images up to 64 pixels a side: of the value range, which is 1 here.
assert_float32 = functools.partial(torch.testing.assert_close, atol=1e-5, rtol=0)


def random_images(count: int, camera: RadialCamera, channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, camera.height, camera.width, channels, generator=generator)


def random_poses(count: int, seed: int = 0) -> Tensor:
    base = look_at(60.0, 10.0).expand(count, 4)
    return compose(random_rotations("so3", seed, np.arange(count)), base)


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("nside", [1, 8, 16])
def test_parity_with_the_reference(camera: RadialCamera, nside: int) -> None:
    images, poses, centres = random_images(24, camera, 2), random_poses(24), pixel_centres(nside)
    expected, expected_valid = sample_reference(images, camera, poses, centres)
    values, valid = RotatedSampler(camera, centres)(images, poses)
    assert torch.equal(valid, expected_valid)
    assert_float32(values.double(), expected)


@pytest.mark.parametrize("size", [64, 65, 400])
def test_the_error_stays_below_1e_5_of_the_range_whatever_the_size(size: int) -> None:
    camera = Pinhole.from_angle_of_view(100.0, size, size)
    # A chessboard, the steepest image there is.
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    images = ((rows + columns) % 2).float()[None, ..., None].expand(4, -1, -1, -1)
    centres = pixel_centres(32)
    expected, _ = sample_reference(images, camera, random_poses(4), centres)
    values, _ = RotatedSampler(camera, centres)(images, random_poses(4))
    assert_float32(values.double(), expected)


def test_centres_in_any_order_and_number() -> None:
    camera, poses = CAMERAS[1], random_poses(6)
    images = random_images(6, camera)
    for centres in (pixel_centres(8, ordering="ring"), pixel_centres(8)[:701], CENTRES_FEW):
        expected, expected_valid = sample_reference(images, camera, poses, centres)
        values, valid = RotatedSampler(camera, centres)(images, poses)
        assert torch.equal(valid, expected_valid)
        assert_float32(values.double(), expected)


CENTRES_FEW = pixel_centres(1, [2])


@pytest.mark.parametrize("camera", RATIONAL)
def test_the_rational_way_and_the_general_one_agree(camera: RadialCamera) -> None:
    images, poses, centres = random_images(24, camera, 2), random_poses(24), pixel_centres(16)
    masks = torch.arange(camera.height * camera.width).reshape(1, camera.height, -1)
    fast, general = RotatedSampler(camera, centres), RotatedSampler(camera, centres)
    assert fast.rational
    general.rational = False
    (values, valid), (expected, expected_valid) = fast(images, poses), general(images, poses)
    assert torch.equal(valid, expected_valid)
    assert_float32(values, expected)
    masks = masks.expand(24, -1, -1)
    assert torch.equal(fast.labels(masks, poses), general.labels(masks, poses))


@pytest.mark.parametrize("camera", CAMERAS)
def test_masks_of_single_images(camera: RadialCamera) -> None:
    images, poses, centres = random_images(20, camera, 2), random_poses(20), pixel_centres(16)
    generator = torch.Generator().manual_seed(1)
    mask = torch.rand(images.shape[:3], generator=generator) < 0.6
    expected, expected_valid = sample_reference(images, camera, poses, centres, mask)
    sampler = RotatedSampler(camera, centres)
    values, valid = sampler(images, poses, mask)
    assert torch.equal(valid, expected_valid)
    # Sums in float32 over a weight of a quarter or more: four times the error.
    torch.testing.assert_close(values.double(), expected, atol=4e-5, rtol=0)
    hidden = torch.where(mask[..., None], images, torch.nan)
    assert torch.equal(sampler(hidden, poses, mask)[0], values)


@pytest.mark.parametrize("camera", BLIND)
def test_nothing_outside_the_field_enters(camera: RadialCamera) -> None:
    counts = valid_pixels(camera)
    assert counts.any() and not counts.all()
    images = torch.full((20, camera.height, camera.width, 1), torch.nan)
    images[10:] = torch.inf
    images[:, counts] = 0.7
    sampler, poses = RotatedSampler(camera, pixel_centres(16)), random_poses(20)
    values, valid = sampler(images, poses)
    assert valid.sum() > 1000
    torch.testing.assert_close(values[..., 0], 0.7 * valid.float(), atol=1e-6, rtol=0)
    masks = torch.where(counts, 1, 255).to(torch.uint8).expand(20, -1, -1)
    assert torch.equal(sampler.labels(masks, poses), valid.to(torch.uint8))


@pytest.mark.parametrize("number", [0, 6, 9])
def test_parity_with_shared_geometry(number: int) -> None:
    camera, centres, pose = CAMERAS[number], pixel_centres(16), random_poses(1)[0]
    images = random_images(10, camera)
    shared = SharedSampler(camera, pose, centres)
    values, valid = RotatedSampler(camera, centres)(images, pose.expand(10, 4))
    assert torch.equal(valid, shared.valid.expand(10, -1))
    assert_float32(values, shared(images))


@pytest.mark.parametrize("camera", [CAMERAS[0], CAMERAS[6], CAMERAS[9]])
def test_turning_the_camera_by_90_degrees_turns_the_map(camera: RadialCamera) -> None:
    group = QuarterTurns(16)
    sampler, images, poses = RotatedSampler(camera, pixel_centres(16)), random_images(
        8, camera
    ), random_poses(8)  # fmt: skip
    values, valid = sampler(images, poses)
    for turns in group:
        turn = matrix_to_quaternion(group.matrix(turns)).expand(8, 4)
        turned, turned_valid = sampler(images, compose(turn, poses))
        assert_float32(turned, group.act(turns, values))
        assert torch.equal(turned_valid[..., None], group.act(turns, valid[..., None]))


@pytest.mark.parametrize("number", [0, 4, 6, 9])
def test_a_sample_does_not_depend_on_its_batch(number: int) -> None:
    camera, poses = CAMERAS[number], random_poses(150)
    images, sampler = random_images(150, camera), RotatedSampler(camera, pixel_centres(16))
    values, valid = sampler(images, poses)
    for rows in (slice(0, 1), slice(37, 54), slice(120, 150)):
        some, some_valid = sampler(images[rows], poses[rows])
        assert torch.equal(some, values[rows]) and torch.equal(some_valid, valid[rows])


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_constant_stays_constant_and_ends_at_the_edge(camera: RadialCamera) -> None:
    images = torch.full((30, camera.height, camera.width, 1), 0.7)
    values, valid = RotatedSampler(camera, pixel_centres(16))(images, random_poses(30))
    torch.testing.assert_close(values[..., 0], 0.7 * valid.float(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("camera", [CAMERAS[0], CAMERAS[9]])
def test_threads_change_no_bit(camera: RadialCamera) -> None:
    poses, images = random_poses(64), random_images(64, camera)
    rotated = RotatedSampler(camera, pixel_centres(16))
    shared = SharedSampler(camera, poses[0], pixel_centres(16))
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append((rotated(images, poses)[0], shared(images)))
    finally:
        torch.set_num_threads(before)
    for values, maps in found[1:]:
        assert torch.equal(values, found[0][0]) and torch.equal(maps, found[0][1])


def test_8_bit_images_and_labels() -> None:
    camera, poses = CAMERAS[1], random_poses(5)
    masks = torch.randint(1, 200, (5, 9, 14), dtype=torch.uint8)
    centres = pixel_centres(8)
    sampler = RotatedSampler(camera, centres)
    expected, valid = sample_reference(masks[..., None], camera, poses, centres)
    values, _ = sampler(masks[..., None], poses)
    assert_float32(values.double() / 200, expected / 200)
    labels = sampler.labels(masks, poses)
    for n in range(5):
        shared = SharedSampler(camera, poses[n], centres)
        assert torch.equal(labels[n], shared.labels(masks[n : n + 1])[0])
    assert (labels[~valid] == 0).all() and (labels[valid] > 0).all()


def test_nothing_to_do() -> None:
    sampler = RotatedSampler(CAMERAS[0], pixel_centres(4))
    values, valid = sampler(torch.zeros(0, 28, 28, 1), torch.zeros(0, 4))
    assert values.shape == (0, 192, 1) and valid.shape == (0, 192)


def test_wrong_arguments_are_named() -> None:
    sampler = RotatedSampler(CAMERAS[0], pixel_centres(4))
    with pytest.raises(ValueError, match=r"rotations has shape \(3, 4\); expected \(2, 4\)"):
        sampler(torch.zeros(2, 28, 28, 1), torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"images has shape \(2, 28, 28\)"):
        sampler(torch.zeros(2, 28, 28), torch.zeros(2, 4))
