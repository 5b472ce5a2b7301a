"""``ntk``: regression with the whole kernels, the same bytes whatever happened on the way."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import load, load_file

from geocore.config.ntk import NtkParams
from geocore.data.table import Table
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.kernels.block import kernel_block
from geocore.kernels.subset import stratified_order
from geocore.measure.temperature import fit_temperature
from geocore.pipeline.ntk import STAGE
from geocore.pipeline.stage import Job
from geocore.runs.digest import digest_json
from geocore.runs.store import Store
from tests.kernels.references import relu_kernels
from tests.pipeline.stages import results_of
from tests.pipeline.test_train import KilledError, write_table
from tests.pipeline.test_train import job_in as train_job

RESULTS = Path("results/ntk")
COMPUTED = "geocore.pipeline.kernel_blocks.kernel_block"
PARAMS: dict[str, Any] = {
    "network": "dense", "backend": "geocore", "depth": 1, "activation": "relu", "weight_std": 1.4,
    "bias_std": 0.1, "subset": 9, "seed": 0, "block": 4, "ridge": 0.01,
    "solver": "auto",
}  # fmt: skip
BLOCKS = 6 + 2 * 9  # 3 batches of training samples: half their pairs; 3 of val, 3 of test
WHOLE = 3 * 2  # a matrix and a diagonal of each


def job_in(root: Path, notes: dict[str, Any] | None = None, **changes: Any) -> Job:
    """A job with a key of its own for each setting."""
    params = NtkParams(**(PARAMS | changes))
    job = train_job(root, notes)
    sections = {"ntk": params, "runtime": job.sections["runtime"]}
    return dataclasses.replace(job, stage=STAGE, sections=sections, key=digest_json(changes))


def made(notes: dict[str, Any]) -> tuple[int, int]:
    """How many pieces were made and how many found."""
    states = list(notes["pieces"].values())
    return states.count("made"), states.count("found")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where an undisturbed run has been."""
    root = tmp_path_factory.mktemp("undisturbed")
    write_table(root)
    results_of(job_in(root))
    return root


@pytest.fixture(scope="module")
def undisturbed(root: Path) -> dict[str, bytes]:
    return results_of(job_in(root))


def test_it_gives_what_it_declares(undisturbed: dict[str, bytes]) -> None:
    assert sorted(undisturbed) == sorted(Path(port.path).name for port in STAGE.gives.values())


@pytest.mark.parametrize(("network", "depth"), [("dense", 1), ("healpix", 2)])
def test_the_kernels_are_those_of_the_samples(tmp_path: Path, network: str, depth: int) -> None:
    write_table(tmp_path)
    results_of(job_in(tmp_path, network=network, depth=depth))
    table = Table.open(tmp_path / "data/healpix")
    subset = pq.read_table(tmp_path / RESULTS / "subset.parquet").to_pydict()
    training = table.rows_of("train")
    order = stratified_order(table.labels(training).numpy(), 0)[:9]
    assert subset == {
        "sample": table.column("sample")[training[order]].tolist(),
        "label": table.labels(training[order]).tolist(),
    }
    assert sorted(subset["label"]) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    maps = {split: table.images(table.rows_of(split)).double().numpy() for split in ("val", "test")}
    maps["train"] = table.images(training[order]).double().numpy()
    found = load_file(tmp_path / RESULTS / "kernels.safetensors")
    for split, own in maps.items():
        nngp, ntk = relu_kernels(network, depth, own, maps["train"], 1.4, 0.1)
        np.testing.assert_allclose(found[f"nngp.{split}"], nngp, rtol=1e-12)
        np.testing.assert_allclose(found[f"ntk.{split}"], ntk, rtol=1e-7)
        diagonal = relu_kernels(network, depth, own, own, 1.4, 0.1)[0].diagonal()
        np.testing.assert_allclose(found[f"nngp_diagonal.{split}"], diagonal, rtol=1e-12)
    assert {name: value.shape for name, value in found.items() if "diagonal" not in name} == {
        f"{kernel}.{split}": (len(maps[split]), 9)
        for kernel in ("nngp", "ntk")
        for split in ("train", "val", "test")
    }


