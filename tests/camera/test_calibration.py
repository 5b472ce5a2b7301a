"""WoodScape's calibration files: what is read, what is written, and what is refused in a line."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from geocore.camera.calibration import Calibration, read_calibration, write_calibration
from geocore.camera.lens import RadialCamera
from geocore.camera.pose import Pose
from geocore.errors import UserError
from tests.camera.cameras import FRONT, LENSES, NAMES

ROOT_HALF = math.sqrt(0.5)


def content() -> dict[str, Any]:
    """A file as WoodScape's are, of a camera that looks 30 degrees down to the front."""
    # (x, y, z, w): the level camera's (-1/2, 1/2, -1/2, 1/2), then 30 degrees about the left.
    c, s = math.cos(math.radians(15)), math.sin(math.radians(15))
    quaternion = [(-c - s) / 2, (c + s) / 2, (s - c) / 2, (c - s) / 2]
    return {
        "extrinsic": {"quaternion": quaternion, "translation": [3.7, 0.1, 0.66]},
        "intrinsic": {
            "aspect_ratio": 1.0,
            "cx_offset": 3.942,
            "cy_offset": -3.093,
            "height": 966.0,
            "k1": 339.749,
            "k2": -31.988,
            "k3": 48.275,
            "k4": -7.201,
            "model": "radial_poly",
            "poly_order": 4,
            "width": 1280.0,
        },
        "name": "FV",
    }


def written(folder: Path, value: object) -> Path:
    path = folder / "00001_FV.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def test_a_file_gives_lens_and_pose(tmp_path: Path) -> None:
    found = read_calibration(written(tmp_path, content()), (966, 1280))
    assert found.camera == FRONT
    assert found.name == "FV"
    assert found.pose.translation == (3.7, 0.1, 0.66)
    frame = Pose(found.pose.rotation).apply(torch.eye(3, dtype=torch.float64))
    expected = [[0, -1, 0], [-0.5, 0, -math.sqrt(0.75)], [math.sqrt(0.75), 0, -0.5]]
    torch.testing.assert_close(frame, torch.tensor(expected, dtype=torch.float64))


def test_a_front_camera_looks_ahead_and_down(tmp_path: Path) -> None:
    """Orders and directions at once: the quaternion of a real vehicle's front camera."""
    value = content()
    value["extrinsic"]["quaternion"] = [
        0.5941767906169857, -0.5878843193897473, 0.3873184109007999, -0.3890121040340926
    ]  # fmt: skip
    pose = read_calibration(written(tmp_path, value)).pose
    right, down, ahead = Pose(pose.rotation).apply(torch.eye(3, dtype=torch.float64)).tolist()
    assert ahead == pytest.approx([0.9177, 0.0069, -0.3973], abs=5e-5)
    assert right == pytest.approx([0, -1, 0], abs=0.01)
    assert down == pytest.approx([-0.3973, 0, -0.9177], abs=0.01)


def test_a_file_without_order_or_name(tmp_path: Path) -> None:
    value = content()
    del value["intrinsic"]["poly_order"], value["name"]
    found = read_calibration(written(tmp_path, value))
    assert found.camera == FRONT and found.name == "00001_FV"


def test_what_is_written_has_the_formats_own_keys(tmp_path: Path) -> None:
    found = read_calibration(written(tmp_path, content()))
    path = tmp_path / "deep/er/again.json"
    write_calibration(path, found)
    assert json.loads(path.read_text("utf-8")) == content()
    assert read_calibration(path) == found


@pytest.mark.parametrize("camera", LENSES, ids=NAMES)
def test_any_lens_is_written_and_read_back(tmp_path: Path, camera: RadialCamera) -> None:
    value = Calibration(camera, Pose((0.6, 0.0, 0.8, 0.0), (1.0, 2.0, 3.0)), "RV")
    write_calibration(tmp_path / "a.json", value)
    assert read_calibration(tmp_path / "a.json", (camera.height, camera.width)) == value


