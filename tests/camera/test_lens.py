"""What holds of every lens: the round trip, the field's end, derivatives, sizes."""

from __future__ import annotations

import dataclasses
import functools
import math

import pytest
import torch
from torch import Tensor

from geocore.camera.lens import RadialCamera, valid_pixels
from geocore.camera.models import Equidistant, Pinhole, Stereographic
from geocore.testing import assert_parity
from tests.camera.cameras import FRONT, LENSES, NAMES, direction, image_points, rim_points

assert_pixels = functools.partial(torch.testing.assert_close, atol=1e-9, rtol=0)
every_lens = pytest.mark.parametrize("camera", LENSES, ids=NAMES)


@every_lens
def test_round_trip_over_the_whole_field(camera: RadialCamera) -> None:
    u, v = image_points(camera)
    seen = camera.sees(u, v)
    assert seen.any()
    assert_round_trip(camera, u[seen], v[seen])
    if camera.max_radius < 1e6:  # else there is no rim
        assert_round_trip(camera, *rim_points(camera))


def test_round_trip_of_the_front_camera_at_full_size() -> None:
    assert_round_trip(FRONT, *(points.flatten() for points in image_points(FRONT, 3.5)))
    assert_round_trip(FRONT, *rim_points(FRONT))


def assert_round_trip(camera: RadialCamera, u: Tensor, v: Tensor) -> None:
    directions = camera.unproject(u, v)
    ones = torch.ones(directions.shape[:-1], dtype=torch.float64)
    torch.testing.assert_close(directions.norm(dim=-1), ones, atol=1e-12, rtol=0)
    found_u, found_v, in_front = camera.project(directions)
    assert in_front.all()
    assert_pixels(found_u, u)
    assert_pixels(found_v, v)


@every_lens
def test_a_direction_goes_to_its_radius_and_comes_back(camera: RadialCamera) -> None:
    for theta in (0.0, 1e-13, 1e-7, 0.2, 0.6, min(camera.max_angle - 1e-3, 2.0)):
        point = direction(theta, 2.2)
        u, v, in_front = camera.project(point)
        radius = float(camera.radius(torch.tensor(theta, dtype=torch.float64)))
        c_u, c_v = camera.principal_point
        assert in_front
        assert float(u) == pytest.approx(c_u + radius * math.cos(2.2), abs=1e-9)
        assert float(v) == pytest.approx(c_v + camera.aspect * radius * math.sin(2.2), abs=1e-9)
        torch.testing.assert_close(camera.unproject(u, v), point, atol=1e-12, rtol=0)


@every_lens
def test_slope_is_the_derivative_of_radius(camera: RadialCamera) -> None:
    theta = torch.linspace(0.0, camera.max_angle - 0.1, 50).double().requires_grad_()
    (expected,) = torch.autograd.grad(camera.radius(theta).sum(), theta)
    torch.testing.assert_close(camera.slope(theta), expected, atol=0, rtol=1e-12)
    assert (expected > 0).all()


@every_lens
def test_newtons_inverse_and_the_analytic_one_agree(camera: RadialCamera) -> None:
    """Values and derivatives; a short way inside the rim, where some slopes are 0."""
    if camera.max_radius > 1e6:  # as near as rounding gets to a radius without bound
        camera = dataclasses.replace(camera, limit=70.0)
    radius = torch.linspace(0.0, 0.999 * camera.max_radius, 200, dtype=torch.float64)
    assert_parity(
        camera.angle, functools.partial(RadialCamera.angle, camera), radius, atol=1e-12, rtol=1e-9
    )  # fmt: skip


@every_lens
def test_nothing_beyond_the_field_has_an_image(camera: RadialCamera) -> None:
    inside, outside = camera.max_angle - 1e-6, camera.max_angle + 1e-6
    assert camera.project(direction(inside, 1.0))[2]
    if outside < math.pi:
        assert not camera.project(direction(outside, 1.0))[2]
    straight_behind = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)
    assert not camera.project(straight_behind)[2]


@every_lens
def test_what_the_lens_does_not_see_gets_the_direction_at_the_rim(camera: RadialCamera) -> None:
    c_u, c_v = camera.principal_point
    u = torch.tensor([c_u + 3 * min(camera.max_radius, 1e3)], dtype=torch.float64)
    v = torch.tensor([c_v], dtype=torch.float64)
    x, _, z = camera.unproject(u, v)[0].tolist()
    if camera.max_radius > 1e6:
        assert camera.sees(u, v)
        return
    assert not camera.sees(u, v)
    # Where the radius stops to rise, its rounding moves the angle by the root of 1e-16.
    assert math.atan2(x, z) == pytest.approx(camera.max_angle, abs=1e-7)


