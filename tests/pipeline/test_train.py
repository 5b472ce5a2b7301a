"""``train``: the same bytes whatever happened on the way, and one line for each mistake."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geocore.config.runtime import RuntimeParams
from geocore.data.table import Table, TableWriter
from geocore.data.tabletype import TableInfo, TableType
from geocore.errors import UserError
from geocore.models.registry import load
from geocore.pipeline.progress import Progress
from geocore.pipeline.stage import Job, Manifest
from geocore.pipeline.train import STAGE
from geocore.runs.store import Store
from geocore.train.feed import table_feed
from geocore.train.loop import score
from tests.models.encoders import kind, model_params
from tests.train.scenes import CPU, blobs, train_params

OUTPUTS = [Path(port.path).name for port in STAGE.gives.values()]
KEY = "0123456789abcdef" * 2
Change = Callable[[dict[str, np.ndarray]], None]


class KilledError(Exception):
    """Stands for kill -9: nothing is done after it."""


def write_table(
    root: Path,
    table: TableType | None = None,
    change: Change | None = None,
    classes: tuple[str, ...] = ("a", "b", "c"),
) -> None:
    images, labels = blobs(40, 1)
    columns: dict[str, np.ndarray] = {
        "sample": np.arange(100, 140),
        "image": images.numpy(),
        "label": labels.numpy(),
        "split": (np.arange(40) % 4 // 2 + np.arange(40) % 4 // 3).astype(np.uint8),
    }
    if change is not None:
        change(columns)
    folder = root / "data/healpix"
    folder.mkdir(parents=True)
    info = TableInfo(table or kind(4, (0, 1, 2, 3)), "test", classes)
    writer = TableWriter(info)
    writer.write_part(folder / "part-00000.arrow", columns)
    writer.seal(folder)


def job_in(root: Path, notes: dict[str, Any] | None = None, **runtime: Any) -> Job:
    values: dict[str, Any] = {
        "device": "cpu",
        "threads": 1,
        "workers": 1,
        "checkpoint_every": 2,
        "progress": False,
    }

    def note(**values: Any) -> None:
        if notes is not None:
            pieces = notes.get("pieces", {}) | values.get("pieces", {})
            notes.update(values, pieces=pieces)

    return Job(
        stage=STAGE,
        root=root,
        sections={
            "model": model_params(depths=(1, 1), heads=(1, 2), dropout=0.2),
            "train": train_params(epochs=3),
            "runtime": RuntimeParams(**(values | runtime)),
        },
        values={"train.epochs": 3},
        inputs={},
        store=Store(root / "store"),
        work=root / "work",
        key=KEY,
        code="code",
        progress=Progress(False),
        note=note,
    )


def run(job: Job) -> dict[str, bytes]:
    STAGE.write(job, STAGE.make(job))
    return {name: (job.root / "results/train" / name).read_bytes() for name in OUTPUTS}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("undisturbed")
    write_table(root)
    return run(job_in(root))


def test_what_is_written_is_what_was_trained(tmp_path: Path) -> None:
    write_table(tmp_path)
    notes: dict[str, Any] = {}
    job = job_in(tmp_path, notes)
    manifest = STAGE.make(job)
    STAGE.write(job, manifest)
    folder = tmp_path / "results/train"
    metrics = json.loads((folder / "metrics.json").read_text())
    with (folder / "curve.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    model, info = load(folder / "weights.safetensors", folder / "model.json")
    feed = table_feed(Table.open(tmp_path / "data/healpix"), "val", CPU)
    found = score(model, feed, 8)
    nll, accuracy = found["val_nll"], found["val_accuracy"]
    # The scores of the weights on disk are those that the metrics and the curve's best row state.
    assert nll == metrics["val_nll"] == min(float(row["val_nll"]) for row in rows)
    assert accuracy == metrics["val_accuracy"]
    assert [int(row["step"]) for row in rows] == [3, 6, 9]
    assert metrics["steps"] == 9 and metrics["epochs"] == 3
    assert info.parameters == metrics["parameters"] == sum(p.numel() for p in model.parameters())
    assert (info.classes, info.type) == (("a", "b", "c"), kind(4, (0, 1, 2, 3)))
    assert manifest["val_nll"] == nll and sorted(manifest["files"]) == sorted(OUTPUTS)
    assert notes["pieces"][KEY] == "made" and len(notes["pieces"]) == 3
    assert notes["device"] == "cpu" and notes["steps_per_second"] > 0


def test_same_job_same_bytes(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    write_table(tmp_path)
    torch.manual_seed(99)
    assert run(job_in(tmp_path, checkpoint_every=1000)) == undisturbed


def test_a_second_time_it_is_found(tmp_path: Path) -> None:
    write_table(tmp_path)
    first = run(job_in(tmp_path))
    for name in OUTPUTS:
        (tmp_path / "results/train" / name).unlink()  # as DVC does before a run
    notes: dict[str, Any] = {}
    assert run(job_in(tmp_path, notes)) == first
    assert notes["pieces"] == {KEY: "found"}


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The next training stops in the middle of that step."""
    from geocore.train import loop

    plain = loop._step

    def step_or_die(state: Any, *rest: Any) -> None:
        if state.step == step:
            monkeypatch.setattr(loop, "_step", plain)
            raise KilledError
        plain(state, *rest)

    monkeypatch.setattr(loop, "_step", step_or_die)


