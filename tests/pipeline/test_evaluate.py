"""The stage ``evaluate`` on a small network and table: what it gives, and what it refuses."""

from __future__ import annotations

import csv
import itertools
import json
import math
import shutil
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from safetensors.torch import save_file

from geocore.config.load import read_yaml, validate
from geocore.config.model import ModelParams
from geocore.data.table import TableWriter
from geocore.data.tabletype import TableInfo, TableType
from geocore.errors import UserError
from geocore.healpix.rotate import MapRotation
from geocore.models.registry import ModelInfo, build
from geocore.pipeline.evaluate import STAGE
from geocore.pipeline.run import make, open_job, whole
from geocore.runs.digest import digest_tree
from geocore.so3.rotation import quaternion_to_matrix

ROOT = Path(__file__).parents[2]
NSIDE, CLASSES, COUNT = 4, ("ape", "bee, big", "cat"), 30
KIND = TableType(
    grid="healpix", nside=NSIDE, ordering="nested", faces=tuple(range(12)), channels=1,
    dtype="float32", label_kind="class",
)  # fmt: skip
MODEL = {
    "name": "healpix_encoder", "block": "attention", "embed": 4, "depths": [1, 1],
    "heads": [1, 1], "window": 4, "mlp_ratio": 1.0, "dropout": 0.0, "position": "orbit",
}  # fmt: skip
SWIN: dict[str, Any] = {
    "embed": 4, "depths": [1, 1], "heads": [1, 1], "window": 4, "mlp_ratio": 1.0, "dropout": 0.0,
    "position": "none", "shift": "grid", "norm": "pre", "attention": "dot", "relative_bias": True,
    "dropout_kind": "element", "attention_dropout": 0.0, "drop_path": 0.0, "checkpointing": False,
}  # fmt: skip
OUTPUTS = (
    "confusion.csv", "equivariance.parquet", "gates.json", "kept.csv", "metrics.json", "pictures",
    "predictions.parquet", "reliability.csv",
)  # fmt: skip


def columns(kind: TableType) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    place = np.arange(COUNT)
    turn = np.zeros((COUNT, 4))
    turn[:, 0] = 1
    return {
        "sample": place * 3,
        "image": generator.random((COUNT, kind.pixels), np.float32),
        "label": place // 3 % len(CLASSES),
        "split": (place % 3).astype(np.uint8),
        "rotation": turn,
        "valid": np.ones((COUNT, kind.pixels), dtype=bool),
    }


def write_table(root: Path, kind: TableType = KIND, **changed: Any) -> None:
    folder = root / "data/healpix"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    writer = TableWriter(TableInfo(type=kind, source="made up", classes=CLASSES))
    given = {name: v for name, v in {**columns(kind), **changed}.items() if v is not None}
    writer.write_part(folder / "part-00000.arrow", given)
    writer.seal(folder)


def write_model(
    root: Path, kind: TableType = KIND, classes: tuple[str, ...] = CLASSES, **changed: Any
) -> torch.nn.Module:
    params = validate({**MODEL, **changed}, ModelParams, "test")
    assert isinstance(params, ModelParams)
    model = build(params, kind, len(classes), seed=0)
    folder = root / "results/train"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), folder / "weights.safetensors")
    info = ModelInfo(params, kind, classes, sum(p.numel() for p in model.parameters()), 1.0)
    (folder / "model.json").write_text(json.dumps(info.to_json()))
    return model.eval()


def write_dvc(root: Path, *, with_companions: bool) -> None:
    stages = read_yaml(ROOT / "dvc.yaml")
    optional = [p.path for p in STAGE.takes.values() if p.optional and not p.choice]
    deps = [dep for dep in stages["stages"]["evaluate"]["deps"] if dep not in optional]
    stages["stages"]["evaluate"]["deps"] = deps + optional * with_companions
    (root / "dvc.yaml").write_text(yaml.safe_dump(stages))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a table and a network, and little to measure."""
    write_dvc(tmp_path, with_companions=False)
    for name in ("geocore", "flows", "tasks"):
        (tmp_path / name).symlink_to(ROOT / name)
    params = read_yaml(ROOT / "params.yaml")
    params["evaluate"] |= {"batch_size": 4, "rotations": 2, "samples": 6, "calibration_bins": 5}
    params["gate"] = {
        **dict.fromkeys(params["gate"]), "accuracy_min": 0.99, "quarter_turn_error_max": 1e-4
    }  # fmt: skip
    params["runtime"] |= {"progress": False}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    write_table(tmp_path)
    write_model(tmp_path)
    return tmp_path


def run_evaluate(root: Path) -> dict[str, Any]:
    """Make and write the stage's outputs; its metrics."""
    job = open_job(STAGE, root)
    STAGE.write(job, make(job))
    found: dict[str, Any] = json.loads((root / "results/evaluate/metrics.json").read_text())
    return found


