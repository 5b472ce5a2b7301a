"""Chunks inside a part change nothing; what is no projected table is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from geocore.data.table import Table
from geocore.data.tabletype import TableInfo, TableType
from geocore.pipeline import onto_sphere, project
from geocore.pipeline.onto_sphere import OntoSphere
from tests.pipeline.stages import blobs, run_stage, write_raw

FACES = tuple(range(12))


def table_and_info(root: Path, rotation: str) -> tuple[Table, TableInfo]:
    write_raw(root / "data/raw", blobs(10, 8, 8), rows_per_part=4)
    run_stage(project.STAGE, root, rotation=rotation)
    table = Table.open(root / "data/projected")
    kind = TableType(
        grid="healpix", nside=8, ordering="nested", faces=FACES, channels=1, dtype="float32",
        label_kind="class",
    )  # fmt: skip
    return table, dataclasses.replace(table.info, type=kind, normaliser=255.0)


@pytest.mark.parametrize("rotation", ["none", "so3"])
def test_chunks_change_nothing(
    tmp_path: Path, rotation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resampler = OntoSphere(*table_and_info(tmp_path, rotation))
    assert resampler.shared == (rotation == "none")
    whole = resampler.columns(slice(1, 9))
    assert whole["image"].shape == (8, 768, 1) and whole["label"].tolist() == [1, 2, 0] * 2 + [1, 2]
    monkeypatch.setattr(onto_sphere, "_CHUNK_BYTES", 1)
    for name, column in resampler.columns(slice(1, 9)).items():
        np.testing.assert_array_equal(column, whole[name])


def test_an_open_type_is_refused(tmp_path: Path) -> None:
    table, info = table_and_info(tmp_path, "none")
    with pytest.raises(ValueError, match="expected a camera"):
        OntoSphere(table, dataclasses.replace(info, camera=None))
    for kind in (dataclasses.replace(info.type, nside=None), TableType("driscoll-healy")):
        with pytest.raises(ValueError, match="expected a complete healpix or driscoll-healy type"):
            OntoSphere(table, dataclasses.replace(info, type=kind))