def test_what_is_written_is_what_the_kernels_say(root: Path) -> None:
    kernels = load_file(root / RESULTS / "kernels.safetensors")
    labels = np.array(pq.read_table(root / RESULTS / "subset.parquet")["label"])
    rows = pq.read_table(root / RESULTS / "predictions.parquet")
    metrics = json.loads((root / RESULTS / "metrics.json").read_text())
    assert rows.column_names == [
        "kernel", "sample", "split", "label", "predicted", "mean", "variance", "log_probabilities",
        "probabilities", "entropy", "nll",
    ]  # fmt: skip
    assert rows["kernel"].to_pylist() == ["nngp"] * 20 + ["ntk"] * 20
    assert rows["split"].to_pylist() == (["val"] * 10 + ["test"] * 10) * 2
    assert (metrics["samples"], metrics["training_samples"]) == (9, 20)
    table = Table.open(root / "data/healpix")
    held_out = np.concatenate([table.rows_of("val"), table.rows_of("test")])
    for name in ("nngp", "ntk"):
        own = {
            column: np.array(values)
            for column, values in rows.filter(np.array(rows["kernel"]) == name).to_pydict().items()
        }
        assert own["sample"].tolist() == table.column("sample")[held_out].tolist()
        assert own["label"].tolist() == table.labels(held_out).tolist()
        gram = kernels[f"{name}.train"]
        ridged = gram + 0.01 * gram.diagonal().mean() * np.eye(9)
        cross = np.concatenate([kernels[f"{name}.{split}"] for split in ("val", "test")])
        mean = cross @ np.linalg.solve(ridged, np.eye(3)[labels] - 1 / 3)
        np.testing.assert_allclose(own["mean"], mean, rtol=0, atol=1e-12)
        assert (own["variance"] > 0).all()
        temperature = fit_temperature(
            torch.from_numpy(own["mean"][:10]), torch.from_numpy(own["label"][:10])
        )
        assert metrics[name]["temperature"] == temperature
        p = np.exp(mean / temperature)
        p /= p.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(own["probabilities"], p, atol=1e-10)
        np.testing.assert_allclose(np.exp(own["log_probabilities"]), p, atol=1e-10)
        np.testing.assert_allclose(own["entropy"], -(p * np.log(p)).sum(axis=1), atol=1e-9)
        likely = p[np.arange(20), own["label"]]
        np.testing.assert_allclose(own["nll"], -np.log(likely), rtol=1e-9, atol=1e-10)
        assert own["predicted"].tolist() == mean.argmax(axis=1).tolist()
        right = own["predicted"][:10] == own["label"][:10]
        assert metrics[name]["val"]["accuracy"] == right.mean() >= 0.9
        assert metrics[name]["val"]["nll"] == pytest.approx(own["nll"][:10].mean())
        assert metrics[name]["jitter"] == 0
        assert metrics[name]["condition"] == pytest.approx(np.linalg.cond(ridged))
        with (root / RESULTS / "spectrum.csv").open() as stream:
            spectrum = [line for line in csv.DictReader(stream) if line["kernel"] == name]
        assert [int(line["rank"]) for line in spectrum] == list(range(1, 10))
        values = [float(line["eigenvalue"]) for line in spectrum]
        np.testing.assert_allclose(values, np.linalg.eigvalsh(gram)[::-1], rtol=1e-9)
        assert values[0] == metrics[name]["largest_eigenvalue"]
        assert values[-1] == metrics[name]["smallest_eigenvalue"]


def test_without_a_ridge_the_limit_is_exact(tmp_path: Path) -> None:
    """Validation samples that are training samples too come out as their targets."""

    def change(columns: dict[str, np.ndarray]) -> None:
        training, held = (np.flatnonzero(columns["split"] == split) for split in (0, 1))
        columns["image"][held] = columns["image"][training[:10]]

    write_table(tmp_path, change=change)
    results_of(job_in(tmp_path, ridge=0.0, subset=20))
    rows = pq.read_table(tmp_path / RESULTS / "predictions.parquet").to_pydict()
    table = Table.open(tmp_path / "data/healpix")
    labels = table.labels(table.rows_of("train")[:10]).numpy()
    for start in (0, 20):
        mean = np.array(rows["mean"][start : start + 10])
        np.testing.assert_allclose(mean, np.eye(3)[labels] - 1 / 3, rtol=0, atol=1e-5)
        assert max(rows["variance"][start : start + 10]) < 1e-6 < min(rows["variance"][10:20])


