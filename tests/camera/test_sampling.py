"""Shared geometry: analytic images, the reference, labels, validity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.camera.planar import PlanarCamera, look_at
from geocore.camera.sampling import (
    SharedSampler,
    bilinear_points,
    containing_pixel,
    sample_reference,
)
from geocore.healpix.grid import pixel_centres
from geocore.so3.rotation import quaternion_to_matrix

CAMERAS = [
    PlanarCamera("stereographic", 100.0, 28, 28),
    PlanarCamera("gnomonic", 80.0, 9, 14),
    PlanarCamera("stereographic", 300.0, 12, 8),
    PlanarCamera("gnomonic", 90.0, 1, 1),
]
CENTRES = pixel_centres(16)
BASE = look_at(70.0, 45.0)


def random_images(count: int, camera: PlanarCamera, channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, camera.height, camera.width, channels, generator=generator)


def image_coordinates(camera: PlanarCamera, rotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return camera.project(CENTRES @ quaternion_to_matrix(rotation))


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("channels", [1, 3])
def test_parity_with_the_reference(camera: PlanarCamera, channels: int) -> None:
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
def test_a_constant_stays_constant_and_ends_at_the_edge(camera: PlanarCamera) -> None:
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
    camera = PlanarCamera("gnomonic", 90.0, 3, 4)
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
    camera = PlanarCamera("gnomonic", 90.0, 3, 4)
    edges = torch.tensor([-0.5, 0.49, 0.5, 3.5])
    assert containing_pixel(camera, edges, torch.zeros(4)).tolist() == [0, 0, 1, 3]
    assert containing_pixel(camera, torch.zeros(3), torch.tensor([-0.5, 1.5, 2.5])).tolist() == [
        0, 8, 8,
    ]  # fmt: skip


def test_an_image_behind_the_chosen_faces_gives_nothing() -> None:
    centres = pixel_centres(8, [6])
    sampler = SharedSampler(CAMERAS[1], look_at(90.0, 0.0), centres)
    assert not sampler.valid.any()
    assert torch.equal(sampler(random_images(2, CAMERAS[1])), torch.zeros(2, 64, 1))


def test_wrong_arguments_are_named() -> None:
    sampler = SharedSampler(CAMERAS[0], BASE, CENTRES)
    with pytest.raises(ValueError, match=r"images has shape \(1, 28, 27, 1\); expected \(n, 28"):
        sampler(torch.zeros(1, 28, 27, 1))
    with pytest.raises(ValueError, match=r"rotation has shape \(1, 4\); expected \(4,\)"):
        SharedSampler(CAMERAS[0], BASE[None], CENTRES)
    with pytest.raises(ValueError, match=r"centres is torch.float32 of shape \(3072, 3\)"):
        SharedSampler(CAMERAS[0], BASE, CENTRES.float())
    with pytest.raises(ValueError, match="expected unit vectors"):
        SharedSampler(CAMERAS[0], BASE, 2 * CENTRES)
