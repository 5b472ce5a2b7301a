"""The two projections: their defining formulas, their inverses, and where the camera looks."""

from __future__ import annotations

import functools
import math
from typing import Literal

import pytest
import torch

from geocore.camera.planar import PlanarCamera, look_at
from geocore.so3.rotation import quaternion_to_matrix

Projection = Literal["gnomonic", "stereographic"]
CAMERAS = [
    PlanarCamera("gnomonic", 100.0, 28, 28),
    PlanarCamera("gnomonic", 60.0, 20, 31),
    PlanarCamera("stereographic", 100.0, 28, 28),
    PlanarCamera("stereographic", 250.0, 30, 17),
]
assert_exact = functools.partial(torch.testing.assert_close, atol=1e-12, rtol=0)


def image_points(camera: PlanarCamera) -> tuple[torch.Tensor, torch.Tensor]:
    v = torch.linspace(-0.5, camera.height - 0.5, 2 * camera.height + 1, dtype=torch.float64)
    u = torch.linspace(-0.5, camera.width - 0.5, 2 * camera.width + 1, dtype=torch.float64)
    grid_v, grid_u = torch.meshgrid(v, u, indexing="ij")
    return grid_u, grid_v


@pytest.mark.parametrize("camera", CAMERAS)
def test_round_trip(camera: PlanarCamera) -> None:
    u, v = image_points(camera)
    directions = camera.unproject(u, v)
    assert_exact(directions.norm(dim=-1), torch.ones_like(u))
    found_u, found_v, in_front = camera.project(directions)
    assert in_front.all()
    assert_exact(found_u, u)
    assert_exact(found_v, v)


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_angle_of_view_spans_the_width_from_edge_to_edge(camera: PlanarCamera) -> None:
    middle = torch.tensor((camera.height - 1) / 2, dtype=torch.float64)
    half = math.radians(camera.angle_of_view) / 2
    for u, sign in ((-0.5, -1.0), (camera.width - 0.5, 1.0)):
        direction = camera.unproject(torch.tensor(u, dtype=torch.float64), middle)
        expected = torch.tensor([sign * math.sin(half), 0, math.cos(half)], dtype=torch.float64)
        assert_exact(direction, expected)


@pytest.mark.parametrize("camera", CAMERAS)
def test_radius_in_pixels_follows_the_formula(camera: PlanarCamera) -> None:
    theta, phi = torch.tensor(0.4, dtype=torch.float64), torch.tensor(2.2, dtype=torch.float64)
    direction = torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()])
    u, v, _ = camera.project(direction)
    half = math.radians(camera.angle_of_view) / 2
    gnomonic = camera.projection == "gnomonic"
    edge = math.tan(half) if gnomonic else math.tan(half / 2)
    radius = (math.tan(0.4) if gnomonic else math.tan(0.2)) / edge * camera.width / 2
    # Square pixels: the same scale along both axes, whatever the image's shape; v goes down.
    assert_exact(float(u), (camera.width - 1) / 2 + radius * math.cos(2.2))
    assert_exact(float(v), (camera.height - 1) / 2 + radius * math.sin(2.2))


def test_gnomonic_takes_great_circles_to_lines_and_stereographic_keeps_angles() -> None:
    angle = torch.linspace(-0.6, 0.6, 9, dtype=torch.float64)
    circle = torch.stack([angle.sin(), 0.3 * angle.cos(), angle.cos()], dim=-1)
    circle = circle / circle.norm(dim=-1, keepdim=True)
    _, v, _ = CAMERAS[0].project(circle)
    assert_exact(v, v[:1].expand_as(v))

    jacobian = torch.autograd.functional.jacobian(
        lambda point: CAMERAS[2].unproject(point[0], point[1]),
        torch.tensor([3.0, 5.0], dtype=torch.float64),
    )
    metric = jacobian.T @ jacobian
    assert_exact(metric, metric[0, 0] * torch.eye(2).double())


def test_what_lies_behind_the_camera_is_not_in_front() -> None:
    back = torch.tensor([[0.1, 0, -1.0], [0, 0, -1.0], [1.0, 0, 0]], dtype=torch.float64)
    back = back / back.norm(dim=1, keepdim=True)
    assert CAMERAS[0].project(back)[2].tolist() == [False, False, False]
    assert CAMERAS[2].project(back)[2].tolist() == [True, False, True]
    for camera in (CAMERAS[0], CAMERAS[2]):
        assert not camera.covers(*camera.project(back)).any()


@pytest.mark.parametrize("camera", CAMERAS)
def test_reach_is_the_furthest_point_of_the_image(camera: PlanarCamera) -> None:
    furthest = torch.acos(camera.unproject(*image_points(camera))[..., 2]).max()
    assert camera.reach == pytest.approx(float(furthest), abs=1e-12)


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_image_covers_its_edges_and_nothing_beyond(camera: PlanarCamera) -> None:
    width, height = camera.width, camera.height
    u = torch.tensor([-0.5, width - 0.5, -0.501, width - 0.499, 1.0, 1.0])
    v = torch.tensor([-0.5, height - 0.5, 1.0, 1.0, -0.501, height - 0.499])
    found = camera.covers(u, v, torch.ones(6, dtype=torch.bool))
    assert found.tolist() == [True, True, False, False, False, False]


@pytest.mark.parametrize(("colatitude", "longitude"), [(90, 45), (30, -70), (150, 200), (90, 0)])
def test_the_base_camera_looks_at_its_point_with_up_to_the_north(
    colatitude: float, longitude: float
) -> None:
    R = quaternion_to_matrix(look_at(colatitude, longitude))
    theta, phi = math.radians(colatitude), math.radians(longitude)
    entries = [math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta)]
    point = torch.tensor(entries, dtype=torch.float64)
    assert_exact(R[:, 2], point)
    north = torch.tensor([0.0, 0, 1], dtype=torch.float64)
    up = north - (north @ point) * point
    assert_exact(-R[:, 1], up / up.norm())
    west = torch.linalg.cross(point, north)
    assert_exact(R[:, 0], west / west.norm())


@pytest.mark.parametrize("pole", [0.0, 180.0])
def test_at_the_poles_up_is_the_limit_along_the_meridian(pole: float) -> None:
    near = abs(pole - 1e-5)
    limit = quaternion_to_matrix(look_at(near, 33.0))
    found = quaternion_to_matrix(look_at(pole, 33.0))
    torch.testing.assert_close(found, limit, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("projection", "angle", "size", "message"),
    [
        ("gnomonic", 180.0, 3, "angle_of_view is 180.0; expected degrees above 0 and below 180"),
        ("stereographic", 0.0, 3, "angle_of_view is 0.0; expected degrees above 0 and below 360"),
        ("fisheye", 90.0, 3, "projection is 'fisheye'; expected 'gnomonic' or 'stereographic'"),
        ("gnomonic", 90.0, 0, "height is 0, width 0; expected at least one pixel each"),
    ],
)
def test_wrong_arguments_are_named(
    projection: Projection, angle: float, size: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        PlanarCamera(projection, angle, size, size)
