"""A table's camera is rebuilt from its metadata, or a line says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geocore.camera.models import Equidistant, Pinhole, Stereographic
from geocore.camera.record import camera_to_dict
from geocore.data.table import Table, TableWriter
from geocore.data.tablecamera import flat_camera, table_camera
from geocore.data.tabletype import Camera, TableInfo, TableType
from geocore.errors import UserError

PLANE = TableType("planar", 4, 6, channels=1, dtype="uint8", label_kind="none")
MAPS = TableType(
    "healpix", nside=1, ordering="nested", faces=(0, 1), channels=1, dtype="uint8",
    label_kind="none",
)  # fmt: skip


def table_of(folder: Path, kind: TableType, camera: Camera | None) -> Table:
    info = TableInfo(kind, "made", camera=camera)
    folder.mkdir()
    columns: dict[str, np.ndarray] = {
        "sample": np.zeros(1, np.int64), "split": np.zeros(1, np.uint8),
        "image": np.zeros((1, *kind.shape), np.uint8),
    }  # fmt: skip
    TableWriter(info).write_part(folder / "part-00000.arrow", columns)
    TableWriter(info).seal(folder)
    return Table.open(folder)


def test_a_model_is_rebuilt_for_images_and_maps(tmp_path: Path) -> None:
    lens = Equidistant(4, 6, 2.5, offset=(0.5, -0.25), limit=80.0)
    about = Camera("source", None, "so3", camera_to_dict(lens), posed=True)
    assert table_camera(table_of(tmp_path / "plane", PLANE, about)) == lens
    assert table_camera(table_of(tmp_path / "maps", MAPS, about)) == lens


@pytest.mark.parametrize(
    ("projection", "model"), [("gnomonic", Pinhole), ("stereographic", Stereographic)]
)
def test_a_projection_has_the_size_of_its_images(
    tmp_path: Path, projection: str, model: type[Pinhole]
) -> None:
    about = Camera(projection, 70.0, "none")  # type: ignore[arg-type]
    found = table_camera(table_of(tmp_path / "plane", PLANE, about))
    assert found == model.from_angle_of_view(70.0, 4, 6)
    with pytest.raises(UserError, match="maps: its camera has no image size; expected its model"):
        table_camera(table_of(tmp_path / "maps", MAPS, about))


@pytest.mark.parametrize(
    ("camera", "line"),
    [
        (None, "no camera; expected a table that project wrote"),
        (
            Camera("source", None, "none", camera_to_dict(Equidistant(5, 6, 2.5))),
            "images are 6 x 4 pixels; expected 6 x 5, as their camera has",
        ),
        (
            Camera("source", None, "none", {"model": "pinhole", "height": 4, "width": 6}),
            "camera focal is missing; expected it for pinhole",
        ),
        (
            Camera("source", None, "none", {"model": "box"}),
            'camera model is "box"; expected one of pinhole, equidistant, equisolid, '
            "stereographic, radial_polynomial",
        ),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, camera: Camera | None, line: str) -> None:
    with pytest.raises(UserError) as caught:
        table_camera(table_of(tmp_path / "plane", PLANE, camera))
    assert caught.value.lines == (f"{tmp_path / 'plane'}: {line}",)


def test_a_projection_that_is_none() -> None:
    with pytest.raises(ValueError, match="projection is 'box'; expected one of gnomonic, stereo"):
        flat_camera("box", 70.0, 4, 6)
