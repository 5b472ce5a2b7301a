"""``project``: an angle of view belongs to a projection, and none to the source's own camera."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.load import validate
from geocore.config.project import ProjectParams
from geocore.errors import UserError

FLAT: dict[str, Any] = {
    "projection": "gnomonic", "angle_of_view": 100.0, "colatitude": 90.0, "longitude": 45.0,
    "pose": "known", "rotation": "none", "copies": 1, "views": None, "seed": 0,
}  # fmt: skip
SOURCE = FLAT | {"projection": "source", "angle_of_view": None}


@pytest.mark.parametrize("good", [FLAT, SOURCE, SOURCE | {"pose": "ignored"}])
def test_good_ones_pass(good: dict[str, Any]) -> None:
    assert isinstance(validate(good, ProjectParams, "params.yaml"), ProjectParams)


@pytest.mark.parametrize(
    ("base", "changes", "line"),
    [
        (
            FLAT,
            {"angle_of_view": None},
            "project.angle_of_view is null; expected degrees with projection gnomonic",
        ),
        (
            SOURCE,
            {"angle_of_view": 190.0},
            "project.angle_of_view is 190.0; expected null with projection source",
        ),
        (
            FLAT,
            {"angle_of_view": 180.0},
            "project.angle_of_view is 180.0; expected less than 180 degrees for a gnomonic "
            "projection",
        ),
        (FLAT, {"pose": None}, "project.pose is null; expected one of known, ignored"),
        (
            FLAT,
            {"projection": "fisheye"},
            'project.projection is "fisheye"; expected one of gnomonic, stereographic, source',
        ),
    ],
)
def test_a_mistake_is_one_line(base: dict[str, Any], changes: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        validate(base | changes, ProjectParams, "params.yaml")
    assert caught.value.lines == (f"params.yaml: {line}",)
