"""Stage ``evaluate`` of networks that answer pixel by pixel: against the network called by hand,
pixel by pixel, on both grids; and what lies outside the image, which must change nothing.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from geocore.camera.backproject import RotatedBackprojector
from geocore.config.load import read_yaml
from geocore.data.table import IGNORED
from geocore.errors import UserError
from geocore.healpix.grid import pixel_centres
from geocore.healpix.locate import vec2pix
from geocore.measure.chamfer import chamfer_reference
from geocore.models.registry import ModelInfo, load
from geocore.pipeline import dense_evaluation
from geocore.pipeline.evaluate import STAGE
from geocore.pipeline.run import open_job
from geocore.runs.digest import digest_tree
from geocore.so3.rotation import quaternion_to_matrix
from tests.pipeline.dense import (
    CAMERA,
    CLASSES,
    FACES,
    HEIGHT,
    IMAGES,
    MAPS,
    NSIDE,
    WIDTH,
    evaluated,
    on_the_sphere,
    samples,
    write_project,
    write_table,
)

OUTPUTS = (
    "confusion.csv", "equivariance.parquet", "gates.json", "kept.csv", "metrics.json", "pictures",
    "predictions.parquet", "reliability.csv",
)  # fmt: skip
TEST = samples()["split"] == 2
VIEW = samples()["view"][TEST]
FIRST = int(np.flatnonzero(on_the_sphere(samples())["valid"][1])[0])  # of sample 3, that is seen


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have tests of their own."""
    monkeypatch.setattr(dense_evaluation, "draw", lambda folder, *_: (folder / "a").write_text(""))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


def columns(place: str) -> dict[str, Any]:
    return on_the_sphere(samples()) if place == "sphere" else samples()


def outputs_by_hand(model: nn.Module, place: str) -> Tensor:
    """What the network says of the test samples on its own grid, ``(n, pixels, outputs)``."""
    own = columns(place)
    valid = own["valid"][TEST]
    image = torch.from_numpy(own["image"][TEST]).float()
    if place == "plane":
        image = image / 255
    image = image.reshape(len(valid), -1, 3) * torch.from_numpy(valid)[..., None]
    if place == "plane":
        image = image.reshape(len(valid), HEIGHT, WIDTH, 3)
    with torch.no_grad():
        found: Tensor = model(image)
    return found.reshape(len(valid), valid.shape[1], -1)


def to_the_other(values: Tensor, place: str) -> tuple[Tensor, Tensor]:
    """Taken to the other grid: values ``(n, pixels, channels)``, and which are known."""
    rotation = torch.from_numpy(samples()["rotation"][TEST])
    valid = torch.from_numpy(columns(place)["valid"][TEST])
    if place == "sphere":
        found, known = RotatedBackprojector(CAMERA, NSIDE, FACES)(values, rotation, valid)
        return found.flatten(1, 2), known.flatten(1)
    found, known = [], []
    for own, there, turn in zip(values, valid, quaternion_to_matrix(rotation), strict=True):
        u, v, in_front = CAMERA.project(pixel_centres(NSIDE, FACES) @ turn)
        inside = CAMERA.covers(u, v, in_front)
        pixel = torch.where(inside, (v + 0.5).floor() * WIDTH + (u + 0.5).floor(), 0).long()
        found.append(own[pixel])
        known.append(inside & there[pixel])
    return torch.stack(found), torch.stack(known)


def on_both() -> Tensor:
    """Which pixels of the images lie in a valid pixel of the sphere's table, one by one."""
    valid, found = columns("sphere")["valid"][TEST], []
    v, u = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    rays = CAMERA.unproject(u.double(), v.double()).reshape(-1, 3)
    seen = columns("plane")["valid"][TEST]
    for there, mine, rotation in zip(valid, seen, samples()["rotation"][TEST], strict=True):
        frame = quaternion_to_matrix(torch.from_numpy(rotation))
        pixel = vec2pix(NSIDE, rays @ frame.T)
        inside = (pixel < len(there)) & torch.from_numpy(mine)  # faces 0 to 7 come first
        found.append(inside & torch.from_numpy(there)[pixel.clamp(max=len(there) - 1)])
    return torch.stack(found)


