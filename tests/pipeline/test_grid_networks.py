"""``train`` and ``evaluate`` of networks that read samples on a Driscoll-Healy grid."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from geocore.camera.models import Equidistant
from geocore.camera.record import camera_to_dict
from geocore.config.load import read_yaml
from geocore.data.table import TableWriter
from geocore.data.tabletype import Camera, TableInfo, TableType
from geocore.errors import UserError
from geocore.pipeline import evaluate, train
from geocore.pipeline.depth_scores import ranged
from geocore.pipeline.run import make, open_job
from geocore.so3.driscoll_healy import driscoll_healy_directions

ROOT = Path(__file__).parents[2]
BANDLIMIT, COUNT, CLASSES = 6, 24, ("nothing", "bump", "ring")
MODELS: dict[str, dict[str, Any]] = {
    "s2cnn": {
        "name": "s2cnn", "features": [3, 4], "bandlimits": [4, 3], "orders": None,
        "activation": "relu", "oversampling": 2.0, "sampling": "driscoll-healy", "norm": "channel",
        "kernel": "distinct", "points": [4, 2, 4], "reach": 3.0, "hidden": [], "recompute": False,
    },
    "cnn": {"name": "cnn", "features": [3, 4], "kernels": [3, 3], "strides": [1, 2]},
}  # fmt: skip


def write_table(root: Path, label_kind: str, model: dict[str, Any] | None = None) -> None:
    """Noise with labels and depths, every other test sample of each view."""
    edge, generator = 2 * BANDLIMIT, np.random.default_rng(0)
    kind = TableType(
        grid="driscoll-healy", height=edge, width=edge, channels=1, dtype="uint8",
        label_kind=label_kind,  # type: ignore[arg-type]
    )  # fmt: skip
    place = np.arange(COUNT)
    turn = np.zeros((COUNT, 4))
    turn[:, 0] = 1
    shape = (COUNT, edge * edge) if label_kind == "mask" else (COUNT,)
    labels = generator.integers(0, len(CLASSES), shape)
    columns: dict[str, Any] = {
        "sample": place.astype(np.int64),
        "image": generator.integers(0, 256, (COUNT, *kind.shape)).astype(np.uint8),
        "label": labels.astype(np.uint8 if label_kind == "mask" else np.int64),
        "split": (place % 3).astype(np.uint8),
        "rotation": turn,
        "view": (place // 3 % 2).astype(np.uint8),
    }
    if model is not None:
        columns["depth"] = generator.uniform(1, 9, (COUNT, edge * edge)).astype(np.float32)
    camera = Camera("stereographic", 90.0, "so3", model)
    info = TableInfo(kind, "made up", CLASSES, camera, views=("upright", "rotated"))
    folder = root / "data/driscoll_healy"
    folder.mkdir(parents=True)
    writer = TableWriter(info)
    writer.write_part(folder / "part-00000.arrow", columns)
    writer.seal(folder)


def project(root: Path, name: str, label_kind: str, camera: dict[str, Any] | None = None) -> None:
    """With a ``camera``: of depths."""
    write_table(root, label_kind, camera)
    for link in ("geocore", "flows", "tasks"):
        (root / link).symlink_to(ROOT / link)
    stages = read_yaml(ROOT / "dvc.yaml")
    kept = {stage: stages["stages"][stage] for stage in ("train", "evaluate")}
    optional = {port.path for port in evaluate.STAGE.takes.values() if port.optional}
    for stage in kept.values():
        stage["deps"] = [dep for dep in stage["deps"] if dep not in optional]
        stage["deps"].append("data/driscoll_healy")
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": kept}))
    params = read_yaml(ROOT / "params.yaml")
    task = "segmentation" if label_kind == "mask" else "classification"
    params = {key: params[key] for key in ("train", "evaluate", "gate", "runtime")}
    params["model"] = MODELS[name]
    params["train"] |= {"task": task, "epochs": 1, "batch_size": 4}
    if camera is not None:
        params["train"] |= {"task": "depth", "loss": "l2", "depth_scale": "linear"}
    params["evaluate"] |= {"batch_size": 3, "rotations": 2, "samples": 4, "calibration_bins": 5}
    params["gate"] = {**dict.fromkeys(params["gate"]), "rotation_error_max": 0.2}
    params["runtime"] |= {"progress": False}
    (root / "params.yaml").write_text(yaml.safe_dump(params))


def run(root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metrics of both stages."""
    found = []
    for stage in (train.STAGE, evaluate.STAGE):
        job = open_job(stage, root)
        stage.write(job, make(job))
        found.append(json.loads((root / f"results/{stage.name}/metrics.json").read_text()))
    return found[0], found[1]


