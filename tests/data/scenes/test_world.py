"""What is drawn from a seed: the same each time, nothing on the camera, every class there."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from geocore.data.scenes.classes import BUILDING, CAR, CLASSES, PEDESTRIAN, POLE, TRAFFIC_SIGN
from geocore.data.scenes.render import default_camera, render
from geocore.data.scenes.seeds import scene_seed
from geocore.data.scenes.solids import Kind
from geocore.data.scenes.world import Scene, draw_scene, upright
from tests.data.scenes.simple import excess

SEEDS = [scene_seed(0, "train", number) for number in range(40)]


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw_scene(seed) for seed in SEEDS]


def test_equal_seeds_give_equal_scenes(scenes: list[Scene]) -> None:
    again = draw_scene(SEEDS[5])
    assert again.street == scenes[5].street
    assert again.light == scenes[5].light
    assert (again.position, again.heading) == (scenes[5].position, scenes[5].heading)
    for field in dataclasses.fields(again.solids):
        np.testing.assert_array_equal(
            getattr(again.solids, field.name), getattr(scenes[5].solids, field.name)
        )
    assert len({scene.position for scene in scenes}) == len(scenes)
    assert len({scene.light.sun for scene in scenes}) == len(scenes)


def test_the_camera_is_on_the_road_in_the_open(scenes: list[Scene]) -> None:
    for scene in scenes:
        x, y, z = scene.position
        assert x == 0
        assert abs(y) < scene.street.half_width
        assert 1.2 <= z <= 1.6
        assert abs(scene.heading) <= math.radians(35)
        point = np.array(scene.position)
        assert min(excess(scene.solids, row, point) for row in range(len(scene.solids))) > 0.05


def test_the_upright_frame() -> None:
    """Camera: x right, y down, z ahead. Vehicle: x ahead, y left, z up."""
    np.testing.assert_array_equal(upright() @ np.eye(3), [[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    scene = draw_scene(SEEDS[0])
    ahead = scene.rotation() @ [0, 0, 1]
    assert ahead == pytest.approx([math.cos(scene.heading), math.sin(scene.heading), 0])
    assert np.linalg.det(scene.rotation()) == pytest.approx(1)


def test_solids_stand_where_they_should(scenes: list[Scene]) -> None:
    for scene in scenes:
        table, street = scene.solids, scene.street
        across = np.abs(table.centre[:, 1])
        bodies = (table.label == CAR) & (table.kind == Kind.BOX)
        assert (across + table.size[:, 1])[bodies].max() < street.half_width + 0.2
        assert (across[table.label == PEDESTRIAN] < street.half_width + 6.5).all()
        # Houses keep off road and pavement, except those that close the street far ahead.
        houses = (table.label == BUILDING) & (np.abs(table.centre[:, 0]) < 60)
        clear = across[houses] - table.size[houses, 1]
        assert clear.min() > street.half_width + min(street.pavements) - 0.5
        top = table.centre[:, 2] + table.size[:, 2]
        assert (top - 2 * table.size[:, 2] > -0.05).all()
        assert (table.size[table.label == POLE].max(axis=1) < 15).all()
        for count, label in ((4, PEDESTRIAN), (1, CAR), (1, TRAFFIC_SIGN)):
            assert (table.label == label).sum() >= count
        assert (table.colour >= 0).all()
        assert (table.colour <= 1).all()


def test_shares_of_the_classes(scenes: list[Scene]) -> None:
    """Over 40 scenes: each class is seen in nearly all, none takes more than half."""
    camera = default_camera(48, 64)
    counts = np.stack([
        np.bincount(render(scene, camera, samples=1).label.ravel(), minlength=len(CLASSES))
        for scene in scenes
    ])  # fmt: skip
    share, seen = counts.sum(axis=0) / counts.sum(), (counts > 0).mean(axis=0)
    low = dict.fromkeys(CLASSES, 0.001) | {"sky": 0.08, "road": 0.2, "building": 0.15, "car": 0.03}
    assert all(share[number] > low[name] for number, name in enumerate(CLASSES)), share
    assert share.max() < 0.5
    assert seen.min() >= 0.9, seen


def test_seeds_of_any_size_and_none_below_zero() -> None:
    first, second = draw_scene(2**66 + 5), draw_scene(5)
    assert first.position != second.position
    with pytest.raises(ValueError, match="seed is -1; expected no negative number"):
        draw_scene(-1)
