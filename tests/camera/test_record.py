"""Cameras as JSON: they come back equal, and what is wrong is told in a line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from geocore.camera.lens import RadialCamera
from geocore.camera.models import Pinhole
from geocore.camera.record import MODELS, camera_from_dict, camera_to_dict
from tests.camera.cameras import LENSES, NAMES


@pytest.mark.parametrize("camera", LENSES, ids=NAMES)
def test_a_camera_comes_back_equal(camera: RadialCamera) -> None:
    value = camera_to_dict(camera)
    again = json.loads(json.dumps(value))
    assert again == value
    found = camera_from_dict(again)
    assert found == camera and type(found) is type(camera)
    assert {type(lens).model for lens in LENSES} == set(MODELS)


def test_what_may_be_left_out_has_its_default() -> None:
    found = camera_from_dict({"model": "pinhole", "height": 3, "width": 4, "focal": 5})
    assert found == Pinhole(3, 4, 5.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "fisheye"}, 'camera model is "fisheye"; expected one of pinhole, equidistant'),
        ({"model": ["pinhole"]}, r'camera model is \["pinhole"\]; expected one of'),
        ({"model": None}, "camera model is null; expected one of"),
        ({"focal": "5"}, 'camera focal is "5"; expected a number'),
        ({"focal": True}, "camera focal is true; expected a number"),
        ({"height": 3.5}, "camera height is 3.5; expected a whole number"),
        ({"offset": 1.0}, "camera offset is 1.0; expected a list of numbers"),
        ({"offset": [1.0]}, r"camera offset is \[1.0\]; expected two numbers"),
        ({"aspect": -1.0}, "aspect is -1.0; expected a finite number above 0"),
        ({"coefficients": [1.0]}, "camera has a field 'coefficients'; expected height, width"),
    ],
)
def test_wrong_values_are_named(changes: dict[str, Any], message: str) -> None:
    value = {"model": "pinhole", "height": 3, "width": 4, "focal": 5.0, **changes}
    with pytest.raises(ValueError, match=message) as caught:
        camera_from_dict(value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, [], "pinhole", {}])
def test_what_is_no_camera_is_named(value: Any) -> None:
    with pytest.raises(ValueError, match=r"camera model is .*; expected one of pinhole"):
        camera_from_dict(value)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValueError, match="camera coefficients is missing; expected it for radial"):
        camera_from_dict({"model": "radial_polynomial", "height": 3, "width": 4})
