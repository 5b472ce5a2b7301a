"""From a dense source to the sphere: labels, depth, validity and poses arrive where they belong."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geocore.camera.lens import RadialCamera, valid_pixels
from geocore.camera.models import Equidistant
from geocore.camera.record import camera_from_dict, camera_to_dict
from geocore.camera.sampling import sample_reference
from geocore.config.data import DataParams
from geocore.data import table as table_module
from geocore.data.scenes.classes import CLASSES
from geocore.data.sources.masks import read_mask
from geocore.data.table import IGNORED, Table, TableWriter
from geocore.data.tabletype import Camera, TableInfo, TableType
from geocore.errors import UserError
from geocore.healpix.grid import pixel_centres, ring_order
from geocore.pipeline import fetch, project, resample
from geocore.pipeline.stage import Job, Manifest
from geocore.so3.rotation import quaternion_to_matrix
from geocore.so3.sampling import random_rotations
from tests.data.sources.drives import FRONT, save_camvid, save_cityscapes, save_woodscape
from tests.pipeline.stages import blobs, run_stage, stage_job

image = pytest.importorskip("PIL.Image")

DATA: dict[str, Any] = {
    "source": "scenes", "path": None, "image_size": None, "height": 48, "width": 64,
    "scenes": (1, 1, 1), "jitter": 3.0, "tilt": 40.0, "camera": None, "limit": None,
    "canvases": None, "items_of": None, "items": None, "item_size": None,
    "val_fraction": 0.15, "test_fraction": 0.2, "seed": 0,
}  # fmt: skip
NO_SCENES = {"scenes": None, "jitter": None, "tilt": None, "height": None, "width": None}
CAMVID = DATA | NO_SCENES | {"source": "camvid", "path": "drive"}
WOODSCAPE = DATA | NO_SCENES | {"source": "woodscape", "path": "drive", "camera": "FV"}
OWN_CAMERA = {"projection": "source", "angle_of_view": None, "colatitude": 0.0, "longitude": 0.0}
FACES = tuple(range(8))


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocore.pipeline.sphere_pictures._MOLLWEIDE_WIDTH", 60)
    monkeypatch.setattr("geocore.pipeline.sphere_pictures._DISC_SIZE", 40)


def fetch_job(root: Path, data: dict[str, Any]) -> Job:
    job = stage_job(project.STAGE, root)
    return dataclasses.replace(
        job,
        stage=fetch.STAGE,
        sections={"data": DataParams.of(data)(**data)},
        work=root / "work/fetch",
    )


def fetched(root: Path, data: dict[str, Any]) -> tuple[Manifest, Table]:
    """The stage's manifest and table, of the type that the stage declares."""
    job = fetch_job(root, data)
    manifest = fetch.STAGE.make(job)
    assert fetch.STAGE.whole is not None and fetch.STAGE.whole(job, manifest)
    declared = fetch.STAGE.gives["raw"].type
    assert declared is not None
    return manifest["raw"], Table.open(root / "data/raw", declared(job.sections), verify=True)


def on_sphere(root: Path, projected: dict[str, Any], **resampled: Any) -> Table:
    run_stage(project.STAGE, root, **projected)
    run_stage(resample.STAGE, root, **({"nside": 16, "faces": FACES} | resampled))
    return Table.open(root / "data/healpix", verify=True)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five views of three scenes, as ``fetch`` writes them."""
    root = tmp_path_factory.mktemp("rendered")
    fetched(root, DATA)
    return root


@pytest.fixture
def scenes(rendered: Path, tmp_path: Path) -> Path:
    """A project of its own with those views."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/raw").symlink_to(rendered / "data/raw")
    return tmp_path


def test_scenes_in_a_table(rendered: Path) -> None:
    table = Table.open(rendered / "data/raw")
    assert table.info.classes == CLASSES and table.info.views == ("upright", "tilted", "rolled")
    assert table.column("split").tolist() == [0, 1, 2, 2, 2]
    assert table.column("view").tolist() == [0, 0, 0, 1, 2]
    assert set(table.columns) == {
        "sample", "image", "label", "valid", "depth", "rotation", "view", "split",
    }  # fmt: skip
    camera = table.info.camera
    assert camera is not None and camera.posed and camera.model is not None
    lens = camera_from_dict(camera.model)
    assert (lens.height, lens.width) == (48, 64)
    assert torch.equal(table.valid(), valid_pixels(lens).flatten().expand(5, -1))