@pytest.mark.parametrize("name", MODELS)
def test_classes(tmp_path: Path, name: str) -> None:
    project(tmp_path, name, "class")
    trained, metrics = run(tmp_path)
    assert trained["samples"] == COUNT // 3
    about = json.loads((tmp_path / "results/train/model.json").read_text())
    assert about["params"] == MODELS[name]
    assert set(metrics["views"]) == {"upright", "rotated"}
    told = pq.read_table(tmp_path / "results/evaluate/predictions.parquet").to_pylist()
    for code, view in enumerate(("upright", "rotated")):
        mine = [row for row in told if row["sample"] // 3 % 2 == code]
        assert metrics["views"][view]["n"] == len(mine) == 4
        assert metrics["views"][view]["nll"] == pytest.approx(fmean(row["nll"] for row in mine))
    assert metrics["views"]["upright"]["nll"] != metrics["views"]["rotated"]["nll"]
    errors = metrics["equivariance"]["so3"]["logits"]
    gate = json.loads((tmp_path / "results/evaluate/gates.json").read_text())
    assert gate["rotation_error_max"]["value"] == errors["mean"]
    assert (errors["mean"] < 0.2) == (name == "s2cnn") == gate["rotation_error_max"]["passed"]
    rows = pq.read_table(tmp_path / "results/evaluate/equivariance.parquet").to_pylist()
    assert len(rows) == 4 * 2 * (3 + 2 + 2), "samples, layers, rotations"
    if name == "s2cnn":
        assert metrics["equivariance"]["quarter_turn"]["logits"]["max"] < 1e-4


@pytest.mark.parametrize("name", MODELS)
def test_a_class_a_point(tmp_path: Path, name: str) -> None:
    project(tmp_path, name, "mask")
    _, metrics = run(tmp_path)
    assert set(metrics["test"]) >= {"all", "upright", "rotated"}
    assert set(metrics["test"]["rotated"]) == {"sphere"}
    errors = metrics["equivariance"]["so3"]["logits"]
    assert (errors["mean"] < 0.3) == (name == "s2cnn")
    assert (tmp_path / "results/evaluate/pictures/rotated.png").is_file()


@pytest.mark.parametrize("size", [2 * BANDLIMIT, 7])
def test_depths_lie_along_the_directions_of_the_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    camera = camera_to_dict(Equidistant(size, size, 3.0))
    project(tmp_path, "cnn", "mask", camera)
    seen = []

    def noting(values: Any, targets: Any, known: Any, directions: Any) -> Any:
        seen.append(directions)
        return ranged(values, targets, known, directions)

    monkeypatch.setattr("geocore.pipeline.dense_tally.ranged", noting)
    _, metrics = run(tmp_path)
    assert metrics["test"]["all"]["sphere"]["chamfer"] > 0
    expected = driscoll_healy_directions(BANDLIMIT).flatten(0, 1)
    assert all(torch.equal(directions, expected) for directions in seen)


def test_a_table_that_is_no_input(tmp_path: Path) -> None:
    project(tmp_path, "cnn", "class")
    job = open_job(train.STAGE, tmp_path)
    train.STAGE.write(job, make(job))
    stages = read_yaml(tmp_path / "dvc.yaml")
    stages["stages"]["evaluate"]["deps"].remove("data/driscoll_healy")
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(stages))
    with pytest.raises(UserError) as error:
        make(open_job(evaluate.STAGE, tmp_path))
    assert str(error.value) == (
        "data/driscoll_healy: is no input of evaluate; expected it among its deps, since the "
        "network was trained on such a table"
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"kernels": [3, 15]},
            "model.kernels is [3, 15]: edge is 12, an image of which shrinks to [12, 10, -2]; "
            "expected a larger one",
        ),
    ],
)
def test_a_cnn_that_the_grid_is_too_small_for(
    tmp_path: Path, changes: dict[str, Any], line: str
) -> None:
    project(tmp_path, "cnn", "class")
    params = read_yaml(tmp_path / "params.yaml")
    params["model"] |= changes
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(UserError) as error:
        make(open_job(train.STAGE, tmp_path))
    assert str(error.value) == line