@every_lens
def test_valid_pixels_are_those_that_come_back(camera: RadialCamera) -> None:
    v, u = torch.meshgrid(
        torch.arange(camera.height).double(), torch.arange(camera.width).double(), indexing="ij"
    )
    found_u, found_v, in_front = camera.project(camera.unproject(u, v))
    returns = in_front & (torch.hypot(found_u - u, found_v - v) < 1e-6)
    assert torch.equal(valid_pixels(camera), returns)
    narrow = [LENSES[number] for number in (2, 5, 7, 10, 11, 12)]
    assert bool(returns.all()) == (camera not in narrow)


@every_lens
def test_reach_is_the_furthest_that_the_image_sees(camera: RadialCamera) -> None:
    x, y, z = camera.unproject(*image_points(camera)).unbind(-1)
    furthest = float(torch.atan2(torch.hypot(x, y), z).max())
    assert camera.reach == pytest.approx(furthest, abs=1e-12)


@every_lens
def test_the_image_covers_its_edges_and_nothing_beyond(camera: RadialCamera) -> None:
    width, height = camera.width, camera.height
    u = torch.tensor([-0.5, width - 0.5, -0.501, width - 0.499, 1.0, 1.0])
    v = torch.tensor([-0.5, height - 0.5, 1.0, 1.0, -0.501, height - 0.499])
    found = camera.covers(u, v, torch.ones(6, dtype=torch.bool))
    assert found.tolist() == [True, True, False, False, False, False]
    assert not camera.covers(u, v, torch.zeros(6, dtype=torch.bool)).any()


@every_lens
def test_project_and_unproject_are_differentiable(camera: RadialCamera) -> None:
    """On the axis and at the principal point too, where an angle about the axis is not."""
    furthest = 0.9 * min(camera.max_angle, 2.0)
    points = [direction(theta, 0.7) for theta in (0.0, 0.02, 0.5, furthest)]
    directions = torch.stack(points).requires_grad_()
    # Steps of 1e-6 leave an error of their square, times third derivatives.
    assert torch.autograd.gradcheck(lambda d: camera.project(d)[:2], directions, atol=1e-5)
    u, v, _ = camera.project(directions.detach())
    flat = (u.clone().requires_grad_(), v.clone().requires_grad_())
    assert torch.autograd.gradcheck(camera.unproject, flat, atol=1e-5)
    off_axis = tuple(entry.detach()[1:].requires_grad_() for entry in flat)
    assert torch.autograd.gradgradcheck(camera.unproject, off_axis, atol=1e-4)


@every_lens
@pytest.mark.parametrize("size", [(15, 21), (96, 64)])
def test_resizing_moves_the_points_with_the_image(
    camera: RadialCamera, size: tuple[int, int]
) -> None:
    resized = camera.resized(*size)
    u, v = image_points(camera, 1.5)
    seen = camera.sees(u, v)
    directions = camera.unproject(u[seen], v[seen])
    found_u, found_v, _ = resized.project(directions)
    assert_pixels(found_u, (u[seen] + 0.5) * size[1] / camera.width - 0.5)
    assert_pixels(found_v, (v[seen] + 0.5) * size[0] / camera.height - 0.5)
    assert resized.max_angle == pytest.approx(camera.max_angle, abs=1e-9)


def test_resizing_keeps_square_pixels_square() -> None:
    assert FRONT.resized(483, 640).aspect == 1.0
    assert Pinhole.from_angle_of_view(90.0, 300, 100).resized(99, 33).aspect == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 0}, "height is 0, width 4; expected whole numbers of pixels, at least one"),
        ({"offset": (0.0, math.nan)}, r"offset is \(0.0, nan\); expected two finite numbers"),
        ({"aspect": 0.0}, "aspect is 0.0; expected a finite number above 0"),
        ({"limit": 181.0}, "limit is 181.0; expected degrees above 0 and at most 180"),
        ({"focal": -1.0}, "focal is -1.0; expected a finite number of pixels above 0"),
    ],
)
def test_wrong_arguments_are_named(changes: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"height": 3, "width": 4, "focal": 2.0, **changes}
    for model in (Pinhole, Stereographic, Equidistant):
        with pytest.raises(ValueError, match=message):
            model(**arguments)  # type: ignore[arg-type]