def test_rows_do_not_depend_on_how_parts_are_cut(
    tmp_path: Path, rendered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Table.open(rendered / "data/raw")
    monkeypatch.setattr(table_module, "_PART_BYTES", 1)
    _, parted = fetched(tmp_path, DATA)
    assert len(list((tmp_path / "data/raw").glob("*.arrow"))) == 5
    for name in whole.columns:
        np.testing.assert_array_equal(parted.column(name), whole.column(name))


def by_hand(table: Table, projected: Table, lens: RadialCamera) -> dict[str, torch.Tensor]:
    """Each map from its image, a centre after the other by the camera's own formulas."""
    centres = pixel_centres(16, FACES)
    rotations = torch.from_numpy(table.column("rotation"))
    mask = projected.valid().reshape(-1, lens.height, lens.width)
    values, valid = sample_reference(projected.images(), lens, rotations, centres, mask)
    label = torch.full(valid.shape, IGNORED, dtype=torch.uint8)
    depth = torch.zeros(valid.shape)
    for row in range(len(table)):
        u, v, _ = lens.project(centres @ quaternion_to_matrix(rotations[row]))
        pixel = torch.floor(v + 0.5) * lens.width + torch.floor(u + 0.5)
        pixel = torch.where(valid[row], pixel, 0).long()
        label[row] = torch.where(valid[row], projected.labels()[row][pixel], IGNORED)
        depth[row] = torch.where(valid[row], projected.depths()[row][pixel], 0.0)
    return {"image": values / 255, "valid": valid, "label": label, "depth": depth}


@pytest.mark.parametrize("changes", [{}, {"rotation": "so3"}, {"pose": "ignored"}], ids=str)
def test_maps_are_those_of_the_reference(scenes: Path, changes: dict[str, Any]) -> None:
    table = on_sphere(scenes, OWN_CAMERA | changes)
    projected = Table.open(scenes / "data/projected")
    assert projected.info.camera is not None and projected.info.camera.model is not None
    lens = camera_from_dict(projected.info.camera.model)
    assert table.info.camera == projected.info.camera and table.info.views == projected.info.views
    expected = by_hand(table, projected, lens)
    torch.testing.assert_close(table.images().double(), expected["image"], atol=1e-5, rtol=0)
    assert torch.equal(table.valid(), expected["valid"])
    assert torch.equal(table.labels(), expected["label"])
    assert torch.equal(table.depths(), expected["depth"])
    assert table.column("view").tolist() == [0, 0, 0, 1, 2]


def test_the_rotation_is_random_times_base_times_pose(scenes: Path) -> None:
    run_stage(project.STAGE, scenes, **OWN_CAMERA, rotation="so3", seed=5)
    raw, table = (Table.open(scenes / "data" / name) for name in ("raw", "projected"))
    # Looking at the north pole along longitude 0: right is west, so -y; down is south, so +x.
    ahead = torch.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]).double()
    random = quaternion_to_matrix(random_rotations("so3", 5, raw.column("sample")))
    pose = quaternion_to_matrix(torch.from_numpy(raw.column("rotation")))
    found = quaternion_to_matrix(torch.from_numpy(table.column("rotation")))
    torch.testing.assert_close(found, random @ ahead @ pose, atol=1e-12, rtol=0)
    assert table.info.camera is not None and table.info.camera.posed
    run_stage(project.STAGE, scenes, **OWN_CAMERA, pose="ignored")
    table = Table.open(scenes / "data/projected")
    found = quaternion_to_matrix(torch.from_numpy(table.column("rotation")))
    torch.testing.assert_close(found, ahead.expand(5, 3, 3), atol=1e-12, rtol=0)
    assert table.info.camera is not None and table.info.camera.alike


