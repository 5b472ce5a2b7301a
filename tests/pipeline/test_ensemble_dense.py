"""``ensemble`` on pixels: members as ``train`` makes them, a row a sample, nothing per pixel."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from geocore.config.ensemble import EnsembleParams
from geocore.ensembles.seeds import member_seeds
from geocore.models.registry import load
from geocore.pipeline.ensemble import STAGE
from geocore.pipeline.stage import Job
from geocore.runs.digest import digest_json
from geocore.train.feed import table_feed
from geocore.train.loop import score
from geocore.train.objective import recorded
from tests.pipeline.stages import results_of
from tests.pipeline.test_train_dense import job_in as train_job
from tests.pipeline.test_train_dense import write_source
from tests.train.scenes import CPU

MEMBERS = 2
SEEDS = member_seeds(0, MEMBERS)
SPLITS = np.arange(12, dtype=np.uint8) % 3
CASES = [("heal_swin", "segmentation"), ("swin", "depth")]


def job_in(root: Path, network: str, task: str, notes: Any = None, chunk: int = 1) -> Job:
    job = train_job(root, network, task, notes)
    return dataclasses.replace(
        job,
        stage=STAGE,
        sections={
            **job.sections,
            "ensemble": EnsembleParams(members=MEMBERS, chunk=chunk, seed=0),
        },
        inputs={"table": "digest of the table"},
        key=digest_json([network, task]),
    )


@pytest.mark.parametrize(("network", "task"), CASES)
def test_members_and_what_they_say(tmp_path: Path, network: str, task: str) -> None:
    table = write_source(tmp_path, network, split=SPLITS)
    files = results_of(job_in(tmp_path, network, task))
    metrics = json.loads(files["metrics.json"])
    folder = tmp_path / "results/ensemble"
    predictions = pq.read_table(folder / "predictions.parquet").to_pylist()
    members = pq.read_table(folder / "members.parquet").to_pylist()

    # A member is what train makes of its seed.
    single = train_job(tmp_path, network, task, seed=SEEDS[1])
    alone = results_of(single)
    weights = load_file(tmp_path / "results/train/weights.safetensors")
    # Adam sums the last few numbers of a tensor in another way than those of a longer one, and
    # norms of four channels are such: a unit in the last place.
    for name, value in load_file(folder / "members/member-001.safetensors").items():
        torch.testing.assert_close(value, weights[name], atol=1e-7, rtol=1e-6)
    assert files["model.json"] == alone["model.json"]
    told = json.loads(alone["metrics.json"])
    del told["parameters"], told["samples"]
    assert metrics["training"][1] == pytest.approx({"seed": SEEDS[1], **told}, rel=1e-6)
    curves = list(csv.DictReader(files["curves.csv"].decode().splitlines()))
    assert [row["member"] for row in curves] == ["0", "0", "1", "1"]

    # The scores of the members are those of their weights.
    _, info = load(folder / "members/member-000.safetensors", folder / "model.json")
    learned = recorded(info.task, info.objective, info.classes)
    name = "val_mean_iou" if task == "segmentation" else "val_rmse"
    own = [went[name] for went in metrics["training"]]
    key = name.removeprefix("val_")
    assert metrics["val"]["mean_member"][key] == pytest.approx(sum(own) / MEMBERS, rel=1e-9)
    best = max(own) if task == "segmentation" else min(own)
    assert metrics["val"]["best_member"][key] == pytest.approx(best, rel=1e-9)

    # A row a sample, validation before test.
    ids = [*table_feed(table, "val", CPU, learned.task).ids.tolist()]
    ids += table_feed(table, "test", CPU, learned.task).ids.tolist()
    assert [row["sample"] for row in predictions] == ids
    assert [row["split"] for row in predictions] == ["val"] * 4 + ["test"] * 4
    assert [row["member"] for row in members] == [0, 1] * 8
    if task == "depth":
        square = sum(row["rmse"] ** 2 * row["pixels"] for row in predictions[:4])
        pixels = sum(row["pixels"] for row in predictions[:4])
        assert metrics["val"]["rmse"] == pytest.approx((square / pixels) ** 0.5, rel=1e-9)
        model, _ = load(folder / "members/member-001.safetensors", folder / "model.json")
        feed = table_feed(table, "test", CPU, learned.task)
        found = score(model, feed, 4, learned)["val_rmse"]
        rows = [row for row in members if row["split"] == "test" and row["member"] == 1]
        square = sum(
            row["rmse"] ** 2 * whole["pixels"]
            for row, whole in zip(rows, predictions[4:], strict=True)
        )
        pixels = sum(row["pixels"] for row in predictions[4:])
        assert found == pytest.approx((square / pixels) ** 0.5, rel=1e-6)
    else:
        assert set(predictions[0]) == {
            "sample", "split", "pixels", "nll", "accuracy", "entropy", "expected_entropy",
            "mutual_information",
        }  # fmt: skip


def test_chunks_change_no_byte(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_source(tmp_path / name, "heal_swin", split=SPLITS)
    first = results_of(job_in(tmp_path / "first", "heal_swin", "segmentation"))
    torch.manual_seed(99)
    assert results_of(job_in(tmp_path / "second", "heal_swin", "segmentation", chunk=2)) == first
