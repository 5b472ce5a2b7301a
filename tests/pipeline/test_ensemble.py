"""``ensemble``: members as ``train`` makes them, and the same bytes whatever the chunks are."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from geocore.config.ensemble import EnsembleParams
from geocore.data.table import Table
from geocore.data.tabletype import TableType
from geocore.ensembles.seeds import member_seeds
from geocore.errors import UserError
from geocore.models.registry import load
from geocore.pipeline.ensemble import STAGE
from geocore.pipeline.predictions import predict
from geocore.pipeline.stage import Job
from geocore.pipeline.train import STAGE as TRAIN
from geocore.runs.digest import digest_json
from geocore.runs.store import Store
from geocore.train.feed import table_feed
from tests.pipeline.stages import results_of
from tests.pipeline.test_train import KilledError, write_table
from tests.pipeline.test_train import job_in as train_job
from tests.train.scenes import CPU, train_params

MEMBERS = 3
SEEDS = member_seeds(0, MEMBERS)
RESULTS = Path("results/ensemble")


def job_in(
    root: Path,
    notes: dict[str, Any] | None = None,
    members: int = MEMBERS,
    chunk: int = 2,
    **train: Any,
) -> Job:
    """A job with a key of its own for each setting that the stage's key tells apart."""
    job = train_job(root, notes)
    return dataclasses.replace(
        job,
        stage=STAGE,
        sections={
            **job.sections,
            "train": train_params(**{"epochs": 3, "seed": 5, **train}),
            "ensemble": EnsembleParams(members=members, chunk=chunk, seed=0),
        },
        inputs={"healpix": "digest of the maps"},
        key=digest_json([members, train]),
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where an undisturbed run of three members in chunks of two has been."""
    root = tmp_path_factory.mktemp("undisturbed")
    write_table(root)
    results_of(job_in(root))
    return root


@pytest.fixture(scope="module")
def undisturbed(root: Path) -> dict[str, bytes]:
    return results_of(job_in(root))


def test_it_gives_what_it_declares(undisturbed: dict[str, bytes]) -> None:
    assert sorted(undisturbed) == [
        "curves.csv",
        "members.parquet",
        *(f"members/member-00{member}.safetensors" for member in range(MEMBERS)),
        "metrics.json",
        "model.json",
        "predictions.parquet",
    ]
    tops = {name.split("/")[0] for name in undisturbed}
    assert tops == {Path(port.path).name for port in STAGE.gives.values()}


@pytest.mark.parametrize("member", [0, 2])
def test_a_member_is_what_train_makes_of_its_seed(
    tmp_path: Path, undisturbed: dict[str, bytes], member: int
) -> None:
    write_table(tmp_path)
    job = train_job(tmp_path)
    params = train_params(epochs=3, seed=SEEDS[member])
    job = dataclasses.replace(job, sections={**job.sections, "train": params})
    TRAIN.write(job, TRAIN.make(job))
    folder = tmp_path / "results/train"
    weights = undisturbed[f"members/member-00{member}.safetensors"]
    assert weights == (folder / "weights.safetensors").read_bytes()
    assert undisturbed["model.json"] == (folder / "model.json").read_bytes()
    told = json.loads((folder / "metrics.json").read_text())
    del told["parameters"], told["samples"]
    assert json.loads(undisturbed["metrics.json"])["training"][member] == {
        "seed": SEEDS[member],
        **told,
    }
    rows = list(csv.DictReader(undisturbed["curves.csv"].decode().splitlines()))
    own = [row for row in rows if row.pop("member") == str(member)]
    with (folder / "curve.csv").open() as stream:
        assert own == [{name: row[name] for name in own[0]} for row in csv.DictReader(stream)]


def test_chunks_in_processes_give_the_same_bytes(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    write_table(tmp_path)
    notes: dict[str, Any] = {}
    job = job_in(tmp_path, notes, chunk=1)
    runtime = job.sections["runtime"].model_copy(update={"workers": 2})
    job = dataclasses.replace(job, sections={**job.sections, "runtime": runtime})
    assert results_of(job) == undisturbed
    counts = Counter(notes["pieces"].values())
    assert counts == {"made": 7, "used": 6}, (
        "three chunks, their predictions, and the whole; two checkpoints a chunk"
    )


def test_what_is_written_is_what_the_members_say(root: Path) -> None:
    table = Table.open(root / "data/healpix")
    predictions = pq.read_table(root / RESULTS / "predictions.parquet")
    members = pq.read_table(root / RESULTS / "members.parquet")
    metrics = json.loads((root / RESULTS / "metrics.json").read_text())
    assert predictions.column_names == [
        "sample", "split", "label", "predicted", "probabilities", "log_probabilities", "entropy",
        "expected_entropy", "mutual_information", "nll",
    ]  # fmt: skip
    assert members.column_names == ["sample", "split", "label", "member", "log_probabilities"]
    assert predictions["split"].to_pylist() == ["val"] * 10 + ["test"] * 10
    for split in ("val", "test"):
        feed = table_feed(table, split, CPU)
        mine = predictions.filter(np.array(predictions["split"]) == split).to_pydict()
        rows = members.filter(np.array(members["split"]) == split).to_pydict()
        log_p = np.stack(
            [
                predict(
                    load(
                        root / RESULTS / f"members/member-00{member}.safetensors",
                        root / RESULTS / "model.json",
                    )[0],
                    feed,
                    8,
                )
                .logits.log_softmax(dim=1)
                .numpy()
                for member in range(MEMBERS)
            ]
        )
        mean = np.exp(log_p).mean(axis=0)
        total = -(mean * np.log(mean)).sum(axis=1)
        expected = -(np.exp(log_p) * log_p).sum(axis=2).mean(axis=0)
        labels = feed.labels.numpy()
        nll = -np.log(mean[range(10), labels])

        assert mine["sample"] == feed.ids.tolist() and mine["label"] == labels.tolist()
        assert mine["predicted"] == mean.argmax(axis=1).tolist()
        np.testing.assert_allclose(mine["probabilities"], mean, rtol=0, atol=1e-15)
        np.testing.assert_allclose(mine["log_probabilities"], np.log(mean), rtol=0, atol=1e-14)
        np.testing.assert_allclose(mine["entropy"], total, rtol=0, atol=1e-14)
        np.testing.assert_allclose(mine["expected_entropy"], expected, rtol=0, atol=1e-14)
        np.testing.assert_allclose(mine["mutual_information"], total - expected, rtol=0, atol=1e-14)
        np.testing.assert_allclose(mine["nll"], nll, rtol=0, atol=1e-14)
        assert rows["sample"] == feed.ids.tolist() * MEMBERS
        assert rows["member"] == [member for member in range(MEMBERS) for _ in range(10)]
        np.testing.assert_allclose(
            rows["log_probabilities"], log_p.reshape(30, 3), rtol=0, atol=1e-15
        )
        if split == "val":
            own = [-log_p[member, range(10), labels].mean() for member in range(MEMBERS)]
            found = metrics["val"]
            assert found["nll"] == pytest.approx(nll.mean(), abs=1e-14)
            assert found["accuracy"] == (mean.argmax(axis=1) == labels).mean()
            assert found["best_member"]["nll"] == pytest.approx(min(own), abs=1e-14)
            assert found["mean_member"]["nll"] == pytest.approx(np.mean(own), abs=1e-14)
            assert found["entropy"] == pytest.approx(total.mean(), abs=1e-14)
            # The scores of the training are those of the predictions.
            told = [went["val_nll"] for went in metrics["training"]]
            assert told == pytest.approx(own, abs=1e-12)
            assert [went["seed"] for went in metrics["training"]] == list(SEEDS)
    assert metrics["members"] == MEMBERS


def test_types_of_the_tables(root: Path) -> None:
    for name in ("predictions.parquet", "members.parquet"):
        for field in pq.read_schema(root / RESULTS / name):
            kinds = {
                "split": "string",
                **dict.fromkeys(("sample", "label", "predicted", "member"), "int64"),
            }
            lists = field.name.endswith("probabilities")
            expected = "fixed_size_list<element: double>[3]" if lists else "double"
            assert str(field.type) == kinds.get(field.name, expected)


@pytest.mark.parametrize("chunk", [1, 3])
def test_chunks_change_no_byte(tmp_path: Path, undisturbed: dict[str, bytes], chunk: int) -> None:
    write_table(tmp_path)
    torch.manual_seed(99)
    assert results_of(job_in(tmp_path, chunk=chunk)) == undisturbed


def test_a_larger_ensemble_finds_the_chunks_of_the_smaller(tmp_path: Path) -> None:
    write_table(tmp_path)
    small = STAGE.make(job_in(tmp_path, members=2, chunk=1))
    notes: dict[str, Any] = {}
    job = job_in(tmp_path, notes, members=3, chunk=1)
    large = STAGE.make(job)
    assert len(small["parts"]) == 4 and len(large["parts"]) == 6
    assert set(small["parts"]) < set(large["parts"])
    assert {key: notes["pieces"][key] for key in large["parts"]} == {
        key: "found" if key in small["parts"] else "made" for key in large["parts"]
    }
    members = [small["files"]["members"], large["files"]["members"]]
    assert members[0] != members[1]


def test_the_seed_of_the_single_training_decides_nothing(tmp_path: Path) -> None:
    write_table(tmp_path)
    first = results_of(job_in(tmp_path, members=1, chunk=1, seed=1))
    notes: dict[str, Any] = {}
    job = job_in(tmp_path, notes, members=1, chunk=1, seed=2)
    assert results_of(job) == first
    assert notes["pieces"].pop(job.key) == "made"
    assert list(notes["pieces"].values()) == ["found", "found"]


def test_another_learning_rate_trains_again(tmp_path: Path) -> None:
    write_table(tmp_path)
    first = STAGE.make(job_in(tmp_path, members=1, chunk=1))
    second = STAGE.make(job_in(tmp_path, members=1, chunk=1, lr=0.02))
    assert not set(first["parts"]) & set(second["parts"])


def test_killed_in_the_second_chunk_the_first_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, bytes]
) -> None:
    write_table(tmp_path)
    seen: list[int] = []
    plain = torch.nn.functional.nll_loss

    def nll_loss(log_p: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        seen.append(1)
        if len(seen) == 26:  # two members have nine steps together, the third stands at its eighth
            raise KilledError
        return plain(log_p, labels)

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(torch.nn.functional, "nll_loss", nll_loss)
        STAGE.make(job_in(tmp_path))
    pieces = list(Store(tmp_path / "store").pieces())
    kept = {piece.key for piece in pieces if piece.manifest["verb"] == "ensemble-chunk"}
    steps = [p.values["step"] for p in pieces if p.manifest["verb"] == "checkpoint"]
    assert len(kept) == 1 and not (tmp_path / RESULTS).exists()
    assert len(steps) == len(pieces) - 1 and max(steps) < 8

    notes: dict[str, Any] = {}
    job = job_in(tmp_path, notes)
    assert results_of(job) == undisturbed
    assert notes["pieces"].pop(job.key) == "made"
    assert {key for key, state in notes["pieces"].items() if state == "found"} == kept
    counts = Counter(notes["pieces"].values())
    assert (counts["made"], counts["used"]) == (3, 2), (
        "the second chunk, what both predict; two checkpoints"
    )


def test_a_second_time_it_is_found(tmp_path: Path) -> None:
    write_table(tmp_path)
    first = results_of(job_in(tmp_path, members=1, chunk=1))
    for port in STAGE.gives.values():  # as DVC does before a run
        path = tmp_path / port.path
        path.rename(tmp_path / f"old-{path.name}")
    notes: dict[str, Any] = {}
    job = job_in(tmp_path, notes, members=1, chunk=1)
    assert results_of(job) == first
    assert notes["pieces"] == {job.key: "found"}


def test_a_single_member_has_nothing_to_disagree_with(tmp_path: Path) -> None:
    write_table(tmp_path)
    results_of(job_in(tmp_path, members=1, chunk=1))
    rows = pq.read_table(tmp_path / RESULTS / "predictions.parquet").to_pydict()
    assert max(rows["mutual_information"]) == 0
    assert rows["entropy"] == rows["expected_entropy"]
    assert all(math.log(3) > value > 0 for value in rows["entropy"])


def mistake(root: Path) -> str:
    """The one line that the stage ends with; nothing half-made is left."""
    with pytest.raises(UserError) as error:
        results_of(job_in(root))
    assert not (root / "results").exists()
    assert list(Store(root / "store").pieces()) == []
    (line,) = error.value.lines
    return line.replace(f"{root}/", "")


def test_nan_in_the_input_is_named(tmp_path: Path) -> None:
    def change(columns: dict[str, np.ndarray]) -> None:
        columns["image"][7, 3] = np.nan  # in the test split, which trains nothing

    write_table(tmp_path, change=change)
    assert mistake(tmp_path) == (
        "data/healpix: image of sample 107 is nan at pixel 3, channel 0; expected finite numbers"
    )


def test_a_ring_ordered_table_is_refused(tmp_path: Path) -> None:
    write_table(
        tmp_path, TableType("healpix", None, None, 4, "ring", (0, 1, 2, 3), 1, "float32", "class")
    )
    assert mistake(tmp_path) == "data/healpix: ordering is ring; expected nested"


def test_a_table_without_classes_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path, classes=())
    assert mistake(tmp_path) == "data/healpix: names no classes; expected a name for each label"


def test_a_label_out_of_range_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocore.data.table._require_codes", lambda *_: None)
    write_table(tmp_path, classes=("a", "b"))
    assert mistake(tmp_path) == "data/healpix: sample 105 has label 2; expected 0 to 1"


def test_a_training_that_diverges_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nll_loss(log_p: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return log_p.sum() * torch.nan

    monkeypatch.setattr(torch.nn.functional, "nll_loss", nll_loss)
    write_table(tmp_path)
    assert mistake(tmp_path) == (
        f"training of the member of seed {SEEDS[0]} stopped at step 0, epoch 0, "
        "learning rate 0.00333: "
        "the loss is nan on finite logits; expected a lower train.lr"
    )
