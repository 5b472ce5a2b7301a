"""WoodScape's format: files found, cameras shared, poses upright, faults named."""

from __future__ import annotations

import copy
import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from geocore.camera.calibration import read_calibration
from geocore.camera.lens import valid_pixels
from geocore.camera.pose import tilted
from geocore.camera.record import camera_from_dict
from geocore.data.sources.reduce import area_mean, containing
from geocore.data.sources.woodscape import WoodScape
from geocore.data.sources.woodscape_cameras import upright_pose
from geocore.data.sources.woodscape_files import SYNWOODSCAPE, WOODSCAPE
from geocore.errors import UserError
from geocore.so3.rotation import (
    compose,
    geodesic_distance,
    matrix_to_quaternion,
    quaternion_to_matrix,
)
from tests.data.sources.drives import FRONT, save_woodscape

GIVEN = os.environ.get("GEOCORE_DATA")
TEN = tuple(f"class {number}" for number in range(10))


def read(source: WoodScape, size: int = 4) -> dict[str, np.ndarray]:
    pieces = list(source.pieces(np.arange(len(source)), size))
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def changed(**intrinsic: Any) -> dict[str, Any]:
    calibration = copy.deepcopy(FRONT)
    calibration["intrinsic"] |= intrinsic
    return calibration


def test_images_labels_depth_and_validity(tmp_path: Path) -> None:
    frames = save_woodscape(tmp_path)
    source = WoodScape(tmp_path, "FV")
    assert (len(source), source.shape, source.classes) == (6, (24, 32, 3), WOODSCAPE)
    assert source.splits is None and source.views == ()
    columns = read(source)
    lens = read_calibration(tmp_path / "calibration/00000_FV.json").camera
    assert source.camera is not None and camera_from_dict(source.camera) == lens
    for row, frame in enumerate(frames):
        np.testing.assert_array_equal(columns["image"][row], frame["image"])
        np.testing.assert_array_equal(columns["label"][row], frame["label"])
        assert (columns["depth"][row][:3] == 0).all(), "the sky has no depth"
        np.testing.assert_array_equal(columns["depth"][row][3:], frame["depth"][3:])
        np.testing.assert_array_equal(columns["valid"][row], valid_pixels(lens).numpy())
    assert columns["depth"].dtype == np.float32


def test_the_camera_goes_along_with_a_reduced_image(tmp_path: Path) -> None:
    """What a direction hits is the same place of the image before and after."""
    frames = save_woodscape(tmp_path)
    source = WoodScape(tmp_path, "FV", (10, 16))
    columns = read(source)
    np.testing.assert_array_equal(columns["image"][2], area_mean(frames[2]["image"], 10, 16))
    np.testing.assert_array_equal(columns["label"][2], containing(frames[2]["label"], 10, 16))
    small = camera_from_dict(source.camera)
    large = read_calibration(tmp_path / "calibration/00000_FV.json").camera
    u, v = torch.tensor([3.0, 8.0, 12.0]).double(), torch.tensor([2.0, 5.0, 7.0]).double()
    large_u, large_v, _ = large.project(small.unproject(u, v))
    torch.testing.assert_close((large_u + 0.5) / 2, u + 0.5, atol=1e-9, rtol=0)
    torch.testing.assert_close((large_v + 0.5) / 2.4, v + 0.5, atol=1e-9, rtol=0)


def test_one_camera_of_four(tmp_path: Path) -> None:
    frames = save_woodscape(tmp_path, 3, cameras=("FV", "MVL", "RV"))
    columns = read(WoodScape(tmp_path, "MVL"))
    assert len(columns["image"]) == 3
    np.testing.assert_array_equal(columns["image"][1], frames[4]["image"])


def test_synwoodscape_has_one_calibration_and_its_own_classes(tmp_path: Path) -> None:
    save_woodscape(tmp_path, 3)
    (tmp_path / "calibration_data").mkdir()
    shutil.copy(tmp_path / "calibration/00000_FV.json", tmp_path / "calibration_data/FV.json")
    shutil.rmtree(tmp_path / "calibration")
    source = WoodScape(tmp_path, "FV")
    assert len(source) == 3 and source.classes == SYNWOODSCAPE and len(SYNWOODSCAPE) == 25


def test_archives_unpacked_into_folders_of_their_own_name(tmp_path: Path) -> None:
    save_woodscape(tmp_path, 3, depth=False)
    for inner, name in (
        ("rgb_images", "rgb_images"),
        ("semantic_annotations", "semantic_annotations"),
        ("calibration_data", "calibration"),
    ):
        (tmp_path / "aside").mkdir()
        (tmp_path / name).rename(tmp_path / "aside" / name)
        (tmp_path / "aside").rename(tmp_path / inner)
    columns = read(WoodScape(tmp_path, "FV"))
    assert set(columns) == {"image", "label", "valid"} and len(columns["image"]) == 3


def test_class_names_are_those_of_the_folder(tmp_path: Path) -> None:
    save_woodscape(tmp_path, 3, classes=TEN)
    assert WoodScape(tmp_path, "FV").classes == TEN


