"""``resample``: what is in the maps' table, whatever the images, labels and parameters."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from geocore.camera.models import Stereographic
from geocore.camera.sampling import sample_reference
from geocore.config.resample import ResampleParams
from geocore.data.table import IGNORED, Table
from geocore.data.tablecamera import table_camera
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.healpix.grid import pixel_centres, ring_order
from geocore.pipeline import project, resample
from geocore.so3.driscoll_healy import driscoll_healy_directions
from geocore.so3.rotation import quaternion_to_matrix
from tests.pipeline.stages import blobs, run_stage, stage_job, write_raw


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their size is nothing that these tests look at, and most of what they would wait for."""
    monkeypatch.setattr("geocore.pipeline.sphere_pictures._MOLLWEIDE_WIDTH", 60)
    monkeypatch.setattr("geocore.pipeline.sphere_pictures._DISC_SIZE", 40)


def prepare(root: Path, images: np.ndarray, rotation: str = "none", **raw: object) -> None:
    write_raw(root / "data/raw", images, **raw)  # type: ignore[arg-type]
    run_stage(project.STAGE, root, rotation=rotation)


def resampled(root: Path, **changes: object) -> Table:
    run_stage(resample.STAGE, root, **changes)
    return Table.open(root / "data/healpix", verify=True)


def reference(
    root: Path, nside: int, faces: tuple[int, ...] = tuple(range(12))
) -> tuple[torch.Tensor, torch.Tensor]:
    table = Table.open(root / "data/projected")
    planar = table_camera(table)
    rotations = torch.from_numpy(table.column("rotation"))
    return sample_reference(table.images(), planar, rotations, pixel_centres(nside, faces))


@pytest.mark.parametrize("rotation", ["none", "z", "so3"])
@pytest.mark.parametrize("channels", [1, 3])
def test_maps_are_those_of_the_reference(tmp_path: Path, rotation: str, channels: int) -> None:
    prepare(tmp_path, blobs(20, 9, 13, channels), rotation, rows_per_part=6)
    table = resampled(tmp_path)
    values, valid = reference(tmp_path, 8)
    assert table.info.type == TableType(
        grid="healpix",
        nside=8,
        ordering="nested",
        faces=tuple(range(12)),
        channels=channels,
        dtype="float32",
        label_kind="class",
    )
    assert table.info.normaliser == 255.0 and table.info.classes == ("nought", "one", "two")
    torch.testing.assert_close(table.images().double(), values / 255, atol=1e-5, rtol=0)
    assert table.images().min() >= 0 and table.images().max() <= 1
    assert torch.equal(table.valid(), valid)
    given = Table.open(tmp_path / "data/projected")
    for name in ("sample", "label", "split", "rotation"):
        np.testing.assert_array_equal(table.column(name), given.column(name))


@pytest.mark.parametrize("rotation", ["none", "so3"])
def test_ring_maps_of_some_faces_are_the_nested_ones_reordered(
    tmp_path: Path, rotation: str
) -> None:
    prepare(tmp_path, blobs(5, 8, 8), rotation)
    faces = (0, 4, 5, 8)
    nested = resampled(tmp_path, faces=faces)
    images, valid = nested.images().clone(), nested.valid()
    values, _ = reference(tmp_path, 8, faces)
    torch.testing.assert_close(images.double(), values / 255, atol=1e-5, rtol=0)
    ring = resampled(tmp_path, faces=faces, ordering="ring")
    order = ring_order(8, faces)
    assert torch.equal(ring.images(), images[:, order])
    assert torch.equal(ring.valid(), valid[:, order])


def test_8_bit_maps_are_rounded(tmp_path: Path) -> None:
    prepare(tmp_path, blobs(5, 8, 8))
    table = resampled(tmp_path, dtype="uint8")
    values, _ = reference(tmp_path, 8)
    assert table.info.normaliser == 1.0
    assert (table.images().double() - values).abs().max() <= 0.5 + 1e-4