def refused(root: Path) -> tuple[str, ...]:
    with pytest.raises(UserError) as caught:
        run_evaluate(root)
    assert not (root / "results/evaluate").exists()
    return tuple(line.replace(f"{root}/", "") for line in caught.value.lines)


def test_metrics_are_those_of_the_predictions(root: Path) -> None:
    metrics = run_evaluate(root)
    folder = root / "results/evaluate"
    assert sorted(path.name for path in folder.iterdir()) == sorted(OUTPUTS)
    rows = pq.read_table(folder / "predictions.parquet").to_pylist()
    written = columns(KIND)
    test = written["split"] == 2
    assert [row["sample"] for row in rows] == written["sample"][test].tolist()
    assert [row["label"] for row in rows] == written["label"][test].tolist()

    # Against the network itself, called once on everything.
    model = write_model(root)
    with torch.no_grad():
        logits = model(torch.from_numpy(written["image"][test])[..., None]).double().numpy()
    own = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.array([row["probabilities"] for row in rows]) == pytest.approx(own, abs=1e-6)
    assert [row["predicted"] for row in rows] == logits.argmax(axis=1).tolist()
    right = logits.argmax(axis=1) == written["label"][test]
    expected = -np.log(own[range(10), written["label"][test]]).mean()
    assert metrics["test"]["accuracy"] == right.mean()
    assert metrics["test"]["nll"] == pytest.approx(expected, abs=1e-6)
    assert metrics["test"]["n"] == metrics["val"]["n"] == 10
    assert metrics["per_class"]["ape"]["support"] == np.sum(written["label"][test] == 0)

    # The plots' tables.
    with (folder / "confusion.csv").open(newline="") as stream:
        pairs = Counter((row["actual"], row["predicted"]) for row in csv.DictReader(stream))
    own_pairs = Counter((CLASSES[row["label"]], CLASSES[row["predicted"]]) for row in rows)
    assert pairs == own_pairs
    with (folder / "reliability.csv").open(newline="") as stream:
        bins = list(csv.DictReader(stream))
    gaps = [
        int(row["count"]) * abs(float(row["accuracy"]) - float(row["confidence"])) for row in bins
    ]
    assert sum(int(row["count"]) for row in bins) == 10
    assert sum(gaps) / 10 == pytest.approx(metrics["test"]["ece"], abs=1e-12)


def test_equivariance_by_layer_group_and_sample(root: Path) -> None:
    metrics = run_evaluate(root)
    layers = ["input", "embed", "stage0.block0", "merge1", "stage1.block0", "logits"]
    for group in ("quarter_turn", "z", "so3"):
        assert sorted(metrics["equivariance"][group]) == sorted(layers)
    exact = metrics["equivariance"]["quarter_turn"]
    assert max(row["max"] for row in exact.values()) < 1e-5
    assert metrics["equivariance"]["so3"]["logits"]["mean"] > 1e-3
    rows = pq.read_table(root / "results/evaluate/equivariance.parquet").to_pylist()
    assert len(rows) == 6 * len(layers) * (3 + 2 + 2)
    test = columns(KIND)["sample"][columns(KIND)["split"] == 2]
    spread = [test[place] for place in (0, 1, 3, 5, 6, 8)]
    assert [row["sample"] for row in rows[:6]] == spread, "evenly over the test split"
    for group in ("z", "so3"):
        errors = [row["error"] for row in rows if (row["group"], row["layer"]) == (group, "logits")]
        assert metrics["equivariance"][group]["logits"]["mean"] == pytest.approx(
            math.fsum(errors) / len(errors)
        )
        assert set(metrics["rotated"][group]) == {"accuracy", "nll"}


