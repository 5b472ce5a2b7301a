"""The pictures: what a tilt does, what range means, what lies outside the lens."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from geocore.camera.lens import valid_pixels
from geocore.camera.models import Equidistant
from geocore.camera.pose import tilted
from geocore.data.scenes.classes import BUILDING, PAVEMENT, ROAD, SKY
from geocore.data.scenes.intersect import Axes
from geocore.data.scenes.render import UPRIGHT, default_camera, render
from geocore.data.scenes.solids import SolidList
from geocore.data.scenes.trace import closest_reference
from geocore.data.scenes.world import draw_scene
from geocore.so3.rotation import quaternion_to_matrix
from tests.data.scenes.simple import simple_scene

CAMERA = Equidistant.from_angle_of_view(190.0, 48, 64)
SQUARE = Equidistant.from_angle_of_view(190.0, 49, 49)


def turn(pitch: float, roll: float, yaw: float) -> torch.Tensor:
    return tilted(*(torch.tensor(angle, dtype=torch.float64) for angle in (pitch, roll, yaw)))


def test_range_of_a_sphere_and_of_the_ground() -> None:
    solids = SolidList()
    solids.ellipsoid(BUILDING, (20.0, 0.0, 1.5), (3.0, 3.0, 3.0), (0.5, 0.5, 0.5))
    seen = render(simple_scene(solids), SQUARE, samples=1)
    middle = 24
    assert seen.depth[middle, middle] == pytest.approx(17.0, abs=1e-4)
    assert seen.label[middle, middle] == BUILDING
    # Straight ahead of the sphere's edge: an angle of asin(3 / 20) from the axis.
    angle = np.radians(190.0 / 49) * np.arange(25)
    hidden = np.sin(angle[angle < 1]) * 20 < 3
    assert (seen.label[middle, middle:][: len(hidden)] == BUILDING).tolist() == hidden.tolist()
    # Down the middle column: the road, at height / sin(angle below the horizon).
    down = angle[angle < math.pi / 2][5:]
    column = slice(middle + 5, middle + 5 + len(down))
    np.testing.assert_allclose(seen.depth[column, middle], 1.5 / np.sin(down), rtol=1e-5)
    assert (seen.label[column, middle] == ROAD).all()
    # To the right at eye height: nothing.
    assert seen.label[middle, 40] == SKY
    assert seen.depth[middle, 40] == 0


def test_left_is_left_and_up_is_up() -> None:
    solids = SolidList()
    solids.box(BUILDING, (10.0, 6.0, 4.0), (1.0, 1.0, 1.0), (0.5, 0.5, 0.5))
    rows, columns = np.nonzero(render(simple_scene(solids), CAMERA, samples=1).label == BUILDING)
    assert rows.max() < 23.5
    assert columns.max() < 31.5


@pytest.mark.parametrize("angles", [(30.0, 0.0, 0.0), (-20.0, 45.0, 10.0), (0.0, 0.0, 180.0)])
def test_a_tilted_camera_sees_the_same_along_the_same_direction(
    angles: tuple[float, float, float],
) -> None:
    """Labels and range of pixel ``d`` under a tilt R are those of direction ``R d``, bit by bit."""
    scene, tilt = draw_scene(21), turn(*angles)
    seen = render(scene, CAMERA, tilt, samples=1)
    v, u = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    own = CAMERA.unproject(u.double(), v.double())
    matrix = scene.rotation() @ quaternion_to_matrix(tilt).numpy()
    x, y, z = own.numpy().transpose(2, 0, 1)
    world = [(a * x + b * y + c * z).astype(np.float32) for a, b, c in matrix.tolist()]
    directions: Axes = (world[0], world[1], world[2])
    hits = closest_reference(scene, directions)
    np.testing.assert_array_equal(seen.label, hits.labels(scene.solids))
    np.testing.assert_array_equal(seen.depth, hits.depth())


def test_a_quarter_roll_turns_the_picture() -> None:
    """Roll by 90 degrees maps centres of a square image to centres: label and range are turned.

    Directions agree to rounding only, so a pixel on an edge may change: at most three do.
    """
    scene = draw_scene(22)
    first = render(scene, SQUARE, samples=1)
    second = render(scene, SQUARE, turn(0.0, 90.0, 0.0), samples=1)
    # The camera leans to the right, so the picture turns to the left (anticlockwise).
    assert (np.rot90(first.label) != second.label).sum() <= 3
    near = np.isclose(np.rot90(first.depth), second.depth, rtol=1e-4)
    assert (~near).sum() <= 3
    assert (first.label != second.label).mean() > 0.3


def test_a_half_yaw_looks_back() -> None:
    solids = SolidList()
    solids.box(BUILDING, (-10.0, 0.0, 2.0), (1.0, 3.0, 2.0), (0.5, 0.5, 0.5))
    scene = simple_scene(solids)
    assert not (render(scene, CAMERA, samples=1).label == BUILDING).any()
    back = render(scene, SQUARE, turn(0.0, 0.0, 180.0), samples=1)
    assert back.label[24, 24] == BUILDING
    assert back.depth[24, 24] == pytest.approx(9.0, abs=1e-4)


@pytest.mark.parametrize("samples", [1, 4])
def test_outside_the_lens_nothing_is_seen(samples: int) -> None:
    camera = Equidistant.from_angle_of_view(190.0, 48, 64, limit=70.0)
    seen = render(draw_scene(23), camera, samples=samples)
    valid = valid_pixels(camera).numpy()
    assert 0.2 < valid.mean() < 0.8
    np.testing.assert_array_equal(seen.valid, valid)
    for values in (seen.image, seen.label, seen.depth):
        assert not values[~valid].any()
    assert (seen.image[valid].max(axis=-1) > 0).all()
    assert (seen.label[valid] != SKY).mean() > 0.5
    whole = render(draw_scene(23), Equidistant.from_angle_of_view(190.0, 48, 64), samples=samples)
    np.testing.assert_array_equal(seen.label[valid], whole.label[valid])
    np.testing.assert_array_equal(seen.depth[valid], whole.depth[valid])


def test_types_and_shapes() -> None:
    seen = render(draw_scene(24), default_camera(30, 44))
    assert seen.image.shape == (30, 44, 3)
    assert seen.label.shape == seen.depth.shape == (30, 44)
    assert [str(v.dtype) for v in (seen.image, seen.label, seen.depth)] == [
        "uint8",
        "uint8",
        "float32",
    ]
    assert seen.valid.all()


def test_the_same_picture_every_time_and_noise_of_its_own_for_each_pose() -> None:
    scene = draw_scene(25)
    first, second = render(scene, CAMERA), render(draw_scene(25), CAMERA)
    upright = render(scene, CAMERA, torch.tensor(UPRIGHT, dtype=torch.float64))
    for seen in (second, upright):
        np.testing.assert_array_equal(first.image, seen.image)
        np.testing.assert_array_equal(first.label, seen.label)
        np.testing.assert_array_equal(first.depth, seen.depth)
    other = render(draw_scene(26), CAMERA)
    assert (first.label != other.label).mean() > 0.05
    whole_turn = render(scene, CAMERA, turn(0.0, 1e-6, 0.0))  # the same view, other noise
    assert (whole_turn.label == first.label).mean() > 0.99
    assert 0.2 < (whole_turn.image != first.image).mean() < 1


def test_labels_and_range_do_not_depend_on_the_samples_of_colour() -> None:
    scene = draw_scene(27)
    one, four, nine = (render(scene, CAMERA, samples=count) for count in (1, 4, 9))
    for seen in (four, nine):
        np.testing.assert_array_equal(one.label, seen.label)
        np.testing.assert_array_equal(one.depth, seen.depth)
    # More samples come nearer to what many give.
    best = render(scene, CAMERA, samples=64).image.astype(float)
    errors = [np.abs(seen.image - best).mean() for seen in (one, four, nine)]
    assert errors[0] > errors[1] > errors[2]


def test_the_default_camera_is_a_fisheye() -> None:
    camera = default_camera(240, 320)
    left = camera.unproject(torch.tensor(-0.5).double(), torch.tensor(119.5).double())
    assert 2 * math.degrees(math.acos(float(left[2]))) == pytest.approx(190, abs=4)
    assert (camera.height, camera.width, camera.aspect, camera.offset) == (240, 320, 1.0, (0, 0))


def test_what_is_refused() -> None:
    scene = simple_scene()
    with pytest.raises(ValueError, match=r"tilt is \[2.0, 0.0, 0.0, 0.0\]; expected a unit"):
        render(scene, CAMERA, torch.tensor([2.0, 0.0, 0.0, 0.0]))
    with pytest.raises(ValueError, match="samples is 3"):
        render(scene, CAMERA, samples=3)
    assert (render(scene, CAMERA, samples=1).label == PAVEMENT).any()