def iou_by_brute_force(logits: Tensor, labels: np.ndarray, known: Tensor) -> list[float | None]:
    """Of the sets of pixels, class by class, written down."""
    taken = logits.argmax(dim=-1).numpy()
    counted = known.numpy() & (labels != IGNORED)
    found: list[float | None] = []
    for number in range(len(CLASSES)):
        mine = {tuple(p) for p in np.argwhere((taken == number) & counted)}
        true = {tuple(p) for p in np.argwhere((labels == number) & counted)}
        found.append(len(mine & true) / len(mine | true) if mine | true else None)
    return found


GRIDS = pytest.mark.parametrize(
    ("kind", "own", "other"), [(MAPS, "sphere", "plane"), (IMAGES, "plane", "sphere")]
)


@GRIDS
def test_iou_equals_brute_force_on_both_grids(root: Path, kind: Any, own: str, other: str) -> None:
    model = write_project(root, kind, "segmentation")
    metrics = evaluated(root)
    folder = root / "results/evaluate"
    assert sorted(path.name for path in folder.iterdir()) == sorted(OUTPUTS)
    logits = outputs_by_hand(model, own)
    there = torch.from_numpy(columns(own)["valid"][TEST])
    answers = {own: (logits, there), other: to_the_other(logits, own)}
    answers["shared"] = (answers["plane"][0], answers["plane"][1] & on_both())
    rows = pq.read_table(folder / "predictions.parquet").to_pylist()
    for place, (said, known) in answers.items():
        labels = columns("sphere" if place == "sphere" else "plane")["label"][TEST]
        for view, mine in (("all", VIEW >= 0), ("upright", VIEW == 0), ("tilted", VIEW == 1)):
            expected = iou_by_brute_force(said[mine], labels[mine], known[mine])
            found = metrics["test"][view][place]
            assert [found["iou"][name] for name in CLASSES] == pytest.approx(expected, abs=1e-15)
            present = [value for value in expected if value is not None]
            assert found["miou"] == pytest.approx(sum(present) / len(present), abs=1e-15)
            without = [value for value in expected[:3] if value is not None]
            assert found["miou_without"] == pytest.approx(sum(without) / len(without), abs=1e-15)
            counted = known[mine].numpy() & (labels[mine] != IGNORED)
            assert found["n"] == counted.sum()
            right = (said[mine].argmax(dim=-1).numpy() == labels[mine])[counted]
            assert found["accuracy"] == pytest.approx(right.mean(), abs=1e-15)
        alone = iou_by_brute_force(said[1:2], labels[1:2], known[1:2])
        (row,) = (
            row
            for row in rows
            if (row["sample"], row["split"], row["grid"])
            == (samples()["sample"][TEST][1], "test", place)
        )
        present = [value for value in alone if value is not None]
        assert row["miou"] == pytest.approx(sum(present) / len(present), abs=1e-15)
        assert row["view"] == "tilted"
    assert metrics["headline"]["miou"] == metrics["test"]["all"][own]["miou"]
    assert len(rows) == 3 * 8, "three grids, four samples of val and of test"
    shared, plane = (metrics["test"]["all"][place] for place in ("shared", "plane"))
    if own == "sphere":
        assert shared == plane, "it knows no more of the image than its table has"
    else:
        assert shared["n"] < plane["n"]
        assert shared["coverage"] < plane["coverage"] == 1
    # The plots' tables count the pixels of the network's own grid.
    with (folder / "confusion.csv").open(newline="") as stream:
        counts = [int(row["count"]) for row in csv.DictReader(stream)]
    with (folder / "reliability.csv").open(newline="") as stream:
        bins = [int(row["count"]) for row in csv.DictReader(stream)]
    assert sum(counts) == sum(bins) == metrics["test"]["all"][own]["n"]
    with (folder / "kept.csv").open(newline="") as stream:
        kept = {
            (row["model"], row["kept"]): float(row["accuracy"]) for row in csv.DictReader(stream)
        }
    assert kept["network", "1.0"] == pytest.approx(metrics["headline"]["accuracy"])
    assert {model for model, _ in kept} == {"network", "upright", "tilted"}