def test_each_map_is_turned_by_one_of_the_rotations(root: Path) -> None:
    metrics = run_evaluate(root)
    model, written = write_model(root), columns(KIND)
    test = written["split"] == 2
    maps = torch.from_numpy(written["image"][test])[..., None]
    labels = torch.from_numpy(written["label"][test])
    rows = pq.read_table(root / "results/evaluate/equivariance.parquet").to_pylist()
    turns = {row["element"]: row["quaternion"] for row in rows if row["group"] == "so3"}
    losses = []
    for quaternion in turns.values():
        matrix = quaternion_to_matrix(torch.tensor(quaternion, dtype=torch.float64))
        with torch.no_grad():
            logits = model(MapRotation(NSIDE, range(12), matrix)(maps)).double()
        losses.append(torch.nn.functional.cross_entropy(logits, labels, reduction="none"))
    # Of all ways to choose one of the two for each map, one gives the mean that was reported.
    choices = torch.tensor(list(itertools.product((0, 1), repeat=len(labels))))
    means = torch.stack(losses).T.gather(1, choices.T).mean(dim=0)
    off, best = (means - metrics["rotated"]["so3"]["nll"]).abs().min(dim=0)
    assert float(off) < 1e-6
    assert 0 < int(choices[best].sum()) < len(labels), "not all by the same"


def test_a_network_that_is_not_equivariant_is_found_out(root: Path) -> None:
    write_model(root, position="absolute")
    metrics = run_evaluate(root)
    assert metrics["equivariance"]["quarter_turn"]["logits"]["max"] > 1e-3
    assert metrics["equivariance"]["quarter_turn"]["input"]["max"] == 0
    gates = json.loads((root / "results/evaluate/gates.json").read_text())
    assert gates["quarter_turn_error_max"]["passed"] is False


def test_a_failed_gate_is_written_and_does_not_stop(root: Path) -> None:
    metrics = run_evaluate(root)
    assert json.loads((root / "results/evaluate/gates.json").read_text()) == {
        "accuracy_min": {
            "metric": "accuracy", "value": metrics["test"]["accuracy"], "bound": 0.99,
            "sense": "min", "passed": False,
        },
        "quarter_turn_error_max": {
            "metric": "quarter_turn_error", "bound": 1e-4, "sense": "max", "passed": True,
            "value": metrics["equivariance"]["quarter_turn"]["logits"]["max"],
        },
    }  # fmt: skip


def test_the_same_again_byte_by_byte(root: Path) -> None:
    run_evaluate(root)
    first = digest_tree(root / "results/evaluate")
    job = open_job(STAGE, root)
    assert whole(job)
    notes: list[Any] = []
    job = job.noting(lambda **values: notes.append(values["pieces"]))
    shutil.rmtree(root / "results/evaluate")
    STAGE.write(job, make(job))
    assert digest_tree(root / "results/evaluate") == first, "from the store"
    job.store.remove(job.key)
    STAGE.write(job, make(job))
    assert digest_tree(root / "results/evaluate") == first, "made anew"
    (part,) = (piece.key for piece in job.store.pieces() if piece.key != job.key)
    assert notes == [{job.key: "found"}, {part: "found"}, {job.key: "made"}]


def test_pictures_are_there(root: Path) -> None:
    from PIL import Image

    run_evaluate(root)
    for name in ("confusion", "equivariance", "kept", "reliability", "uncertain"):
        with Image.open(root / f"results/evaluate/pictures/{name}.png") as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 200
            assert len(picture.getcolors(2**20) or []) > 20, f"{name} shows something"


def test_the_least_certain_samples_are_shown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def montage(pictures: list[Any], captions: list[str], columns: int) -> Any:
        shown.extend(captions)
        return pictures[0]

    monkeypatch.setattr("geocore.pipeline.evaluation_pictures.montage", montage)
    run_evaluate(root)
    rows = pq.read_table(root / "results/evaluate/predictions.parquet").to_pylist()
    expected = []
    for row in sorted(rows, key=lambda row: -row["entropy"]):
        actual, taken = CLASSES[row["label"]], CLASSES[row["predicted"]]
        words = f"{actual} recognised" if actual == taken else f"{actual} taken for {taken}"
        expected.append(f"{words}, {max(row['probabilities']):.0%}")
    assert shown == expected


