"""From canvases to the sphere: one grey channel, masks that turn with their images, 11 classes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geocore.camera.lens import RadialCamera
from geocore.camera.record import camera_from_dict
from geocore.camera.sampling import sample_reference
from geocore.config.data import DataParams
from geocore.data import table as table_module
from geocore.data.table import IGNORED, Table
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.healpix.grid import pixel_centres
from geocore.pipeline import fetch, project, resample
from geocore.pipeline.stage import Manifest
from geocore.so3.rotation import quaternion_to_matrix
from geocore.so3.sampling import random_rotations
from tests.pipeline.stages import run_stage, stage_job

pytest.importorskip("PIL.Image")

DATA: dict[str, Any] = {
    "source": "canvas", "path": None, "image_size": None, "height": 30, "width": 30,
    "scenes": None, "jitter": None, "tilt": None, "camera": None, "canvases": (6, 2, 3),
    "items_of": "digits", "items": (1, 3), "item_size": 12, "limit": None,
    "val_fraction": 0.15, "test_fraction": 0.2, "seed": 0,
}  # fmt: skip
NSIDE = 16


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocore.pipeline.sphere_pictures._MOLLWEIDE_WIDTH", 60)
    monkeypatch.setattr("geocore.pipeline.sphere_pictures._DISC_SIZE", 40)


def fetched(root: Path, **changes: Any) -> tuple[Manifest, Table]:
    """The stage's manifest and table, of the type that the stage declares."""
    job = dataclasses.replace(
        stage_job(project.STAGE, root),
        stage=fetch.STAGE,
        sections={"data": DataParams(**{**DATA, **changes})},
        work=root / "work/fetch",
    )
    manifest = fetch.STAGE.make(job)
    assert fetch.STAGE.whole is not None and fetch.STAGE.whole(job, manifest)
    declared = fetch.raw_type(job.sections)
    assert declared == TableType("planar", 30, 30, channels=1, dtype="uint8", label_kind="mask")
    return manifest["raw"], Table.open(root / "data/raw", declared, verify=True)


def on_sphere(root: Path, **projected: Any) -> Table:
    run_stage(project.STAGE, root, angle_of_view=120.0, **projected)
    run_stage(resample.STAGE, root, nside=NSIDE)
    return Table.open(root / "data/healpix", verify=True)


def lens_of(table: Table) -> RadialCamera:
    assert table.info.camera is not None and table.info.camera.model is not None
    return camera_from_dict(table.info.camera.model)


def test_canvases_in_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about, table = fetched(tmp_path / "one")
    assert about["splits"] == {"train": 6, "val": 2, "test": 3}
    assert about["classes"] == ["background", *"0123456789"]
    assert table.columns == ("sample", "image", "label", "split")
    again, _ = fetched(tmp_path / "two")
    assert again == about
    monkeypatch.setattr(table_module, "_PART_BYTES", 1)
    _, parted = fetched(tmp_path / "many")
    assert len(list((tmp_path / "many/data/raw").glob("*.arrow"))) == 11
    for name in table.columns:
        np.testing.assert_array_equal(parted.column(name), table.column(name))


def test_each_canvas_turns_by_itself_and_its_mask_with_it(tmp_path: Path) -> None:
    """Every pixel of every map by hand: exact labels, images to the interpolation's 1e-5."""
    _, raw = fetched(tmp_path)
    table = on_sphere(tmp_path, rotation="so3", seed=3)
    upright = Table.open(tmp_path / "data/projected")
    drawn = quaternion_to_matrix(random_rotations("so3", 3, raw.column("sample")))
    rotations = torch.from_numpy(table.column("rotation"))
    base = drawn.mT @ quaternion_to_matrix(rotations)
    torch.testing.assert_close(base, base[:1].expand(11, 3, 3), atol=1e-12, rtol=0)
    assert len(torch.unique(rotations, dim=0)) == 11
    lens, centres = lens_of(table), pixel_centres(NSIDE)
    values, valid = sample_reference(upright.images(), lens, rotations, centres)
    torch.testing.assert_close(table.images().double() * 255, values, atol=255e-5, rtol=0)
    assert torch.equal(table.valid(), valid)
    label = torch.full(valid.shape, IGNORED, dtype=torch.uint8)
    for row, rotation in enumerate(rotations):
        u, v, _ = lens.project(centres[valid[row]] @ quaternion_to_matrix(rotation))
        at = torch.floor(v + 0.5).clamp(0, 29) * 30 + torch.floor(u + 0.5).clamp(0, 29)
        label[row, valid[row]] = raw.labels()[row, at.long()]
    assert torch.equal(table.labels(), label)
    assert bool((table.labels()[valid] > 0).any())


def test_upright_canvases_lie_alike(tmp_path: Path) -> None:
    fetched(tmp_path)
    table = on_sphere(tmp_path)
    assert table.info.camera is not None and table.info.camera.alike
    assert table.info.classes == ("background", *"0123456789")
    assert table.info.type.channels == 1 and table.info.type.label_kind == "mask"


def test_items_without_room_are_one_line_and_no_table(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        fetched(tmp_path, item_size=20)
    assert caught.value.lines == (
        "data.items is [1, 3] of 20 x 20 pixels, and a canvas of 30 x 30 holds 1; "
        "expected fewer or smaller ones",
    )
    assert not (tmp_path / "data/raw").exists()