@GRIDS
def test_depth_equals_brute_force_on_both_grids(
    root: Path, kind: Any, own: str, other: str
) -> None:
    model = write_project(root, kind, "depth", loss="gaussian_nll", scale="log", mean=2.5, std=0.5)
    metrics = evaluated(root)
    raw = outputs_by_hand(model, own)
    valid = torch.from_numpy(columns(own)["valid"][TEST])
    metres = (2.5 + 0.5 * raw[..., 0]).exp()
    said = torch.stack([metres, metres * 0.5 * (raw[..., 1] / 2).exp()], dim=-1)
    answers = {own: (said, valid), other: to_the_other(said, own)}
    v, u = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    directions = {
        "sphere": pixel_centres(NSIDE, FACES),
        "plane": CAMERA.unproject(u.double(), v.double()).reshape(-1, 3),
    }
    for place, (values, known) in answers.items():
        true = torch.from_numpy(columns(place)["depth"][TEST]).double()
        counted = known & (true > 0)
        for view, mine in (("all", VIEW >= 0), ("tilted", VIEW == 1)):
            chosen = torch.from_numpy(mine)[:, None] & counted
            p, t = values[..., 0][chosen].double(), true[chosen]
            found = metrics["test"][view][place]
            # float32 outputs of the network in batches of another size.
            rmse = (p - t).square().mean().sqrt()
            assert found["rmse"] == pytest.approx(float(rmse), rel=1e-6)
            assert found["absrel"] == pytest.approx(float(((p - t).abs() / t).mean()), rel=1e-6)
            off = p.log() - t.log()
            silog = (off.square().mean() - off.mean().square()).sqrt()
            assert found["silog"] == pytest.approx(float(silog), rel=1e-6)
            z = (t - p) / values[..., 1][chosen].double()
            nll = z.square() / 2 + (values[..., 1][chosen].double()).log() + np.log(2 * np.pi) / 2
            assert found["nll"] == pytest.approx(float(nll.mean()), rel=1e-5)
            assert found["n"] == len(t)
        rows = pq.read_table(root / "results/evaluate/predictions.parquet").to_pylist()
        (row,) = (
            row
            for row in rows
            if (row["sample"], row["split"], row["grid"])
            == (samples()["sample"][TEST][0], "test", place)
        )
        # All points: their number is bounded by more than there are.
        first, second = (
            directions[place][counted[0]] * m[0][counted[0], None].double()
            for m in (values[..., 0], true)
        )
        assert len(first) < 2000
        expected = float(chamfer_reference(first, second))
        assert row["chamfer"] == pytest.approx(expected, rel=1e-5)


def poisoned(place: str) -> dict[str, Any]:
    """The columns with other images, labels and depths wherever nothing is seen."""
    own = columns(place)
    outside = ~own["valid"].reshape(len(own["sample"]), -1)
    assert outside.any()
    image = own["image"].reshape(*outside.shape, 3).copy()
    image[outside] = 200 if place == "plane" else 77.0
    label, depth = own["label"].copy(), own["depth"].copy()
    label[outside], depth[outside] = 1, 3.0
    return {**own, "image": image.reshape(own["image"].shape), "label": label, "depth": depth}


