"""The folder in WoodScape's layout: what was rendered is what is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geocore.camera.calibration import read_calibration
from geocore.camera.pose import tilted
from geocore.data.scenes.classes import CLASSES
from geocore.data.scenes.folder import write_scenes
from geocore.data.scenes.render import default_camera, render
from geocore.data.scenes.world import draw_scene, upright
from geocore.so3.rotation import compose, inverse, matrix_to_quaternion

CAMERA = default_camera(24, 32)
TILT = tilted(*(torch.tensor(angle, dtype=torch.float64) for angle in (15.0, -30.0, 40.0)))
SEEDS = [31, 32, 33]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("scenes")
    write_scenes(found, SEEDS, CAMERA, [None, TILT, None])
    return found


def test_the_layout(folder: Path) -> None:
    names = [f"{number:05d}_FV" for number in range(3)]
    expected = {"semantic_annotations/seg_annotation_info.json"}
    for name in names:
        expected |= {
            f"rgb_images/{name}.png",
            f"semantic_annotations/gtLabels/{name}.png",
            f"depth_maps/raw_data/{name}.npy",
            f"calibration/{name}.json",
        }
    assert set(files(folder)) == expected
    info = json.loads((folder / "semantic_annotations" / "seg_annotation_info.json").read_text())
    assert tuple(info["class_names"]) == CLASSES
    assert info["class_indexes"] == list(range(10))
    assert len({tuple(colour) for colour in info["class_colors"]}) == 10


@pytest.mark.parametrize("number", range(3))
def test_what_was_rendered_is_read_back(folder: Path, number: int) -> None:
    tilt = TILT if number == 1 else None
    seen = render(draw_scene(SEEDS[number]), CAMERA, tilt)
    name = f"{number:05d}_FV"
    image = Image.open(folder / "rgb_images" / f"{name}.png")
    label = Image.open(folder / "semantic_annotations" / "gtLabels" / f"{name}.png")
    assert (image.mode, label.mode) == ("RGB", "L")
    np.testing.assert_array_equal(np.asarray(image), seen.image)
    np.testing.assert_array_equal(np.asarray(label), seen.label)
    depth = np.load(folder / "depth_maps" / "raw_data" / f"{name}.npy", allow_pickle=False)
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, seen.depth)


@pytest.mark.parametrize("number", range(3))
def test_the_calibration_holds_lens_height_and_tilt(folder: Path, number: int) -> None:
    path = folder / "calibration" / f"{number:05d}_FV.json"
    assert json.loads(path.read_text())["intrinsic"]["model"] == "radial_poly"
    found = read_calibration(path, (24, 32))
    assert found.camera == CAMERA
    assert found.name == "FV"
    assert found.pose.translation == (0.0, 0.0, draw_scene(SEEDS[number]).position[2])
    base = matrix_to_quaternion(torch.from_numpy(upright()))
    tilt = compose(inverse(base), torch.tensor(found.pose.rotation, dtype=torch.float64))
    expected = TILT if number == 1 else torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(tilt.abs(), expected.abs(), atol=1e-12, rtol=0)


def test_bytes_do_not_depend_on_the_number_of_processes(folder: Path, tmp_path: Path) -> None:
    done: list[int] = []
    write_scenes(tmp_path, SEEDS, CAMERA, [None, TILT, None], workers=2, on_scene=done.append)
    assert files(tmp_path) == files(folder)
    assert done == [1, 2, 3]


def test_seeds_and_tilts_go_together(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tilts has 1 poses; expected one for each of 3"):
        write_scenes(tmp_path, SEEDS, CAMERA, [TILT])
    assert files(tmp_path) == {}