def kill_after(monkeypatch: pytest.MonkeyPatch, blocks: int) -> None:
    """The next run dies when it begins the block after so many."""
    begun: list[int] = []

    def call_or_die(*inputs: Any) -> Any:
        if len(begun) == blocks:
            monkeypatch.setattr(COMPUTED, kernel_block)
            raise KilledError
        begun.append(1)
        return kernel_block(*inputs)

    monkeypatch.setattr(COMPUTED, call_or_die)


def test_a_killed_run_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, bytes]
) -> None:
    write_table(tmp_path)
    for blocks, total in ((0, 0), (2, 2), (7, 9 + 2)):
        kill_after(monkeypatch, blocks)
        with pytest.raises(KilledError):
            STAGE.make(job_in(tmp_path))
        assert len(list(Store(tmp_path / "store").pieces())) == total
    notes: dict[str, Any] = {}
    assert results_of(job_in(tmp_path, notes)) == undisturbed
    # The blocks that were left, three matrices with their diagonals, and the stage's piece; of the
    # 9 blocks the first matrix took 6 and is there, with its diagonal.
    assert made(notes) == (BLOCKS - 9 + WHOLE - 2 + 1, 3 + 2)


def test_a_second_time_it_is_found(root: Path, undisturbed: dict[str, bytes]) -> None:
    notes: dict[str, Any] = {}
    job = job_in(root, notes)
    manifest = STAGE.make(job)
    assert notes["pieces"] == {job.key: "found"}
    assert len(set(manifest["parts"])) == BLOCKS + WHOLE
    assert sorted(manifest["files"]) == sorted(undisturbed)
    assert manifest["samples"] == 9 and manifest["val_accuracy_ntk"] >= 0.9


def test_without_a_factor_it_predicts_the_same(root: Path, tmp_path: Path) -> None:
    write_table(tmp_path)
    results_of(job_in(tmp_path, solver="iterative"))
    found, expected = (
        pq.read_table(place / RESULTS / "predictions.parquet") for place in (tmp_path, root)
    )
    for column in ("mean", "variance"):
        one, two = (np.array(table[column].to_pylist()) for table in (found, expected))
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)
    for place, known in ((tmp_path, False), (root, True)):
        metrics = json.loads((place / RESULTS / "metrics.json").read_text())["ntk"]
        assert metrics["reason"] is None and metrics["jitter"] == 0
        assert known or metrics["largest_eigenvalue"] > 0


def test_what_was_mended_is_told(tmp_path: Path) -> None:
    def change(columns: dict[str, np.ndarray]) -> None:
        columns["image"][:] = columns["image"][:1]

    write_table(tmp_path, change=change)
    results_of(job_in(tmp_path, ridge=0.0))
    metrics = json.loads((tmp_path / RESULTS / "metrics.json").read_text())["nngp"]
    assert metrics["jitter"] > 0
    assert metrics["reason"].startswith(
        "the nngp of the 9 training samples is not positive definite to rounding: row 2 of 9"
    )


def test_a_ridge_makes_no_block_anew(root: Path) -> None:
    notes: dict[str, Any] = {}
    STAGE.make(job_in(root, notes, ridge=0.5))
    assert made(notes) == (1, WHOLE)


def test_a_larger_subset_keeps_the_blocks_of_the_smaller(tmp_path: Path) -> None:
    write_table(tmp_path)
    STAGE.make(job_in(tmp_path, subset=8))  # two full batches
    notes: dict[str, Any] = {}
    STAGE.make(job_in(tmp_path, notes, subset=16))
    assert made(notes) == (7 + 2 * 6 + 4 + 1, 3 + 2 * 6 + 2)  # diagonals of val and test


@pytest.mark.parametrize("change", [{"depth": 2}, {"activation": "erf"}, {"bias_std": 0.0}])
def test_another_network_shares_nothing(root: Path, change: dict[str, Any]) -> None:
    notes: dict[str, Any] = {}
    STAGE.make(job_in(root, notes, **change))
    assert made(notes) == (BLOCKS + WHOLE + 1, 0)