@pytest.mark.parametrize("task", ["segmentation", "depth"])
@GRIDS
def test_nothing_outside_the_image_enters_a_score(
    root: Path, monkeypatch: pytest.MonkeyPatch, task: str, kind: Any, own: str, other: str
) -> None:
    """Neither what stands in the tables there, nor what the network says there, however wild."""
    del other
    write_project(root, kind, task)
    plain = evaluated(root)
    for place, table in (("sphere", MAPS), ("plane", IMAGES)):
        write_table(root, table, poisoned(place))
    wild: list[_Wild] = []

    def loaded(weights: Path, about: Path) -> tuple[nn.Module, ModelInfo]:
        model, info = load(weights, about)
        wild.append(_Wild(model))
        return wild[0], info

    monkeypatch.setattr(dense_evaluation, "load", loaded)
    monkeypatch.setattr(dense_evaluation, "rotations", lambda *_: ([], {}, "not asked"))
    found = evaluated(root)
    assert wild[0].pixels > 0, "the network said something there"
    assert found["test"] == plain["test"]
    assert found["val"] == plain["val"]
    # And a pixel inside the image that changes does enter.
    for place, table in (("sphere", MAPS), ("plane", IMAGES)):
        changed = poisoned(place)
        inside = columns(place)["valid"] & (columns(place)["depth"] > 0)
        changed["label"][inside] = (changed["label"][inside] + 1) % len(CLASSES)
        changed["depth"][inside] *= 2
        write_table(root, table, changed)
    assert evaluated(root)["test"] != plain["test"]