def make_until_killed(job: Job) -> None:
    with pytest.raises(KilledError):
        STAGE.make(job)


@pytest.mark.parametrize("kills", [[1], [4], [5, 6, 8]])
def test_a_killed_training_goes_on_to_the_same_bytes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: dict[str, bytes],
    kills: list[int],
) -> None:
    write_table(tmp_path)
    for step in kills:
        kill_at(monkeypatch, step)
        make_until_killed(job_in(tmp_path))
    notes: dict[str, Any] = {}
    assert run(job_in(tmp_path, notes)) == undisturbed
    assert notes.get("resumed_from", 0) == kills[-1] // 2 * 2
    # The checkpoints are gone: the store holds the training alone.
    assert [piece.key for piece in Store(tmp_path / "store").pieces()] == [KEY]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, bytes]
) -> None:
    write_table(tmp_path)
    kill_at(monkeypatch, 7)
    make_until_killed(job_in(tmp_path))
    pieces = sorted(Store(tmp_path / "store").pieces(), key=lambda p: int(p.values["step"]))
    assert [piece.values["step"] for piece in pieces] == [4, 6]
    path = pieces[1].folder / "state.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    notes: dict[str, Any] = {}
    assert run(job_in(tmp_path, notes)) == undisturbed
    assert notes["resumed_from"] == 4


def mistake(root: Path, **runtime: Any) -> str:
    """The one line that the stage ends with; nothing half-made is left."""
    with pytest.raises(UserError) as error:
        run(job_in(root, **runtime))
    assert not (root / "results").exists()
    assert list(Store(root / "store").pieces()) == []
    (line,) = error.value.lines
    return line.replace(f"{root}/", "")


def test_a_ring_ordered_table_is_refused(tmp_path: Path) -> None:
    ring = TableType("healpix", None, None, 4, "ring", (0, 1, 2, 3), 1, "float32", "class")
    write_table(tmp_path, ring)
    assert mistake(tmp_path) == "data/healpix: ordering is ring; expected nested"


def test_nan_in_the_input_is_named(tmp_path: Path) -> None:
    def change(columns: dict[str, np.ndarray]) -> None:
        columns["image"][5, 3] = np.nan

    write_table(tmp_path, change=change)
    assert mistake(tmp_path) == (
        "data/healpix: image of sample 105 is nan at pixel 3, channel 0; expected finite numbers"
    )


def test_a_table_without_classes_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path, classes=())
    assert mistake(tmp_path) == "data/healpix: names no classes; expected a name for each label"


def test_a_label_out_of_range_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocore.data.table._require_codes", lambda *_: None)
    write_table(tmp_path, classes=("a", "b"))
    assert mistake(tmp_path) == "data/healpix: sample 105 has label 2; expected 0 to 1"


def test_a_network_too_deep_for_the_maps_is_refused(tmp_path: Path) -> None:
    write_table(
        tmp_path,
        kind(2, (0, 1, 2, 3)),
        lambda columns: columns.update(image=columns["image"][:, :16]),
    )
    assert mistake(tmp_path) == (
        "model.depths has 2 stages and resample.nside is 2; "
        "expected an nside from 4 to 32, or fewer stages"
    )


def test_cuda_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    write_table(tmp_path)
    assert mistake(tmp_path, device="cuda") == (
        "runtime.device is cuda; this machine has no CUDA device "
        f"(torch {torch.__version__}); expected cpu"
    )


def test_a_training_that_diverges_leaves_nothing_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = torch.nn.functional.nll_loss
    calls: list[int] = []

    def nll_loss(log_p: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return plain(log_p, labels) * (torch.nan if len(calls) == 2 else 1)

    monkeypatch.setattr(torch.nn.functional, "nll_loss", nll_loss)
    write_table(tmp_path)
    line = mistake(tmp_path)
    assert line == (
        "training stopped at step 1, epoch 0, learning rate 0.00667: "
        "the loss is nan on finite logits; expected a lower train.lr"
    )


def test_a_piece_that_vanished_is_told(tmp_path: Path) -> None:
    write_table(tmp_path)
    job = job_in(tmp_path)
    manifest: Manifest = STAGE.make(job)
    job.store.remove(KEY)
    with pytest.raises(UserError, match=f"piece {KEY} of train: gone or damaged since it was made"):
        STAGE.write(job, manifest)