def test_images_of_the_most_common_camera_are_taken(tmp_path: Path) -> None:
    save_woodscape(tmp_path, 6)
    for number, k1 in ((0, 9.5), (1, 9.5), (4, 8.5001)):
        (tmp_path / f"calibration/{number:05d}_FV.json").write_text(json.dumps(changed(k1=k1)))
    source = WoodScape(tmp_path, "FV")
    assert len(source) == 4 and source.left_out == 2
    assert source.camera is not None and source.camera["coefficients"][0] == 8.5
    # 8.5001 moves an image by less than half a pixel; 9.5 by two at the edge.
    close = WoodScape(tmp_path, "FV", (2, 3))
    assert close.left_out == 0, "on an image so small the cameras are one"


@pytest.mark.parametrize("heading", [0.0, 90.0, -90.0, 180.0, 37.0])
def test_the_pose_is_what_an_upright_camera_of_that_heading_lacks(heading: float) -> None:
    """Inclinations without a yaw come back from whatever heading they are seen at."""
    turn = math.radians(heading)
    level = [
        [math.sin(turn), 0.0, math.cos(turn)],
        [-math.cos(turn), 0.0, math.sin(turn)],
        [0.0, -1.0, 0.0],
    ]
    upright = matrix_to_quaternion(torch.tensor(level, dtype=torch.float64))
    for pitch, roll in ((0.0, 0.0), (-20.0, 0.0), (0.0, 40.0), (35.0, -170.0), (-80.0, 5.0)):
        inclined = tilted(*torch.tensor([pitch, roll, 0.0], dtype=torch.float64))
        found = torch.tensor(upright_pose(compose(upright, inclined).tolist()), dtype=torch.float64)
        assert float(geodesic_distance(found, inclined)) < 1e-12


def test_down_in_the_vehicle_is_down_for_the_upright_camera(tmp_path: Path) -> None:
    save_woodscape(tmp_path, 3)
    calibration = read_calibration(tmp_path / "calibration/00000_FV.json")
    vehicle = quaternion_to_matrix(torch.tensor(calibration.pose.rotation).double())
    poses = WoodScape(tmp_path, "FV").poses
    assert poses is not None
    pose = quaternion_to_matrix(torch.from_numpy(poses[0]))
    down = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(
        pose @ vehicle.T @ down, torch.tensor([0.0, 1.0, 0.0]).double(), atol=1e-7, rtol=0
    )


def emptied(place: str) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        for path in (folder / place).iterdir():
            path.unlink()

    return spoil


def write(path: str, value: Any) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        if isinstance(value, np.ndarray) and path.endswith(".npy"):
            np.save(folder / path, value)
        elif isinstance(value, np.ndarray):
            Image.fromarray(value).save(folder / path)
        else:
            (folder / path).write_text(value if isinstance(value, str) else json.dumps(value))

    return spoil


def without(key: str) -> dict[str, Any]:
    calibration = copy.deepcopy(FRONT)
    del calibration["intrinsic"][key]
    return calibration