@pytest.mark.parametrize("rotation", ["none", "so3"])
def test_mask_labels_are_taken_from_the_containing_pixel(tmp_path: Path, rotation: str) -> None:
    """A mask with the image's own values: its label differs by half a step of the image at most."""
    height, width = 6, 9
    mask = (np.arange(4 * height * width) % 251 + 1).astype(np.uint8).reshape(4, -1)
    prepare(tmp_path, blobs(4, height, width), rotation, label_kind="mask", label=mask)
    table = resampled(tmp_path, nside=4)
    labels, valid = table.labels(), table.valid()
    assert labels.shape == (4, 192) and labels.dtype == torch.uint8
    assert (labels[~valid] == IGNORED).all()
    plane = Table.open(tmp_path / "data/projected")
    camera = table_camera(plane)
    assert camera == Stereographic.from_angle_of_view(100.0, height, width)
    R = quaternion_to_matrix(torch.from_numpy(plane.column("rotation")))
    u, v, _ = camera.project(pixel_centres(4) @ R)
    column, row = (torch.floor(x + 0.5).long() for x in (u, v))
    for n, p in torch.nonzero(valid).tolist():
        assert labels[n, p] == mask[n, row[n, p] * width + column[n, p]]


def test_float_images_keep_their_scale(tmp_path: Path) -> None:
    images = (blobs(4, 6, 6) - 100.0).astype(np.float32)
    prepare(tmp_path, images)
    table = resampled(tmp_path)
    values, _ = reference(tmp_path, 8)
    assert table.info.normaliser == 1.0
    torch.testing.assert_close(table.images().double(), values, atol=1e-3, rtol=0)
    with pytest.raises(UserError, match=r"resample\.dtype is uint8, but .* holds float32 images"):
        run_stage(resample.STAGE, tmp_path, dtype="uint8")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_none_is_named(tmp_path: Path, bad: float) -> None:
    images = blobs(4, 6, 6).astype(np.float32)
    images[2, 3, 4, 0] = bad
    prepare(tmp_path, images)
    with pytest.raises(UserError) as caught:
        run_stage(resample.STAGE, tmp_path)
    (line,) = caught.value.lines
    assert line == (
        f"{tmp_path / 'data/projected'}: image of sample 2 is {bad} at row 3, column 4, channel 0; "
        "expected finite numbers"
    )


def test_a_table_without_camera_is_refused(tmp_path: Path) -> None:
    write_raw(tmp_path / "data/projected", blobs(3, 4, 4))
    with pytest.raises(UserError, match="no camera; expected a table that project wrote"):
        run_stage(resample.STAGE, tmp_path)


def test_twice_the_same_bytes(tmp_path: Path) -> None:
    prepare(tmp_path, blobs(30, 8, 8), "so3")
    first = run_stage(resample.STAGE, tmp_path)
    shutil.rmtree(tmp_path / "data/healpix")
    shutil.rmtree(tmp_path / "results")
    assert run_stage(resample.STAGE, tmp_path) == first


def test_a_sample_is_the_same_in_any_table(tmp_path: Path) -> None:
    images = blobs(12, 8, 8)
    for name, rows in (("all", slice(0, 12)), ("some", slice(7, 9))):
        sample = np.arange(12, dtype=np.int64)[rows]
        prepare(tmp_path / name, images[rows], "so3", sample=sample)
    everything, some = resampled(tmp_path / "all"), resampled(tmp_path / "some")
    assert torch.equal(everything.images()[7:9], some.images())


