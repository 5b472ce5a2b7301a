"""The closed lenses: their defining formulas, and what each of them keeps."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import pytest
import torch

from geocore.camera.models import Equidistant, Equisolid, FocalCamera, Pinhole, Stereographic
from geocore.so3.sampling import random_rotations

MODELS: list[tuple[type[FocalCamera], Callable[[float], float]]] = [
    (Pinhole, math.tan),
    (Stereographic, lambda theta: 2 * math.tan(theta / 2)),
    (Equidistant, lambda theta: theta),
    (Equisolid, lambda theta: 2 * math.sin(theta / 2)),
]
assert_exact = functools.partial(torch.testing.assert_close, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("model", "formula"), MODELS)
def test_radius_follows_the_formula(
    model: type[FocalCamera], formula: Callable[[float], float]
) -> None:
    camera = model(20, 30, 17.0)
    for theta in (0.0, 0.3, 1.2):
        found = float(camera.radius(torch.tensor(theta, dtype=torch.float64)))
        assert found == pytest.approx(17 * formula(theta), abs=1e-13)


@pytest.mark.parametrize(("model", "_"), MODELS)
@pytest.mark.parametrize("size", [(20, 31), (31, 20)])
def test_the_angle_of_view_spans_the_width_from_edge_to_edge(
    model: type[FocalCamera], _: object, size: tuple[int, int]
) -> None:
    camera = model.from_angle_of_view(130.0, *size)
    middle = torch.tensor((camera.height - 1) / 2, dtype=torch.float64)
    half = math.radians(130.0) / 2
    for u, sign in ((-0.5, -1.0), (camera.width - 0.5, 1.0)):
        found = camera.unproject(torch.tensor(u, dtype=torch.float64), middle)
        expected = torch.tensor([sign * math.sin(half), 0, math.cos(half)], dtype=torch.float64)
        assert_exact(found, expected)


def test_pinhole_takes_great_circles_to_lines() -> None:
    angle = torch.linspace(-0.6, 0.6, 9, dtype=torch.float64)
    circle = torch.stack([angle.sin(), 0.3 * angle.cos(), angle.cos()], dim=-1)
    circle = circle / circle.norm(dim=-1, keepdim=True)
    _, v, _ = Pinhole.from_angle_of_view(100.0, 28, 28).project(circle)
    assert_exact(v, v[:1].expand_as(v))


def test_stereographic_keeps_angles_and_equisolid_keeps_areas() -> None:
    point = torch.tensor([3.0, 5.0], dtype=torch.float64)

    def metric(camera: FocalCamera) -> torch.Tensor:
        jacobian = torch.autograd.functional.jacobian(
            lambda place: camera.unproject(place[0], place[1]), point
        )
        return torch.as_tensor(jacobian.T @ jacobian)

    conformal = metric(Stereographic.from_angle_of_view(100.0, 28, 28))
    assert_exact(conformal, conformal[0, 0] * torch.eye(2).double())
    # Steradians a pixel: 1 / focal^2 everywhere.
    area = torch.linalg.det(metric(Equisolid(28, 28, 11.0))).sqrt()
    assert float(area) == pytest.approx(1 / 11.0**2, rel=1e-12)


def test_what_lies_behind_the_camera_is_not_in_front() -> None:
    back = torch.tensor([[0.1, 0, -1.0], [0, 0, -1.0], [1.0, 0, 0]], dtype=torch.float64)
    back = back / back.norm(dim=1, keepdim=True)
    expected = {
        Pinhole: [False, False, False],
        Stereographic: [True, False, True],
        Equidistant: [True, False, True],
        Equisolid: [True, False, True],
    }
    for model, seen in expected.items():
        camera = model.from_angle_of_view(100.0, 28, 28)
        assert camera.project(back)[2].tolist() == seen
        assert not camera.covers(*camera.project(back)).any()


@pytest.mark.parametrize("model", [Pinhole, Stereographic])
def test_the_homogeneous_matrix_is_the_projection(model: type[Pinhole | Stereographic]) -> None:
    camera = model(20, 31, 14.0, offset=(1.5, -2.0), aspect=1.1)
    points = random_rotations("so3", 0, torch.arange(200).numpy())[:, :3]
    points = points / points.norm(dim=1, keepdim=True)
    matrix = camera.homogeneous()
    a, b, c = (points @ matrix[:, :3].T + matrix[:, 3]).unbind(-1)
    ahead = c > 0.05
    x, y, z = points[ahead].unbind(-1)
    theta, across = torch.atan2(torch.hypot(x, y), z), torch.hypot(x, y)
    u = camera.radius(theta) * x / across + 1.5 + 15.0
    v = 1.1 * camera.radius(theta) * y / across - 2.0 + 9.5
    torch.testing.assert_close((a / c)[ahead], (u + 0.5) / 15.5 - 1, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close((b / c)[ahead], (v + 0.5) / 10.0 - 1, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(
    ("model", "angle", "message"),
    [
        (Pinhole, 180.0, "angle_of_view is 180.0; expected degrees above 0 and below 180 for"),
        (Stereographic, 360.0, "expected degrees above 0 and below 360 for the stereographic"),
        (Equidistant, 360.1, "expected degrees above 0 and at most 360 for the equidistant"),
        (Equisolid, 0.0, "angle_of_view is 0.0; expected degrees above 0"),
        (Pinhole, math.nan, "angle_of_view is nan"),
    ],
)
def test_angles_of_view_that_cannot_be_are_named(
    model: type[FocalCamera], angle: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        model.from_angle_of_view(angle, 3, 3)