@pytest.mark.parametrize("view", [3, 4], ids=["tilted", "rolled"])
def test_a_view_lies_on_the_upright_one_where_the_pose_is_known(scenes: Path, view: int) -> None:
    """A place of the world has one class and one distance, whichever way the camera is held."""
    agreement, distances = {}, {}
    for pose in ("known", "ignored"):
        table = on_sphere(scenes, OWN_CAMERA | {"pose": pose}, faces=tuple(range(12)))
        valid, labels, depth = table.valid(), table.labels(), table.depths()
        both = valid[2] & valid[view]
        assert both.float().mean() > 0.3
        agreement[pose] = float((labels[2] == labels[view])[both].float().mean())
        both &= (depth[2] > 0) & (depth[view] > 0)
        ratio = (depth[2][both] / depth[view][both]).log().abs()
        distances[pose] = float(ratio.median())
    # Pixels of the image are 3 degrees wide, so only edges and thin things may differ.
    assert agreement["known"] > 0.9 > 0.8 > agreement["ignored"]
    assert distances["known"] < 0.05 < 0.1 < distances["ignored"]


def test_ring_maps_are_the_nested_ones_reordered(scenes: Path) -> None:
    nested = on_sphere(scenes, OWN_CAMERA)
    columns = {name: nested.column(name) for name in ("label", "depth")}
    valid, order = nested.valid(), ring_order(16, FACES)
    ring = on_sphere(scenes, OWN_CAMERA, ordering="ring", dtype="uint8")
    assert torch.equal(ring.valid(), valid[:, order])
    for name, values in columns.items():
        np.testing.assert_array_equal(ring.column(name), values[:, order])
    assert ring.images().dtype == torch.uint8
    difference = ring.images().double() / 255 - nested.images().double()[:, order]
    assert float(difference.abs().max()) <= 0.5 / 255 + 1e-6


def write_lens(root: Path, valid: np.ndarray | None = None, posed: bool = True) -> RadialCamera:
    """Constant images, 3 and 200, through a lens of 60 degrees that leaves the corners dark."""
    lens = Equidistant(20, 30, 11.0, limit=60.0)
    inside = valid_pixels(lens).numpy()
    seen = np.broadcast_to(inside, (2, 20, 30)).copy() if valid is None else valid
    kind = TableType("planar", 20, 30, channels=3, dtype="uint8", label_kind="mask")
    camera = Camera("source", None, "none", camera_to_dict(lens), posed)
    info = TableInfo(kind, "made", ("a", "b"), camera)
    level = np.array([3, 200], np.uint8)[:, None, None]
    picture = np.where(seen & inside, level, 77)  # what is not seen must not come through
    columns: dict[str, np.ndarray] = {
        "sample": np.arange(2), "split": np.zeros(2, np.uint8), "valid": seen,
        "image": np.repeat(picture[..., None], 3, axis=3).astype(np.uint8),
        "label": np.where(seen & inside, 1, 0).astype(np.uint8),
        "depth": np.where(seen & inside, np.float32(5), np.float32(99)),
    }  # fmt: skip
    if posed:
        columns["rotation"] = np.array([[1.0, 0, 0, 0], [0.8, 0.6, 0, 0]])
    folder = root / "data/raw"
    folder.mkdir(parents=True)
    TableWriter(info).write_part(folder / "part-00000.arrow", columns)
    TableWriter(info).seal(folder)
    return lens


@pytest.mark.parametrize("posed", [True, False])
@pytest.mark.parametrize("holes", [False, True])
def test_a_constant_image_stays_constant_up_to_the_rim(
    tmp_path: Path, posed: bool, holes: bool
) -> None:
    """And what lies outside the lens or in a hole enters neither image, nor label, nor depth."""
    valid = None
    if holes:
        valid = np.random.default_rng(0).random((2, 20, 30)) < 0.7
    lens = write_lens(tmp_path, valid, posed)
    table = on_sphere(tmp_path, OWN_CAMERA)
    seen, images = table.valid(), table.images()
    for row, level in enumerate((3, 200)):
        values = images[row][seen[row]]
        torch.testing.assert_close(values, torch.full_like(values, level / 255), atol=1e-6, rtol=0)
    assert (images[~seen] == 0).all()
    assert (table.labels()[seen] == 1).all() and (table.labels()[~seen] == IGNORED).all()
    assert (table.depths()[seen] == 5).all() and (table.depths()[~seen] == 0).all()
    share = 1 - np.cos(np.radians(60))  # of the half of the sphere that faces 0 to 7 cover
    directions = pixel_centres(16, FACES)
    if not holes:
        theta = torch.acos(directions[:, 2])
        u, v, front = lens.project(
            directions @ quaternion_to_matrix(torch.from_numpy(table.column("rotation")[0]))
        )
        inside = lens.covers(u, v, front)
        near = theta < np.radians(60 - 4)  # a pixel of the image is 5 degrees wide
        assert seen[0][inside & near].all() and not seen[0][theta > np.radians(60 + 4)].any()
        assert 0.6 * share < float(seen[0].float().mean()) * 4 / 3 < 1.1 * share