class _Wild(nn.Module):
    """A network whose answers are beyond all bounds where its input is blank: outside the image."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.pixels = model, 0

    def trace(self, x: Tensor) -> dict[str, Tensor]:
        raise AssertionError("not asked")

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.model(x)
        outside = (x == 0).all(dim=-1)
        self.pixels += int(outside.sum())
        bounds = torch.tensor([torch.nan, torch.inf, -1e30, 1e30])[: found.shape[-1]]
        return torch.where(outside[..., None], bounds, found)


def test_the_same_again_byte_by_byte(root: Path) -> None:
    write_project(root, MAPS, "segmentation")
    evaluated(root)
    first = digest_tree(root / "results/evaluate")
    job = open_job(STAGE, root)
    job.store.remove(job.key)
    shutil.rmtree(root / "results/evaluate")
    evaluated(root)
    assert digest_tree(root / "results/evaluate") == first


@pytest.mark.parametrize("kind", [MAPS, IMAGES])
def test_one_table_alone(root: Path, kind: Any) -> None:
    write_project(root, kind, "segmentation", both=False)
    write_table(root, kind, {**columns("sphere" if kind is MAPS else "plane"), "view": None})
    metrics = evaluated(root)
    assert list(metrics["test"]) == list(metrics["val"]) == ["all"]
    assert list(metrics["test"]["all"]) == ["sphere" if kind is MAPS else "plane"]


def test_quarter_turns_of_outputs(root: Path) -> None:
    write_project(root, MAPS, "segmentation")
    errors = evaluated(root)["equivariance"]
    assert errors["quarter_turn"]["logits"]["max"] < 1e-5
    assert errors["so3"]["logits"]["mean"] > 1e-3
    rows = pq.read_table(root / "results/evaluate/equivariance.parquet").to_pylist()
    assert {row["group"] for row in rows} == {"quarter_turn", "z", "so3"}


def test_planar_networks_have_no_quarter_turns(root: Path) -> None:
    write_project(root, IMAGES, "depth")
    errors = evaluated(root)["equivariance"]
    assert errors["quarter_turn"] is None
    assert errors["quarter_turn_reason"].startswith("the network reads planar images")
    assert pq.read_table(root / "results/evaluate/equivariance.parquet").num_rows == 0


def test_gates_of_both_tasks(root: Path) -> None:
    write_project(root, MAPS, "segmentation")
    params = read_yaml(root / "params.yaml")
    bounds = {"miou_min": 0.9, "quarter_turn_error_max": 1e-4, "accuracy_min": 0.1}
    params["gate"] |= bounds
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    metrics = evaluated(root)
    gates = json.loads((root / "results/evaluate/gates.json").read_text())
    assert gates.keys() == bounds.keys()
    assert gates["miou_min"]["value"] == metrics["headline"]["miou"]
    assert gates["miou_min"]["passed"] is False
    assert gates["quarter_turn_error_max"]["passed"] is True
    # Not what is measured of pixels: a bound that cannot be held is seen.
    assert gates["accuracy_min"]["passed"] is False


def refused(root: Path) -> tuple[str, ...]:
    with pytest.raises(UserError) as caught:
        evaluated(root)
    assert not (root / "results/evaluate").exists()
    return tuple(line.replace(f"{root}/", "") for line in caught.value.lines)


def without_a_class(root: Path) -> None:
    write_table(root, IMAGES, samples(), ("sky", "ground", "pillar", "bush"))


def without_a_sample(root: Path) -> None:
    write_table(root, IMAGES, {**samples(), "sample": samples()["sample"] + 1})


def with_a_class_that_is_none(root: Path) -> None:
    params = read_yaml(root / "params.yaml")
    params["evaluate"]["invalid_classes"] = ["bush"]
    (root / "params.yaml").write_text(yaml.safe_dump(params))


def without_its_table(root: Path) -> None:
    stages = read_yaml(root / "dvc.yaml")
    stages["stages"]["evaluate"]["deps"].remove("data/healpix")
    (root / "dvc.yaml").write_text(yaml.safe_dump(stages))


def with_nan_in_the_weights(root: Path) -> None:
    weights = root / "results/train/weights.safetensors"
    tensors = {
        name: torch.full_like(value, torch.nan) for name, value in load_file(weights).items()
    }
    save_file(tensors, weights)


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (without_a_class, "results/train/model.json: trained on the 4 classes sky, ground, pillar, "
            "void; expected the 4 of data/projected, sky, ground, pillar, bush: run train"),
        (without_a_sample, "data/projected: the val split has no sample 3; expected the 4 samples "
            "that the network is measured on"),
        (with_a_class_that_is_none, "params.yaml: evaluate.invalid_classes names 'bush'; expected "
            "some of sky, ground, pillar, void"),
        (without_its_table, "data/healpix: is no input of evaluate; expected it among its deps, "
            "since heal_swin reads it"),
        (with_nan_in_the_weights, "the network's prediction 0 of sample 3 is nan at pixel "
            f"{FIRST}; expected finite ones"),
    ],
)  # fmt: skip
def test_bad_input_in_one_line(root: Path, spoil: Callable[[Path], None], line: str) -> None:
    write_project(root, MAPS, "segmentation")
    spoil(root)
    (found,) = refused(root)
    assert found == line


def test_depths_without_a_deviation_have_that_of_the_validation_split(root: Path) -> None:
    """A network that predicts none is calibrated with its RMSE there, once all of it is known."""
    model = write_project(root, IMAGES, "depth", loss="l2", scale="linear", mean=6.0, std=2.0)
    metrics = evaluated(root)
    for grids in metrics["val"].values():
        assert grids["plane"]["nll"] is None and grids["plane"]["ece"] is None
    deviation = metrics["val"]["all"]["plane"]["rmse"]
    metres = 6.0 + 2.0 * outputs_by_hand(model, "plane")[..., 0].double()
    true = torch.from_numpy(columns("plane")["depth"][TEST]).double()
    counted = torch.from_numpy(columns("plane")["valid"][TEST]) & (true > 0)
    for view, mine in (("all", VIEW >= 0), ("tilted", VIEW == 1)):
        chosen = torch.from_numpy(mine)[:, None] & counted
        z = (true[chosen] - metres[chosen]) / deviation
        nll = z.square().mean() / 2 + np.log(deviation) + np.log(2 * np.pi) / 2
        assert metrics["test"][view]["plane"]["nll"] == pytest.approx(float(nll), rel=1e-5)
        assert 0 <= metrics["test"][view]["plane"]["ece"] <= 1