LABEL = np.zeros((24, 32), np.uint8)
LABEL[20, 3] = 10
NEGATIVE = np.full((24, 32), -1.0, np.float32)
CALIBRATION = "calibration/00002_FV.json"
INFO = "semantic_annotations/seg_annotation_info.json"
FAULTS: list[tuple[str, Callable[[Path], object], str]] = [
    ("lens", write(CALIBRATION, without("k3")), "{0}/calibration/00002_FV.json: .*k3.*"),
    (
        "size",
        write(CALIBRATION, changed(width=30.0)),
        "{0}/calibration/00002_FV.json: the image is 32 x 24 pixels; expected 30 x 24.*",
    ),
    (
        "class",
        write("semantic_annotations/gtLabels/00002_FV.png", LABEL),
        r"{0}/semantic_annotations/gtLabels/00002_FV.png: class 10 at row 20, column 3; "
        r"expected 0 to 9 \(traffic_sign\)",
    ),
    (
        "label size",
        write("semantic_annotations/gtLabels/00002_FV.png", LABEL[:4]),
        "{0}/semantic_annotations/gtLabels/00002_FV.png: 32 x 4 pixels; "
        "expected 32 x 24 as 00002_FV.png",
    ),
    (
        "depth size",
        write("depth_maps/raw_data/00002_FV.npy", NEGATIVE[:4] + 2),
        "{0}/depth_maps/raw_data/00002_FV.npy: 32 x 4 pixels; expected 32 x 24 as 00002_FV.png",
    ),
    (
        "negative depth",
        write("depth_maps/raw_data/00002_FV.npy", NEGATIVE),
        "{0}/depth_maps/raw_data/00002_FV.npy: a depth is negative or not a number; "
        "expected metres",
    ),
    (
        "depth that is no number",
        write("depth_maps/raw_data/00002_FV.npy", NEGATIVE * np.nan),
        "{0}/depth_maps/raw_data/00002_FV.npy: a depth is negative or not a number; "
        "expected metres",
    ),
    (
        "pickled depth",
        lambda folder: np.save(
            folder / "depth_maps/raw_data/00002_FV.npy", np.array([{}]), allow_pickle=True
        ),
        "{0}/depth_maps/raw_data/00002_FV.npy: broken .*; expected an array of depths",
    ),
    (
        "broken depth",
        write("depth_maps/raw_data/00002_FV.npy", "nothing"),
        "{0}/depth_maps/raw_data/00002_FV.npy: broken .*; expected an array of depths",
    ),
    (
        "missing label",
        lambda folder: (folder / "semantic_annotations/gtLabels/00002_FV.png").unlink(),
        "{0}/semantic_annotations/gtLabels/00002_FV.png: missing; "
        "expected it beside {0}/rgb_images/00002_FV.png",
    ),
    (
        "missing depth",
        lambda folder: (folder / "depth_maps/raw_data/00002_FV.npy").unlink(),
        "{0}/depth_maps/raw_data/00002_FV.npy: missing; "
        "expected it beside {0}/rgb_images/00002_FV.png",
    ),
    (
        "no images",
        emptied("rgb_images"),
        r"{0}/rgb_images: no images \*_FV.png; expected rgb_images/NUMBER_FV.png",
    ),
    (
        "no folder of images",
        lambda folder: shutil.rmtree(folder / "rgb_images"),
        "{0}/rgb_images: no such folder; expected rgb_images/NUMBER_FV.png",
    ),
    (
        "no labels",
        lambda folder: shutil.rmtree(folder / "semantic_annotations"),
        r"{0}/semantic_annotations/gtLabels: no label images \*_FV.png; expected some",
    ),
    (
        "no calibrations",
        lambda folder: shutil.rmtree(folder / "calibration"),
        r"{0}/calibration: no calibrations \*_FV.json; expected one for each image, "
        r"or FV.json for all",
    ),
    ("nothing", shutil.rmtree, "{0}: not a folder; expected WoodScape's rgb_images/ and others"),
    (
        "no class names",
        write(INFO, {"names": []}),
        "{0}/semantic_annotations/seg_annotation_info.json: no class_names there; "
        "expected a list of them",
    ),
    (
        "class names that are none",
        write(INFO, {"class_names": [1]}),
        r"{0}/semantic_annotations/seg_annotation_info.json: class_names is \[1\]; "
        "expected a list of names",
    ),
]


@pytest.mark.parametrize(("spoil", "line"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_fault_is_one_line(tmp_path: Path, spoil: Callable[[Path], object], line: str) -> None:
    folder = tmp_path / "drive"
    save_woodscape(folder, 4)
    spoil(folder)
    with pytest.raises(UserError, match=f"^{line.format(folder)}$") as caught:
        read(WoodScape(folder, "FV"))
    assert len(caught.value.lines) == 1


def test_the_digest_is_that_of_what_is_used(tmp_path: Path) -> None:
    save_woodscape(tmp_path / "here", 3, cameras=("FV", "RV"))
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert WoodScape(tmp_path / "here", "FV").digest == WoodScape(tmp_path / "there", "FV").digest
    (tmp_path / "there/rgb_images/00000_RV.png").write_bytes(b"another camera's")
    assert WoodScape(tmp_path / "here", "FV").digest == WoodScape(tmp_path / "there", "FV").digest
    write(CALIBRATION, changed(k1=8.6))(tmp_path / "there")
    assert WoodScape(tmp_path / "here", "FV").digest != WoodScape(tmp_path / "there", "FV").digest


@pytest.mark.skipif(
    GIVEN is None or not (Path(GIVEN) / "woodscape/front.json").is_file(),
    reason="no woodscape/front.json in GEOCORE_DATA",
)
def test_a_real_front_camera(tmp_path: Path) -> None:
    """Level to within a few degrees, 1280 x 966, and reduced to a quarter."""
    given = Path(GIVEN or "") / "woodscape"
    for place in ("rgb_images", "semantic_annotations/gtLabels", "calibration"):
        (tmp_path / place).mkdir(parents=True)
    shutil.copy(given / "front.jpg", tmp_path / "rgb_images/00000_FV.jpg")
    shutil.copy(given / "front.json", tmp_path / "calibration/00000_FV.json")
    label = np.zeros((966, 1280), np.uint8)
    Image.fromarray(label).save(tmp_path / "semantic_annotations/gtLabels/00000_FV.png")
    source = WoodScape(tmp_path, "FV", (240, 320))
    (piece,) = source.pieces(np.arange(1), 1)
    assert piece["image"].shape == (1, 240, 320, 3) and piece["image"].std() > 30
    assert piece["valid"].all(), "the lens reaches further than the image's corners"
    assert source.camera is not None
    assert source.camera["coefficients"] == pytest.approx(
        [k / 4 for k in (339.749, -31.988, 48.275, -7.201)]
    )
    assert source.poses is not None
    angle = 2 * np.degrees(np.arccos(min(1.0, abs(float(source.poses[0, 0])))))
    assert 5 < angle < 30, "it looks down a little"
