"""``project`` records where images lie, and leaves them as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geocore.camera.pose import look_at
from geocore.config.load import validate
from geocore.config.project import ProjectParams
from geocore.data.table import Table
from geocore.data.tabletype import Camera
from geocore.errors import UserError
from geocore.pipeline.project import STAGE
from geocore.so3.rotation import compose, geodesic_distance, quaternion_to_matrix
from geocore.so3.sampling import random_rotations
from tests.pipeline.stages import PROJECT, blobs, run_stage, write_raw


def projected(root: Path, **changes: object) -> Table:
    run_stage(STAGE, root, **changes)
    return Table.open(root / "data/projected", verify=True)


def test_samples_are_copied_and_the_camera_recorded(tmp_path: Path) -> None:
    images = blobs(25, 8, 11)
    raw = write_raw(tmp_path / "data/raw", images, rows_per_part=7)
    table = projected(tmp_path, projection="gnomonic", angle_of_view=60.0)
    assert table.info.type == raw.type and table.info.classes == raw.classes
    assert table.info.camera == Camera("gnomonic", 60.0, "none")
    np.testing.assert_array_equal(table.images().numpy(), images)
    assert table.column("sample").tolist() == list(range(25))
    assert table.labels().tolist() == [row % 3 for row in range(25)]
    assert table.column("split").tolist() == [row % 3 for row in range(25)]
    base = look_at(90.0, 45.0).numpy()
    np.testing.assert_allclose(table.column("rotation"), np.tile(base, (25, 1)), atol=1e-15)


def test_a_random_rotation_comes_after_the_base_and_goes_with_the_sample(tmp_path: Path) -> None:
    samples = np.array([5, 3, 100, 101, 7], dtype=np.int64)
    write_raw(tmp_path / "data/raw", blobs(5, 4, 4), sample=samples)
    table = projected(tmp_path, rotation="so3", seed=9, colatitude=30.0)
    random = random_rotations("so3", 9, samples)
    expected = compose(random, look_at(30.0, 45.0).expand(5, 4))
    found = torch.from_numpy(table.column("rotation"))
    assert geodesic_distance(found, expected).max() < 1e-14
    assert table.info.camera is not None and table.info.camera.rotation == "so3"


def test_rotations_about_z_keep_the_colatitude(tmp_path: Path) -> None:
    write_raw(tmp_path / "data/raw", blobs(50, 4, 4))
    table = projected(tmp_path, rotation="z", colatitude=60.0)
    axes = quaternion_to_matrix(torch.from_numpy(table.column("rotation")))[:, :, 2]
    torch.testing.assert_close(axes[:, 2], torch.full((50,), 0.5).double(), atol=1e-14, rtol=0)
    assert axes[:, 0].std() > 0.3


def test_twice_the_same_and_another_seed_another(tmp_path: Path) -> None:
    digests = []
    for number, seed in enumerate((1, 1, 2)):
        root = tmp_path / str(number)
        write_raw(root / "data/raw", blobs(9, 4, 4))
        digests.append(run_stage(STAGE, root, rotation="so3", seed=seed)["projected"]["digest"])
    assert digests[0] == digests[1] != digests[2]


def test_images_without_labels(tmp_path: Path) -> None:
    write_raw(tmp_path / "data/raw", blobs(3, 4, 4), label_kind="none")
    assert "label" not in projected(tmp_path).columns


def test_copies_of_training_samples_and_views_of_test_samples(tmp_path: Path) -> None:
    samples = np.arange(9, dtype=np.int64) * 2  # split: row % 3
    images = blobs(9, 4, 4)
    write_raw(tmp_path / "data/raw", images, sample=samples)
    table = projected(tmp_path, rotation="so3", copies=3, views=("none", "so3"), seed=4)
    split, number = table.column("split"), table.column("sample")
    assert np.bincount(split).tolist() == [9, 3, 6]
    assert len(set(number.tolist())) == len(number)
    rows = number % 17 // 2  # the stride is one above the largest sample, 16
    np.testing.assert_array_equal(table.images().numpy(), images[rows])
    assert table.labels().tolist() == (rows % 3).tolist()
    found = torch.from_numpy(table.column("rotation"))
    base = look_at(90.0, 45.0)
    turned = compose(random_rotations("so3", 4, number), base.expand(len(number), 4))
    upright = (split == 2) & (number < 17)
    expected = torch.where(torch.from_numpy(upright)[:, None], base, turned)
    assert geodesic_distance(found, expected).max() < 1e-14
    assert table.info.views == ("upright", "rotated")
    assert table.column("view").tolist() == np.where(upright, 0, 1).tolist()
    assert table.info.camera is not None and not table.info.camera.alike


def test_a_first_copy_is_the_sample_itself(tmp_path: Path) -> None:
    tables = []
    for copies in (1, 2):
        root = tmp_path / str(copies)
        write_raw(root / "data/raw", blobs(9, 4, 4))
        tables.append(projected(root, rotation="so3", copies=copies))
    once, twice = tables
    np.testing.assert_array_equal(once.column("rotation"), twice.column("rotation")[: len(once)])
    assert "view" not in once.columns


def test_views_where_the_source_has_its_own(tmp_path: Path) -> None:
    write_raw(tmp_path / "data/raw", blobs(3, 4, 4), views=("near", "far"))
    with pytest.raises(UserError) as error:
        projected(tmp_path, views=("none", "so3"))
    assert str(error.value) == (
        "params.yaml: project.views is ['none', 'so3'], but test has views of its own, "
        "near, far; expected null"
    )


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"copies": 4}, "copies is 4; expected 1 with rotation none, where all copies of a sample"),
        (
            {"views": []},
            "views is []; expected null or a list of one or more of none, z, so3, each",
        ),
        ({"views": ["z", "z"]}, 'views is ["z", "z"]; expected null or a list of one or more of'),
        ({"copies": 0, "rotation": "z"}, "copies is 0; expected an integer at least 1 and at most"),
    ],
)
def test_bad_copies_and_views(changes: dict[str, Any], found: str) -> None:
    with pytest.raises(UserError) as error:
        validate(PROJECT | changes, ProjectParams, "params.yaml")
    assert str(error.value).startswith(f"params.yaml: project.{found}")