def test_a_rounded_quaternion_is_normalised(tmp_path: Path) -> None:
    value = content()
    value["extrinsic"]["quaternion"] = [0.707, 0.0, 0.0, 0.707]
    found = read_calibration(written(tmp_path, value)).pose.rotation
    assert found == pytest.approx((ROOT_HALF, ROOT_HALF, 0.0, 0.0), abs=1e-15)


def without(section: str, key: str) -> dict[str, Any]:
    value = content()
    del value[section][key]
    return value


def with_value(section: str, key: str, entry: object) -> dict[str, Any]:
    value = content()
    value[section][key] = entry
    return value


BAD: list[tuple[Any, str]] = [
    *((without("intrinsic", f"k{n}"), f"intrinsic k{n} is missing; expected a number")
      for n in range(1, 5)),
    (without("intrinsic", "cx_offset"), "intrinsic cx_offset is missing; expected a number"),
    (without("intrinsic", "width"), "intrinsic width is missing; expected a number"),
    (without("intrinsic", "model"), "intrinsic model is missing; expected one of radial_poly, pin"),
    (with_value("intrinsic", "k2", math.nan), "intrinsic k2 is NaN; expected a finite number"),
    (with_value("intrinsic", "k3", "48"), 'intrinsic k3 is "48"; expected a finite number'),
    (with_value("intrinsic", "k4", None), "intrinsic k4 is missing; expected a finite number"),
    (with_value("intrinsic", "k1", 0), "intrinsic k1 is 0.0; expected a number above 0"),
    (with_value("intrinsic", "k1", -3.5), "intrinsic k1 is -3.5; expected a number above 0"),
    (with_value("intrinsic", "aspect_ratio", 0), "intrinsic aspect_ratio is 0.0; expected a numb"),
    (with_value("intrinsic", "height", 966.5), "intrinsic height is 966.5; expected a whole numb"),
    (with_value("intrinsic", "height", -1), "intrinsic height is -1.0; expected a number above 0"),
    (with_value("intrinsic", "model", "ucm"), 'intrinsic model is "ucm"; expected one of radial_'),
    (with_value("intrinsic", "model", ["a"]), r'intrinsic model is ["a"]; expected one of radial'),
    (with_value("intrinsic", "poly_order", 5), "intrinsic k5 is missing; expected a number"),
    (with_value("intrinsic", "poly_order", 99), "intrinsic poly_order is 99; expected 1 to 16"),
    (with_value("extrinsic", "quaternion", [0, 0, 1]), "extrinsic quaternion is [0, 0, 1]; expec"),
    (with_value("extrinsic", "quaternion", [0, 0, 0, 0]), "extrinsic quaternion has length 0; ex"),
    (with_value("extrinsic", "translation", [0, 0, math.inf]), "extrinsic translation is Infinit"),
    (without("extrinsic", "translation"), "extrinsic translation is missing; expected 3 numbers"),
    ({"intrinsic": content()["intrinsic"]}, "extrinsic is missing; expected a section"),
    ([], "intrinsic is missing; expected a section of a calibration"),
    ('{"intrinsic": ', "cannot be read as JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "message"), BAD)
def test_a_bad_file_is_told_in_a_line(tmp_path: Path, value: Any, message: str) -> None:
    path = written(tmp_path, value)
    with pytest.raises(UserError) as caught:
        read_calibration(path)
    (line,) = caught.value.lines
    assert line.startswith(f"{path}: {message}")


def test_images_of_another_size_are_told_in_a_line(tmp_path: Path) -> None:
    path = written(tmp_path, content())
    with pytest.raises(UserError) as caught:
        read_calibration(path, (483, 640))
    expected = f"{path}: the image is 640 x 483 pixels; expected 1280 x 966, as calibrated"
    assert caught.value.lines == (expected,)


def test_a_missing_file_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json: no such file; expected a calibration"):
        read_calibration(tmp_path / "none.json")
