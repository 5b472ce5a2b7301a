"""``train`` on pixels: maps or images by the network, the same bytes after a kill, what is kept."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocore.data.table import IGNORED, Table
from geocore.errors import UserError
from geocore.models.registry import load
from geocore.pipeline.stage import Job
from geocore.pipeline.train import STAGE
from geocore.train.feed import table_feed
from geocore.train.loop import score
from geocore.train.objective import recorded
from tests.models.swins import swin_params
from tests.pipeline.stages import results_of
from tests.pipeline.test_train import job_in as train_job
from tests.pipeline.test_train import kill_at, make_until_killed
from tests.train.pixels import CLASSES, MAPS, PLANES, columns, pixel_params, write_dense
from tests.train.scenes import CPU

SMALL: dict[str, Any] = {
    "embed": 4, "depths": (1, 1), "heads": (1, 2), "window": 4, "dropout": 0.2, "norm": "pre",
    "attention": "dot",
}  # fmt: skip
IMAGES = dataclasses.replace(PLANES, height=8, width=8, dtype="uint8")
SOURCES = {"heal_swin": ("data/healpix", MAPS), "swin": ("data/projected", IMAGES)}
CASES = [("heal_swin", "segmentation"), ("swin", "segmentation"), ("swin", "depth")]


def job_in(root: Path, network: str, task: str, notes: Any = None, **train: Any) -> Job:
    job = train_job(root, notes)
    weights = "median_frequency" if task == "segmentation" else "none"
    params = pixel_params(task, **{"epochs": 2, "class_weights": weights, **train})
    model = swin_params(name=network, **SMALL)
    return dataclasses.replace(job, sections={**job.sections, "model": model, "train": params})


def write_source(root: Path, network: str, **changes: np.ndarray) -> Table:
    place, kind = SOURCES[network]
    return write_dense(root / place, kind, {**columns(kind), **changes})


@pytest.mark.parametrize(("network", "task"), CASES)
def test_what_is_written_is_what_was_trained(tmp_path: Path, network: str, task: str) -> None:
    table = write_source(tmp_path, network)
    files = results_of(job_in(tmp_path, network, task))
    assert sorted(files) == sorted(Path(port.path).name for port in STAGE.gives.values())
    metrics = json.loads(files["metrics.json"])
    rows = list(csv.DictReader(files["curve.csv"].decode().splitlines()))
    folder = tmp_path / "results/train"
    model, info = load(folder / "weights.safetensors", folder / "model.json", table.info.type)
    assert (info.task, info.dense, info.classes) == (task, True, CLASSES)
    learned = recorded(info.task, info.objective, info.classes)
    feed = table_feed(table, "val", CPU, learned.task)
    found = score(model, feed, 4, learned)
    assert {name: metrics[name] for name in found} == found
    assert list(rows[0]) == list(learned.columns)
    assert set(learned.names) < set(metrics)
    best = min(rows, key=lambda row: learned.criterion({n: float(v) for n, v in row.items()}))
    assert int(best["epoch"]) == metrics["best_epoch"]
    expected = {"class_weights"} if task == "segmentation" else {"loss", "scale", "mean", "std"}
    assert info.objective.keys() == expected


@pytest.mark.parametrize(("network", "task"), CASES)
def test_a_killed_training_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str, task: str
) -> None:
    for name in ("first", "second"):
        write_source(tmp_path / name, network)
    undisturbed = results_of(job_in(tmp_path / "first", network, task))
    kill_at(monkeypatch, 3)  # an epoch has two steps, and a checkpoint is made at the second
    make_until_killed(job_in(tmp_path / "second", network, task))
    notes: dict[str, Any] = {}
    assert results_of(job_in(tmp_path / "second", network, task, notes)) == undisturbed
    assert notes["resumed_from"] == 2


def test_two_outputs_for_a_depth_and_its_variance(tmp_path: Path) -> None:
    write_source(tmp_path, "swin")
    results_of(job_in(tmp_path, "swin", "depth", loss="gaussian_nll", depth_scale="log"))
    info = json.loads((tmp_path / "results/train/model.json").read_text())
    assert info["outputs"] == 2
    assert (info["objective"]["loss"], info["objective"]["scale"]) == ("gaussian_nll", "log")


def mistake(job: Job) -> str:
    with pytest.raises(UserError) as error:
        results_of(job)
    assert not (job.root / "results").exists()
    (line,) = error.value.lines
    return line.replace(f"{job.root}/", "")


def test_each_network_has_its_input(tmp_path: Path) -> None:
    write_source(tmp_path, "swin")
    assert mistake(job_in(tmp_path, "heal_swin", "segmentation")) == (
        "data/healpix: no table.json there; expected a finished table"
    )
    sections = job_in(tmp_path, "swin", "depth").sections
    needed = {name: port.needed and port.needed(sections) for name, port in STAGE.takes.items()}
    assert needed == {"healpix": False, "projected": True, "driscoll_healy": False}


def test_a_class_a_sample_is_no_class_a_pixel(tmp_path: Path) -> None:
    kind = dataclasses.replace(MAPS, label_kind="class")
    values = {**columns(kind), "label": np.arange(12) % 3}
    del values["depth"]
    write_dense(tmp_path / "data/healpix", kind, values)
    assert mistake(job_in(tmp_path, "heal_swin", "segmentation")) == (
        "data/healpix: label_kind is class; expected mask"
    )
    assert mistake(job_in(tmp_path, "heal_swin", "depth")).startswith(
        "data/healpix: no column 'depth'; found "
    )


def test_a_validation_split_without_labels_is_told(tmp_path: Path) -> None:
    values = columns(MAPS)
    values["label"][values["split"] == 1] = IGNORED
    write_source(tmp_path, "heal_swin", label=values["label"])
    assert mistake(job_in(tmp_path, "heal_swin", "segmentation")) == (
        "data/healpix: no pixel of the val split has a label; expected some"
    )