def mistake(root: Path, **changes: Any) -> str:
    """The one line that the stage ends with; no output is left."""
    with pytest.raises(UserError) as error:
        results_of(job_in(root, **changes))
    assert not (root / "results").exists()
    (line,) = error.value.lines
    return line.replace(f"{root}/", "")


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails before any kernel is computed."""

    def computed(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("geocore.kernels.composed.InfiniteNetwork.kernel", computed)


@pytest.mark.usefixtures("no_kernels")
def test_a_subset_larger_than_the_data(tmp_path: Path) -> None:
    write_table(tmp_path)
    assert mistake(tmp_path, subset=21) == (
        "params.yaml: ntk.subset is 21; expected an integer from 1 to the 20 training samples of "
        "data/healpix"
    )


@pytest.mark.usefixtures("no_kernels")
def test_more_levels_than_the_maps_have(tmp_path: Path) -> None:
    write_table(tmp_path)
    assert mistake(tmp_path, network="healpix", depth=3) == (
        "params.yaml: ntk.depth is 3 and the maps of data/healpix have nside 4; expected an nside "
        "of at least 8 for so many levels of patches"
    )


@pytest.mark.usefixtures("no_kernels")
def test_nan_in_the_input_is_named(tmp_path: Path) -> None:
    def change(columns: dict[str, np.ndarray]) -> None:
        columns["image"][5, 3] = np.nan

    write_table(tmp_path, change=change)
    assert mistake(tmp_path) == (
        "data/healpix: image of sample 105 is nan at pixel 3, channel 0; expected finite numbers"
    )


@pytest.mark.usefixtures("no_kernels")
def test_what_train_refuses_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = TableType("healpix", None, None, 4, "ring", (0, 1, 2, 3), 1, "float32", "class")
    write_table(tmp_path / "ring", ring)
    assert mistake(tmp_path / "ring") == "data/healpix: ordering is ring; expected nested"
    write_table(tmp_path / "nameless", classes=())
    assert mistake(tmp_path / "nameless") == (
        "data/healpix: names no classes; expected a name for each label"
    )
    monkeypatch.setattr("geocore.data.table._require_codes", lambda *_: None)
    write_table(tmp_path / "many", classes=("a", "b"))
    assert mistake(tmp_path / "many") == "data/healpix: sample 105 has label 2; expected 0 to 1"


def test_without_neural_tangents_the_second_opinion_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "neural_tangents", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    write_table(tmp_path)
    assert mistake(tmp_path, backend="neural_tangents") == (
        "neural_tangents is not installed; expected it here: "
        "pip install 'geocore[kernels]' && pip install --no-deps neural-tangents==0.6.5"
    )


def test_a_kernel_that_overflows(tmp_path: Path) -> None:
    write_table(
        tmp_path, change=lambda columns: columns.update(image=columns["image"] * np.float32(1e38))
    )
    assert mistake(tmp_path, weight_std=10.0, activation="gelu") == (
        "params.yaml: ntk: the nngp has an entry inf; expected inputs and weights whose kernel "
        "float64 holds"
    )


def test_maps_without_content(tmp_path: Path) -> None:
    write_table(tmp_path, change=lambda columns: columns.update(image=0 * columns["image"]))
    assert mistake(tmp_path, bias_std=0.0) == (
        "the nngp of the 9 training samples is not positive definite, nor is it with 1e-06 of its "
        "mean diagonal, 0, added; expected a larger ridge, or samples that differ"
    )


def test_both_backends_agree(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    write_table(tmp_path)
    own = load(undisturbed["kernels.safetensors"])
    other = load(results_of(job_in(tmp_path, backend="neural_tangents"))["kernels.safetensors"])
    for name, values in own.items():
        scale = np.abs(values).max()  # of a sample with itself the tangent kernel is no better
        np.testing.assert_allclose(other[name], values, rtol=0, atol=1e-8 * scale)


def test_the_ledger_notes_what_was_predicted_and_what_it_took(tmp_path: Path) -> None:
    write_table(tmp_path)
    notes: dict[str, Any] = {}
    STAGE.make(job_in(tmp_path, notes))
    cost = notes["kernel_cost"]["test 10 x 9"]
    assert (cost["blocks"], cost["made"], cost["workers"]) == (9, 9, 1)
    assert cost["seconds"] > 0 and cost["predicted_seconds"] > 0