def test_faces_that_turns_do_not_keep(root: Path) -> None:
    some = replace(KIND, faces=(0, 1, 4))
    write_table(root, some)
    write_model(root, some)
    metrics = run_evaluate(root)
    reason = "faces is (0, 1, 4); expected a set that 90 degrees keeps"
    assert metrics["equivariance"]["quarter_turn"] is None
    assert metrics["equivariance"]["quarter_turn_reason"] == reason
    assert "logits" in metrics["equivariance"]["so3"]
    gates = json.loads((root / "results/evaluate/gates.json").read_text())
    assert gates["quarter_turn_error_max"]["passed"] is False
    assert gates["quarter_turn_error_max"]["reason"] == reason


def test_maps_of_8_bits_without_a_camera(root: Path) -> None:
    bytes_ = replace(KIND, dtype="uint8")
    image = np.random.default_rng(0).integers(0, 256, (COUNT, KIND.pixels), np.uint8)
    write_table(root, bytes_, image=image, rotation=None, valid=None)
    write_model(root, bytes_)
    assert run_evaluate(root)["test"]["n"] == 10


def test_nan_in_the_input(root: Path) -> None:
    image = columns(KIND)["image"]
    image[4, 7] = np.nan
    write_table(root, image=image)
    assert refused(root) == (
        "data/healpix: image of sample 12 is nan at pixel 7, channel 0; expected finite numbers",
    )


def test_a_label_that_is_no_class(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    label = columns(KIND)["label"]
    label[5] = 3
    monkeypatch.setattr(TableWriter, "_check", lambda self, columns: len(columns["sample"]))
    write_table(root, label=label)
    assert refused(root) == ("data/healpix: sample 15 has label 3; expected 0 to 2",)


def test_another_ordering(root: Path) -> None:
    write_table(root, replace(KIND, ordering="ring"))
    assert refused(root) == ("data/healpix: ordering is ring; expected nested",)


def test_a_network_of_other_maps_or_classes(root: Path) -> None:
    write_model(root, replace(KIND, nside=8))
    (line,) = refused(root)
    assert line.startswith("results/train/model.json: trained on other maps: nside is ")
    write_model(root, classes=("ape", "bee, big", "cow"))
    assert refused(root) == (
        "results/train/model.json: trained on the 3 classes ape, bee, big, cow; expected the 3 "
        "of data/healpix, ape, bee, big, cat: run train",
    )


def test_a_classifier_of_planar_images(root: Path) -> None:
    about = root / "results/train/model.json"
    told = json.loads(about.read_text())
    plane = TableType("planar", 8, 8, channels=1, dtype="float32", label_kind="class")
    params = {**SWIN, "name": "swin"}
    about.write_text(json.dumps(told | {"type": asdict(plane), "params": params}))
    assert refused(root) == (
        "results/train/model.json: swin reads planar images; expected a classifier on the sphere, "
        "where its answer to rotations is measured",
    )


@pytest.mark.parametrize("params", [None, 3, []])
def test_a_foreign_description_of_the_network(root: Path, params: Any) -> None:
    about = root / "results/train/model.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"params": params}))
    (line,) = refused(root)
    assert line.startswith("results/train/model.json: holds {")
    assert line.endswith("expected what train wrote")


def test_weights_that_are_not_finite(root: Path) -> None:
    weights = write_model(root).state_dict()
    weights["head.bias"][1] = torch.nan
    save_file(weights, root / "results/train/weights.safetensors")
    assert refused(root) == ("the network's logit 1 of sample 3 is nan; expected finite logits",)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none(root: Path) -> None:
    params = read_yaml(root / "params.yaml")
    params["runtime"]["device"] = "cuda"
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    (line,) = refused(root)
    assert line.startswith("runtime.device is cuda; this machine has no CUDA device")