@pytest.mark.parametrize("rotation", ["none", "so3"])
def test_memory_stays_flat(tmp_path: Path, rotation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several parts; what is held at a time is a part and its working memory, not the table."""
    images = np.tile(blobs(50, 8, 8), (120, 1, 1, 1))
    prepare(tmp_path, images, rotation, rows_per_part=6000)
    run_stage(resample.STAGE, tmp_path, nside=16)  # what is loaded once is loaded now
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            peak[0] = max(peak[0], anonymous_memory())

    start = anonymous_memory()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        table = resampled(tmp_path, nside=16)
    finally:
        done.set()
        watcher.join()
    size = sum(part["bytes"] for part in json.loads(
        (tmp_path / "data/healpix/table.json").read_text())["parts"])  # fmt: skip
    assert len(table) == 6000 and size > 70e6
    assert peak[0] - start < 160e6  # three parts of 32 MiB and working memory


def anonymous_memory() -> int:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("memory is read from /proc")
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


def test_a_damaged_picture_or_map_is_not_whole(tmp_path: Path) -> None:
    prepare(tmp_path, blobs(9, 8, 8))
    manifest = run_stage(resample.STAGE, tmp_path)
    assert sorted(path.name for path in (tmp_path / "results/resample").iterdir()) == [
        "mollweide.png",
        "orthographic.png",
    ]
    assert resample.STAGE.whole is not None
    job = stage_job(resample.STAGE, tmp_path)
    (tmp_path / "results/resample/mollweide.png").write_bytes(b"nothing")
    assert not resample.STAGE.whole(job, manifest)


def test_it_declares_what_it_gives() -> None:
    params = ResampleParams(
        grid="healpix", nside=4, ordering="ring", faces=(0, 1), bandlimit=None, dtype="uint8"
    )
    outputs = resample.STAGE.outputs({"resample": params})
    assert sorted(outputs) == ["healpix", "pictures"]
    kind = outputs["healpix"].type
    assert kind is not None
    assert kind({"resample": params}).mismatches(
        TableType(grid="healpix", nside=4, ordering="nested", dtype="float32")
    ) == ["ordering is ring; expected nested", "dtype is uint8; expected float32"]


EQUIANGULAR = {
    "grid": "driscoll-healy", "nside": None, "ordering": None, "faces": None, "bandlimit": 7,
}  # fmt: skip


@pytest.mark.parametrize("rotation", ["none", "z", "so3"])
def test_equiangular_maps_are_those_of_the_reference(tmp_path: Path, rotation: str) -> None:
    """Images, masks and validity at pi (2 j + 1) / 28 and 2 pi k / 14, in a table of their own."""
    mask = (np.arange(6 * 9 * 13) % 251 + 1).astype(np.uint8).reshape(6, -1)
    prepare(tmp_path, blobs(6, 9, 13), rotation, label_kind="mask", label=mask)
    manifest = run_stage(resample.STAGE, tmp_path, **EQUIANGULAR)
    assert sorted(manifest) == ["driscoll_healy", "pictures"]
    assert not (tmp_path / "data/healpix").exists()
    table = Table.open(tmp_path / "data/driscoll_healy", verify=True)
    assert table.info.type == TableType(
        "driscoll-healy", 14, 14, channels=1, dtype="float32", label_kind="mask"
    )
    plane = Table.open(tmp_path / "data/projected")
    camera, rotations = table_camera(plane), torch.from_numpy(plane.column("rotation"))
    points = driscoll_healy_directions(7).reshape(-1, 3)
    values, valid = sample_reference(plane.images(), camera, rotations, points)
    images = table.images().double().reshape(6, 196, 1)
    torch.testing.assert_close(images, values / 255, atol=1e-5, rtol=0)
    assert torch.equal(table.valid(), valid) and 0.05 < float(valid.float().mean()) < 0.5
    u, v, _ = camera.project(points @ quaternion_to_matrix(rotations))
    column, row = (torch.floor(x + 0.5).long() for x in (u, v))
    labels = table.labels()
    assert (labels[~valid] == IGNORED).all()
    for n, p in torch.nonzero(valid).tolist():
        assert labels[n, p] == mask[n, row[n, p] * 13 + column[n, p]]


def test_an_equiangular_table_is_declared_and_damage_to_it_seen(tmp_path: Path) -> None:
    params = ResampleParams(**EQUIANGULAR, dtype="uint8")  # type: ignore[arg-type]
    outputs = resample.STAGE.outputs({"resample": params})
    assert sorted(outputs) == ["driscoll_healy", "pictures"]
    kind = outputs["driscoll_healy"].type
    assert kind is not None
    assert kind({"resample": params}) == TableType("driscoll-healy", 14, 14, dtype="uint8")
    prepare(tmp_path, blobs(4, 8, 8))
    manifest = run_stage(resample.STAGE, tmp_path, **EQUIANGULAR, dtype="uint8")
    job = stage_job(resample.STAGE, tmp_path, **EQUIANGULAR, dtype="uint8")
    assert resample.STAGE.whole is not None and resample.STAGE.whole(job, manifest)
    (tmp_path / "data/driscoll_healy/part-00000.arrow").write_bytes(b"")
    assert not resample.STAGE.whole(job, manifest)
