"""Shared geometry: analytic images, the reference, labels, validity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.camera.lens import RadialCamera, valid_pixels
from geocore.camera.models import Equidistant, Equisolid, Pinhole, Stereographic
from geocore.camera.polynomial import RadialPolynomial
from geocore.camera.pose import look_at
from geocore.camera.sampling import (
    SharedSampler,
    bilinear_points,
    containing_pixel,
    sample_reference,
)
from geocore.healpix.grid import pixel_centres
from geocore.so3.rotation import quaternion_to_matrix
from tests.camera.cameras import FRONT

# Of the last three lenses some pixels see nothing.
CAMERAS: list[RadialCamera] = [
    Stereographic.from_angle_of_view(100.0, 28, 28),
    Pinhole.from_angle_of_view(80.0, 9, 14),
    Stereographic.from_angle_of_view(300.0, 12, 8),
    Pinhole.from_angle_of_view(90.0, 1, 1),
    FRONT.resized(24, 32),
    Equisolid(12, 16, 3.5, offset=(0.5, -0.5)),
    Equidistant(12, 16, 6.0, limit=60.0),
    RadialPolynomial(30, 40, (20.0, 0.0, -3.0), offset=(1.0, 0.5), aspect=0.9),
]
BLIND = CAMERAS[-3:]
CENTRES = pixel_centres(16)
BASE = look_at(70.0, 45.0)


def random_images(count: int, camera: RadialCamera, channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, camera.height, camera.width, channels, generator=generator)


def random_mask(count: int, camera: RadialCamera) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, camera.height, camera.width, generator=generator) < 0.6


def image_coordinates(camera: RadialCamera, rotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return camera.project(CENTRES @ quaternion_to_matrix(rotation))


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("channels", [1, 3])
def test_parity_with_the_reference(camera: RadialCamera, channels: int) -> None:
    images = random_images(5, camera, channels)
    expected, valid = sample_reference(images, camera, BASE.expand(5, 4), CENTRES)
    sampler = SharedSampler(camera, BASE, CENTRES)
    assert torch.equal(sampler.valid, valid[0])
    torch.testing.assert_close(sampler(images).double(), expected, atol=1e-6, rtol=0)
    exact = SharedSampler(camera, BASE, CENTRES, torch.float64)
    torch.testing.assert_close(exact(images.double()), expected, atol=1e-14, rtol=0)


def test_parity_with_scipy() -> None:
    """``map_coordinates(order=1, mode="nearest")`` clamps to the frame of centres as we do."""
    ndimage = pytest.importorskip("scipy.ndimage")
    camera = CAMERAS[1]
    image = random_images(1, camera)
    u, v, in_front = image_coordinates(camera, BASE)
    inside = camera.covers(u, v, in_front)
    place = np.stack([v[inside].numpy(), u[inside].numpy()])
    expected = ndimage.map_coordinates(image[0, ..., 0].double(), place, order=1, mode="nearest")
    found = SharedSampler(camera, BASE, CENTRES)(image)[0, :, 0]
    np.testing.assert_allclose(found[inside].double(), expected, atol=1e-6, rtol=0)
    assert (found[~inside] == 0).all()


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_constant_stays_constant_and_ends_at_the_edge(camera: RadialCamera) -> None:
    sampler = SharedSampler(camera, BASE, CENTRES)
    found = sampler(torch.full((2, camera.height, camera.width, 1), 0.7))[..., 0]
    torch.testing.assert_close(found, 0.7 * sampler.valid.expand(2, -1).float(), atol=1e-6, rtol=0)


def test_an_affine_image_is_interpolated_exactly_between_the_outer_centres() -> None:
    camera = CAMERAS[0]
    v, u = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    image = (2 + 3 * u - 5 * v)[None, ..., None].double()
    found = SharedSampler(camera, BASE, CENTRES, torch.float64)(image)[0, :, 0]
    u, v, in_front = image_coordinates(camera, BASE)
    within = in_front & (u >= 0) & (u <= 27) & (v >= 0) & (v <= 27)
    assert within.sum() > 500
    torch.testing.assert_close(found[within], (2 + 3 * u - 5 * v)[within], atol=1e-11, rtol=0)


def test_a_pixel_centre_gives_that_pixel_and_the_border_its_nearest() -> None:
    camera = Pinhole.from_angle_of_view(90.0, 3, 4)
    image = torch.arange(12.0).reshape(3, 4)
    for (u, v), expected in {
        (0.0, 0.0): 0.0, (3.0, 2.0): 11.0, (2.0, 1.0): 6.0,
        (-0.5, -0.5): 0.0, (3.5, 2.5): 11.0, (-0.25, 1.5): 6.0, (1.5, 2.4): 9.5,
    }.items():  # fmt: skip
        pixels, weights = bilinear_points(camera, torch.tensor([u]), torch.tensor([v]))
        assert float((image.reshape(-1)[pixels] * weights).sum()) == expected


def test_labels_are_those_of_the_containing_pixel() -> None:
    camera = CAMERAS[1]
    masks = torch.arange(9 * 14, dtype=torch.uint8).reshape(1, 9, 14) + 1
    sampler = SharedSampler(camera, BASE, CENTRES)
    found = sampler.labels(torch.cat([masks, masks + 5]))
    u, v, _ = image_coordinates(camera, BASE)
    for p in range(len(CENTRES)):
        label = 0
        if sampler.valid[p]:
            column, row = int(torch.floor(u[p] + 0.5)), int(torch.floor(v[p] + 0.5))
            label = int(masks[0, row, column])
        assert found[:, p].tolist() == [label, label + 5 if label else 0]


def test_edges_belong_to_the_outermost_pixels() -> None:
    camera = Pinhole.from_angle_of_view(90.0, 3, 4)
    edges = torch.tensor([-0.5, 0.49, 0.5, 3.5])
    assert containing_pixel(camera, edges, torch.zeros(4)).tolist() == [0, 0, 1, 3]
    assert containing_pixel(camera, torch.zeros(3), torch.tensor([-0.5, 1.5, 2.5])).tolist() == [
        0, 8, 8,
    ]  # fmt: skip


@pytest.mark.parametrize("camera", BLIND)
def test_nothing_outside_the_field_enters(camera: RadialCamera) -> None:
    """Not even where it is infinite, or no number: a weight of 0 would not keep that out."""
    counts = valid_pixels(camera)
    assert counts.any() and not counts.all()
    images = torch.full((2, camera.height, camera.width, 1), torch.nan)
    images[1] = torch.inf
    images[:, counts] = 0.7
    sampler = SharedSampler(camera, BASE, CENTRES)
    assert sampler.valid.sum() > 20
    found = sampler(images)[..., 0]
    torch.testing.assert_close(found, 0.7 * sampler.valid.expand(2, -1).float(), atol=1e-6, rtol=0)
    masks = torch.where(counts, 1, 255).to(torch.uint8)[None]
    assert torch.equal(sampler.labels(masks)[0], sampler.valid.to(torch.uint8))


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_point_is_valid_where_its_containing_pixel_counts(camera: RadialCamera) -> None:
    u, v, in_front = image_coordinates(camera, BASE)
    inside = camera.covers(u, v, in_front)
    row, column = ((edge + 0.5).floor().long() for edge in (v, u))
    expected = inside.clone()
    for p in inside.nonzero()[:, 0].tolist():
        expected[p] = valid_pixels(camera)[row[p], column[p]]
    assert torch.equal(SharedSampler(camera, BASE, CENTRES).valid, expected)


@pytest.mark.parametrize("camera", CAMERAS)
def test_masks_of_single_images(camera: RadialCamera) -> None:
    images, mask = random_images(6, camera, 2), random_mask(6, camera)
    poses = BASE.expand(6, 4)
    expected, expected_valid = sample_reference(images, camera, poses, CENTRES, mask)
    exact = SharedSampler(camera, BASE, CENTRES, torch.float64)
    values, valid = exact.masked(images.double(), mask)
    assert torch.equal(valid, expected_valid)
    # The containing pixel has at least a quarter of the weight: what is divided by is no rounding.
    torch.testing.assert_close(values, expected, atol=1e-14, rtol=0)
    hidden = torch.where(mask[..., None], images.double(), torch.nan)
    assert torch.equal(exact.masked(hidden, mask)[0], values)
    whole, whole_valid = exact.masked(images.double(), torch.ones_like(mask))
    torch.testing.assert_close(whole, exact(images.double()), atol=1e-14, rtol=0)
    assert torch.equal(whole_valid, exact.valid.expand(6, -1))


def test_depths_are_sampled_as_labels_are() -> None:
    camera = CAMERAS[4]
    depths = 100 * random_images(3, camera)[..., 0]
    sampler = SharedSampler(camera, BASE, CENTRES)
    found = sampler.labels(depths)
    assert found.dtype == torch.float32
    place = sampler.labels(torch.arange(24 * 32).reshape(1, 24, 32))[0]
    assert torch.equal(found[:, sampler.valid], depths.flatten(1)[:, place[sampler.valid]])
    assert (found[:, ~sampler.valid] == 0).all()


def test_an_image_behind_the_chosen_faces_gives_nothing() -> None:
    centres = pixel_centres(8, [6])
    sampler = SharedSampler(CAMERAS[1], look_at(90.0, 0.0), centres)
    assert not sampler.valid.any()
    assert torch.equal(sampler(random_images(2, CAMERAS[1])), torch.zeros(2, 64, 1))


def test_wrong_arguments_are_named() -> None:
    sampler = SharedSampler(CAMERAS[0], BASE, CENTRES)
    with pytest.raises(ValueError, match=r"images has shape \(1, 28, 27, 1\); expected \(n, 28"):
        sampler(torch.zeros(1, 28, 27, 1))
    with pytest.raises(ValueError, match=r"mask has shape \(1, 28, 27\); expected \(1, 28, 28\)"):
        sampler.masked(torch.zeros(1, 28, 28, 1), torch.ones(1, 28, 27, dtype=torch.bool))
    with pytest.raises(TypeError, match=r"mask is torch.uint8; expected torch.bool"):
        sampler.masked(torch.zeros(1, 28, 28, 1), torch.ones(1, 28, 28, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"rotation has shape \(1, 4\); expected \(4,\)"):
        SharedSampler(CAMERAS[0], BASE[None], CENTRES)
    with pytest.raises(ValueError, match=r"centres is torch.float32 of shape \(3072, 3\)"):
        SharedSampler(CAMERAS[0], BASE, CENTRES.float())
    with pytest.raises(ValueError, match="expected unit vectors"):
        SharedSampler(CAMERAS[0], BASE, 2 * CENTRES)