def test_without_holes_a_mask_that_repeats_the_lens_changes_nothing(tmp_path: Path) -> None:
    maps = []
    for name, valid in (("lens", None), ("all", np.ones((2, 20, 30), bool))):
        write_lens(tmp_path / name, valid)
        maps.append(on_sphere(tmp_path / name, OWN_CAMERA))
    for column in ("image", "valid", "label", "depth"):
        np.testing.assert_array_equal(maps[0].column(column), maps[1].column(column))


def test_camvid_goes_through_a_pinhole(tmp_path: Path) -> None:
    made = save_camvid(tmp_path / "drive")
    about, raw = fetched(tmp_path, CAMVID)
    assert about["splits"] == {"train": 3, "val": 3, "test": 3}
    assert raw.info.camera is None and set(raw.columns) == {"sample", "image", "label", "split"}
    pinhole = {"projection": "gnomonic", "angle_of_view": 60.0}
    table = on_sphere(tmp_path, pinhole, faces=tuple(range(12)))
    camera = table.info.camera
    assert camera is not None and camera.alike and camera.model is not None
    lens = camera_from_dict(camera.model)
    assert (lens.model, lens.height, lens.width) == ("pinhole", 12, 16)
    assert "depth" not in table.columns and "view" not in table.columns
    u, v, front = lens.project(
        pixel_centres(16) @ quaternion_to_matrix(torch.from_numpy(table.column("rotation")[4]))
    )
    assert torch.equal(table.valid()[4], lens.covers(u, v, front))
    label = made["val"][1][1]
    for p in torch.nonzero(table.valid()[4])[:, 0].tolist():
        expected = label[int(torch.floor(v[p] + 0.5)), int(torch.floor(u[p] + 0.5))]
        assert table.labels()[4, p] == (IGNORED if expected == 11 else expected)


def test_woodscape_is_split_and_reduced(tmp_path: Path) -> None:
    save_woodscape(tmp_path / "drive", 40)
    about, table = fetched(tmp_path, WOODSCAPE | {"height": 12, "width": 16})
    assert about["splits"] == {"train": 27, "val": 5, "test": 8}
    assert table.info.type.shape == (12, 16, 3)
    assert {"valid", "depth", "rotation"} < set(table.columns)
    few, _ = fetched(tmp_path / "few", WOODSCAPE | {"path": str(tmp_path / "drive"), "limit": 10})
    assert few["rows"] == 10


def spoiled(key: str, value: Any) -> dict[str, Any]:
    calibration = copy.deepcopy(FRONT)
    if value is None:
        del calibration["intrinsic"][key]
    else:
        calibration["intrinsic"][key] = value
    return calibration


def broken_calibration(drive: Path) -> None:
    (drive / "calibration/00003_FV.json").write_text(json.dumps(spoiled("k2", None)))


def other_size(drive: Path) -> None:
    (drive / "calibration/00003_FV.json").write_text(json.dumps(spoiled("width", 30.0)))


def unknown_class(drive: Path) -> None:
    path = drive / "semantic_annotations/gtLabels/00003_FV.png"
    image.fromarray(np.full((24, 32), 12, np.uint8)).save(path)


def emptied(drive: Path) -> None:
    for path in (drive / "rgb_images").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (broken_calibration, "drive/calibration/00003_FV.json: .*k2"),
        (other_size, "drive/calibration/00003_FV.json: the image is 32 x 24 pixels; expected 30"),
        (unknown_class, "drive/semantic_annotations/gtLabels/00003_FV.png: class 12 at row 0"),
        (emptied, "drive/rgb_images: no images"),
    ],
)
def test_a_fault_of_the_source_is_one_line_and_no_table(
    tmp_path: Path, spoil: Callable[[Path], None], line: str
) -> None:
    save_woodscape(tmp_path / "drive", 6)
    spoil(tmp_path / "drive")
    with pytest.raises(UserError, match=line) as caught:
        fetched(tmp_path, WOODSCAPE)
    assert len(caught.value.lines) == 1 and not (tmp_path / "data/raw").exists()


