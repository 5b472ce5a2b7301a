"""The stage ``cost``: which networks are measured, how time is taken, what is written."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from geocore.config.cost import CostParams
from geocore.config.model import CnnParams
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.models.registry import ModelInfo
from geocore.pipeline import costing
from geocore.pipeline.cost import STAGE
from geocore.pipeline.costing import network_cost, networks
from geocore.pipeline.run import make, whole
from geocore.pipeline.stage import Job
from geocore.pipeline.stopwatch import machine
from tests.models.encoders import kind as nested
from tests.models.encoders import model_params
from tests.models.swins import planar, swin_params
from tests.pipeline.stages import study_job

CPU = torch.device("cpu")
PARAMS = CostParams(batch_sizes=(1, 3), repeats=2, train_batch=2)
GRID = TableType(
    grid="driscoll-healy", height=12, width=12, channels=1, dtype="uint8", label_kind="class"
)
CNN = CnnParams(name="cnn", features=(2, 3), kernels=(3, 3), strides=(1, 2))
WIDE = CNN.model_copy(update={"features": (4, 4)})


def info(params: Any = CNN, kind: TableType = GRID, **changes: Any) -> ModelInfo:
    values = {"classes": ("a", "b", "c"), "parameters": 1, "normaliser": 255.0, **changes}
    return ModelInfo(params, kind, **values)


MASKS = info(task="segmentation", objective={"class_weights": None})
ENCODER = info(model_params(), nested())
DEPTHS = info(
    swin_params(name="swin"), planar(16, 16), task="depth", outputs=1, classes=(),
    objective={"loss": "l1", "scale": "log", "mean": 0.0, "std": 1.0},
)  # fmt: skip


def job(root: Path, infos: dict[str, ModelInfo], notes: dict[str, Any] | None = None) -> Job:
    deps = []
    for name, about in infos.items():
        path = root / "studies/mine" / name / "results/train/model.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(about.to_json()))
        deps.append(path.relative_to(root).as_posix())
    return study_job(STAGE, root, PARAMS, deps=deps, notes=notes)


def test_what_differs_in_data_or_seed_alone_is_one_network() -> None:
    found = networks(
        {
            "classes/rotated_1/cnn": info(),
            "classes/rotated_1/cnn_seed1": info(classes=("d", "e", "f")),
            "classes/rotated_4/cnn": info(
                kind=dataclasses.replace(GRID, dtype="float32"), normaliser=1.0
            ),
            "classes/rotated_4/wide": info(WIDE),
            "masks/rotated_4/cnn": MASKS,
        }
    )
    assert {name: studies for name, (_, studies) in found.items()} == {
        "classes/cnn": [
            "classes/rotated_1/cnn", "classes/rotated_1/cnn_seed1", "classes/rotated_4/cnn"
        ],
        "classes/wide": ["classes/rotated_4/wide"],
        "masks/cnn": ["masks/rotated_4/cnn"],
    }  # fmt: skip


def test_a_name_that_does_not_tell_a_network_apart_is_the_whole_path() -> None:
    finer = info(kind=dataclasses.replace(GRID, height=16, width=16))
    found = networks({"g/coarse/cnn": info(), "g/fine/cnn": finer, "g/fine/net": info(WIDE)})
    assert list(found) == ["g/coarse/cnn", "g/fine/cnn", "g/net"]
    found = networks({"g/a/one": info(), "g/a/two": info()})
    assert list(found) == ["g/a/one"], "two names of one network"


@pytest.mark.parametrize("about", [info(), MASKS, ENCODER, DEPTHS])
def test_each_kind_of_network_is_trained_and_asked(about: ModelInfo) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    found = network_cost(about, PARAMS, CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert found.step > 0 and list(found.latency) == [1, 3]
    assert all(taken > 0 for taken in found.latency.values())


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes 0.1 s, an inference 0.01 s and 1 ms a sample."""

    def cost(about: ModelInfo, params: CostParams, device: torch.device) -> costing.NetworkCost:
        latency = {batch: 0.01 + 0.001 * batch for batch in params.batch_sizes}
        return costing.NetworkCost(1000 * len(about.params.name), 0.1, latency)

    monkeypatch.setattr(costing, "network_cost", cost)


@pytest.mark.usefixtures("quick")
def test_a_row_a_network_and_the_machine_in_the_ledger(tmp_path: Path) -> None:
    notes: dict[str, Any] = {}
    infos = {"g/a_1/cnn": info(), "g/a_2/cnn": info(), "g/a_1/wide": info(WIDE)}
    this = job(tmp_path, infos, notes)
    assert STAGE.make(this)["networks"] == 2
    folder = tmp_path / "studies/mine/results/cost"
    assert sorted(path.name for path in folder.iterdir()) == ["latency.png", "table.csv"]
    with (folder / "table.csv").open() as stream:
        first, second = csv.DictReader(stream)
    assert (first["network"], first["studies"], first["parameters"]) == ("g/cnn", "2", "3000")
    assert second["network"] == "g/wide"
    assert first["train_samples_per_second_2"] == "20"
    assert (first["latency_ms_1"], first["latency_ms_3"]) == ("11", "13")
    assert float(first["samples_per_second_3"]) == pytest.approx(3 / 0.013, rel=1e-3)
    assert notes["machine"] == machine() and notes["device"] == "cpu"


@pytest.mark.usefixtures("quick")
def test_it_measures_whenever_it_is_asked(tmp_path: Path) -> None:
    notes: dict[str, Any] = {}
    this = job(tmp_path, {"g/a/cnn": info()}, notes)
    for _ in range(2):
        notes.clear()
        make(this)
        assert notes["pieces"] == {this.key: "made"}
        assert not whole(this), "no cached task may answer for it"


def test_what_cannot_be_measured_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^stage cost: deps name no results/train/model\.json"):
        STAGE.make(job(tmp_path, {}))
    this = job(tmp_path, {"g/a/cnn": info()})
    path = tmp_path / "studies/mine/g/a/cnn/results/train/model.json"
    for text, told in (("{", "not JSON"), ("{}", "holds {}"), ("[]", r"holds \[\]")):
        path.write_text(text)
        expected = rf"^studies/mine/g/a/cnn/results/train/model\.json: {told}; expected what train"
        with pytest.raises(UserError, match=expected):
            STAGE.make(this)
    assert not (tmp_path / "studies/mine/results/cost").exists()