def test_too_few_images_to_split(tmp_path: Path) -> None:
    save_woodscape(tmp_path / "drive", 2)
    with pytest.raises(UserError) as caught:
        fetched(tmp_path, WOODSCAPE)
    assert caught.value.lines == (
        "the source has 2 samples; expected at least 3, one each for train, val, test",
    )


def test_cityscapes_in_four_classes(tmp_path: Path) -> None:
    """Reduced and merged; validation is held out of training, and a changed label is seen."""
    save_cityscapes(tmp_path / "drive")
    data = CAMVID | {"source": "cityscapes", "height": 6, "width": 8, "classes": "road"}
    about, table = fetched(tmp_path, data)
    assert about["classes"] == ["background", "road", "car", "person"]
    assert about["splits"] == {"train": 2, "val": 1, "test": 1}
    assert table.info.type == TableType(
        "planar", 6, 8, channels=3, dtype="uint8", label_kind="mask"
    )
    assert set(np.unique(table.labels().numpy()).tolist()) <= {0, 1, 2, 3, IGNORED}
    label = tmp_path / "drive/gtFine/val/bonn/bonn_000000_000019_gtFine_labelIds.png"
    image.fromarray(np.full((12, 24), 26, np.uint8)).save(label)
    assert fetch.STAGE.whole is not None
    assert not fetch.STAGE.whole(fetch_job(tmp_path, data), {"raw": about})


def test_scenes_through_a_pinhole(tmp_path: Path) -> None:
    data = DATA | {"height": 19, "width": 30, "camera": "pinhole", "tilt": None, "classes": "road"}
    about, table = fetched(tmp_path, data)
    assert about["splits"] == {"train": 1, "val": 1, "test": 1}
    assert table.info.camera is not None and table.info.camera.model is not None
    assert table.info.camera.model["model"] == "pinhole" and table.info.views == ()
    assert "view" not in table.columns and table.valid().all()
    assert table.info.classes == ("background", "road", "car", "person")


def test_a_source_without_camera_needs_a_projection(tmp_path: Path) -> None:
    save_camvid(tmp_path / "drive")
    fetched(tmp_path, CAMVID)
    with pytest.raises(UserError) as caught:
        run_stage(project.STAGE, tmp_path, **OWN_CAMERA)
    assert caught.value.lines == (
        "params.yaml: project.projection is source, but data.source camvid names no camera; "
        "expected gnomonic or stereographic",
    )


def test_a_camera_of_another_size_is_refused(tmp_path: Path) -> None:
    info = TableInfo(
        TableType("planar", 4, 4, channels=1, dtype="uint8", label_kind="mask"),
        "made",
        camera=Camera("source", None, "none", camera_to_dict(Equidistant(20, 30, 11.0))),
    )
    folder = tmp_path / "data/raw"
    folder.mkdir(parents=True)
    columns: dict[str, np.ndarray] = {
        "sample": np.arange(2), "split": np.zeros(2, np.uint8), "image": blobs(2, 4, 4),
        "label": np.zeros((2, 16), np.uint8),
    }  # fmt: skip
    TableWriter(info).write_part(folder / "part-00000.arrow", columns)
    TableWriter(info).seal(folder)
    with pytest.raises(UserError) as caught:
        run_stage(project.STAGE, tmp_path, **OWN_CAMERA)
    assert caught.value.lines == (
        f"{folder}: images are 4 x 4 pixels; expected 30 x 20, as their camera has",
    )


def test_an_interrupted_fetch_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_camvid(tmp_path / "drive")
    monkeypatch.setattr(table_module, "_PART_BYTES", 12 * 16 * 8 * 2)  # nine images in parts of two
    whole, _ = fetched(tmp_path / "whole", CAMVID | {"path": str(tmp_path / "drive")})
    read: list[str] = []

    def counted(path: Path) -> Any:
        read.append(path.name)
        if len(read) == 6:
            raise KeyboardInterrupt
        return read_mask(path)

    monkeypatch.setattr("geocore.data.sources.paired.read_mask", counted)
    with pytest.raises(KeyboardInterrupt):
        fetched(tmp_path, CAMVID)
    assert len(list(tmp_path.glob("work/**/part-*.arrow"))) == 2
    again, _ = fetched(tmp_path, CAMVID)
    assert again == whole and len(read) == 6 + 5
