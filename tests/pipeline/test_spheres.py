"""``spheres``: the maps are those of the network, of its turned inputs, and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from geocore.config.load import validate
from geocore.config.model import ModelParams
from geocore.config.spheres import SpheresParams
from geocore.data.table import Table
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.healpix.hierarchy import ud_grade
from geocore.healpix.symmetry import QuarterTurns
from geocore.models.registry import ModelInfo, build, load
from geocore.pipeline.progress import Progress
from geocore.pipeline.spheres import STAGE
from geocore.pipeline.stage import Job
from geocore.report.sphere_file import UNKNOWN, Spheres, read_spheres
from geocore.runs.store import Store
from tests.pipeline import dense, test_evaluate, test_grid_networks
from tests.pipeline.stages import RUNTIME, results_of

OUTPUTS = ["maps.arrow", "metrics.json"]


def job_of(root: Path, table: str = "healpix", **changes: Any) -> Job:
    params: dict[str, Any] = {"samples": 3, "rotations": 4, "axis": "z", "nside": 32} | changes
    return Job(
        stage=STAGE,
        root=root,
        sections={"spheres": SpheresParams(**params), "runtime": RUNTIME},
        values={},
        inputs={table: "digest"},
        store=Store(root / "store"),
        work=root / "work",
        key="5" * 32,
        code="code",
        progress=Progress(False),
    )


def spheres_of(job: Job) -> tuple[Spheres, dict[str, Any]]:
    found = results_of(job)
    assert sorted(found) == OUTPUTS
    return read_spheres(found["maps.arrow"]), json.loads(found["metrics.json"])


def trained(root: Path) -> nn.Module:
    folder = root / "results/train"
    return load(folder / "weights.safetensors", folder / "model.json")[0]


def held_out(root: Path, count: int) -> tuple[Table, Any]:
    table = Table.open(root / "data/healpix")
    return table, table.rows_of("test")[:count]


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """A classifier of whole maps at nside 4."""
    test_evaluate.write_table(tmp_path)
    test_evaluate.write_model(tmp_path)
    return tmp_path


def written_dense(root: Path, task: str, outputs: int, **objective: Any) -> nn.Module:
    """HEAL-SWIN on the faces 0 to 7 at nside 16, of tilted cameras that see a part of them."""
    columns = dense.on_the_sphere(dense.samples())
    dense.write_table(root, dense.MAPS, columns)
    params = validate({"name": "heal_swin", **dense._MODEL}, ModelParams, "test")
    assert isinstance(params, ModelParams)
    model = build(params, dense.MAPS, outputs, seed=0, dense=True).eval()
    folder = root / "results/train"
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "weights.safetensors")
    info = ModelInfo(
        params, dense.MAPS, dense.CLASSES, 1, 1.0,
        "segmentation" if task == "segmentation" else "depth", outputs, objective,
    )  # fmt: skip
    (folder / "model.json").write_text(json.dumps(info.to_json()))
    return model


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    written_dense(tmp_path, "segmentation", len(dense.CLASSES), class_weights=None)
    return tmp_path


def test_a_classifier_is_asked_about_the_turned_maps(classes: Path) -> None:
    spheres, metrics = spheres_of(job_of(classes, rotations=8))
    assert (spheres.task, spheres.nside, spheres.classes) == (
        "classification", 4, test_evaluate.CLASSES)  # fmt: skip
    table, rows = held_out(classes, 3)
    images, model, turns = table.images(rows), trained(classes), QuarterTurns(4)
    assert [one.sample for one in spheres.samples] == table.column("sample")[rows].tolist()
    with torch.inference_mode():
        plain, quarter = model(images), model(turns.act(1, images))
    for place, one in enumerate(spheres.samples):
        np.testing.assert_array_equal(one.input, images[place].numpy())
        assert one.label.tolist() == [int(table.labels(rows)[place])]
        expected = plain[place].double().softmax(0)
        np.testing.assert_allclose(one.prediction, expected, atol=1e-6)
        assert one.uncertainty is not None
        entropy = float(-(expected * expected.log()).sum())
        assert float(one.uncertainty[0]) == pytest.approx(entropy, abs=1e-5)
        assert [turn.angle for turn in one.turns] == [45.0 * n for n in range(8)]
        assert [turn.exact for turn in one.turns] == [True, False] * 4
        turn = one.turns[2]
        np.testing.assert_allclose(turn.found, quarter[place].double().softmax(0), atol=1e-6)
        off = float((quarter[place] - plain[place]).norm() / plain[place].norm())
        assert turn.error == pytest.approx(off, abs=1e-6)
        np.testing.assert_array_equal(turn.expected, one.prediction)
        assert set(one.spectra) == {"input"}
    assert metrics["samples"] == 3 and metrics["sky"] == 1
    assert metrics["equivariance"]["exact"]["max"] < 1e-5  # positions of the orbit: invariant
    assert metrics["equivariance"]["interpolated"]["mean"] > 1e-4


def test_a_segmentation_is_turned_pixel_by_pixel(masks: Path) -> None:
    spheres, metrics = spheres_of(job_of(masks))
    table, rows = held_out(masks, 3)
    valid, labels = table.valid(rows), table.labels(rows)
    images = torch.where(valid[..., None], table.images(rows), 0)
    model, turns = trained(masks), QuarterTurns(16, dense.FACES)
    with torch.inference_mode():
        plain, quarter = model(images), model(turns.act(1, images))
    for one in spheres.samples:
        place = table.column("sample")[rows].tolist().index(one.sample)
        mine = valid[place].numpy()
        known = labels[place].numpy()
        np.testing.assert_array_equal(one.label, np.where(mine, known, UNKNOWN))
        said = plain[place].argmax(-1).numpy()
        np.testing.assert_array_equal(one.prediction, np.where(mine, said, UNKNOWN))
        assert np.isnan(one.input[~mine]).all() and np.isfinite(one.input[mine]).all()
        turn, sees = one.turns[1], turns.act(1, valid[place, :, None])[:, 0].numpy()
        turned = quarter[place].argmax(-1).numpy()
        np.testing.assert_array_equal(turn.found, np.where(sees, turned, UNKNOWN))
        assert turn.exact and turn.error < 1e-5  # the grid shift keeps the quarter turns
        np.testing.assert_array_equal(turn.found, turn.expected)
        assert float(np.nanmax(turn.difference)) < 1e-5
        assert set(one.spectra) == {"input", "label", "prediction", "error"}
    assert 0.2 < spheres.sky < 0.4 and metrics["sky"] == spheres.sky
    views = [one.view for one in spheres.samples]
    assert views == ["upright", "tilted", "upright"]


def test_interpolated_turns_of_part_of_a_sphere_are_compared_where_both_know(masks: Path) -> None:
    spheres, metrics = spheres_of(job_of(masks, samples=1, axis="x", nside=4))
    assert spheres.nside == 4
    (one,) = spheres.samples
    assert [turn.exact for turn in one.turns] == [True, False, False, False]
    assert all(len(turn.found) == 8 * 16 for turn in one.turns)
    assert 0 < one.turns[1].error < 2
    assert "exact" not in metrics["equivariance"]  # the identity alone is no turn
    unknown = one.turns[1].found == UNKNOWN
    np.testing.assert_array_equal(np.isnan(one.turns[1].difference), unknown)
    _, rows = held_out(masks, 1)
    table = Table.open(masks / "data/healpix")
    image, valid = table.images(rows)[0], table.valid(rows)[0]
    means, sees = ud_grade(image, 4, dense.FACES, valid=valid)
    np.testing.assert_allclose(one.input[sees.numpy()], means[sees], atol=1e-6)


def test_depths_are_metres_and_have_a_deviation_where_it_is_told(tmp_path: Path) -> None:
    about = {**dense.DEPTH, "loss": "gaussian_nll"}
    written_dense(tmp_path, "depth", 2, **about)
    spheres, _ = spheres_of(job_of(tmp_path))
    table, rows = held_out(tmp_path, 3)
    valid = table.valid(rows)
    images = torch.where(valid[..., None], table.images(rows), 0)
    with torch.inference_mode():
        outputs: Tensor = trained(tmp_path)(images)
    one = spheres.samples[0]
    mine = valid[0].numpy()
    np.testing.assert_allclose(one.prediction[mine], (10 + 5 * outputs[0, :, 0])[mine], rtol=1e-5)
    assert one.uncertainty is not None
    spread = 5 * (outputs[0, :, 1] / 2).exp()
    np.testing.assert_allclose(one.uncertainty[mine], spread[mine], rtol=1e-5)
    depths = table.depths(rows)[0].numpy()
    np.testing.assert_array_equal(one.label[depths > 0], depths[depths > 0])
    assert np.isnan(one.label[depths == 0]).all() and spheres.classes == ()


def test_a_network_on_the_other_grid_is_shown_on_healpix(tmp_path: Path) -> None:
    test_grid_networks.write_table(tmp_path, "mask")
    table = Table.open(tmp_path / "data/driscoll_healy")
    params = validate(test_grid_networks.MODELS["s2cnn"], ModelParams, "test")
    assert isinstance(params, ModelParams)
    classes = test_grid_networks.CLASSES
    kind: TableType = table.info.type
    model = build(params, kind, len(classes), seed=0, dense=True)
    folder = tmp_path / "results/train"
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "weights.safetensors")
    info = ModelInfo(params, kind, classes, 1, 255.0, "segmentation", 0, {"class_weights": None})
    (folder / "model.json").write_text(json.dumps(info.to_json()))
    spheres, _ = spheres_of(job_of(tmp_path, "driscoll_healy", samples=1))
    (one,) = spheres.samples
    assert spheres.nside == 8 and "Driscoll-Healy grid 12 x 12" in spheres.source
    assert len(one.spectra["input"]) == test_grid_networks.BANDLIMIT
    assert [turn.exact for turn in one.turns] == [True] * 4
    assert max(turn.error for turn in one.turns) < 1e-5


def test_same_job_same_bytes(masks: Path) -> None:
    first = results_of(job_of(masks))
    torch.manual_seed(99)
    job = job_of(masks)
    assert job.store.find(job.key) is not None
    (masks / "store").rename(masks / "elsewhere")
    assert results_of(job_of(masks)) == first


def test_mistakes_have_a_line_each(classes: Path) -> None:
    job = job_of(classes)
    job.inputs.clear()  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"data/healpix: is no input of spheres; expected it among"):
        STAGE.make(job)
    model = classes / "results/train/model.json"
    about = json.loads(model.read_text())
    model.write_text(json.dumps({**about, "classes": ["ape", "cat", "dog"]}))
    with pytest.raises(UserError, match=r"model\.json: trained on the 3 classes ape, cat, dog"):
        STAGE.make(job_of(classes))
    planar = {**about["type"], "grid": "planar", "height": 8, "width": 8}
    model.write_text(json.dumps({**about, "type": {**planar, "nside": None, "faces": None}}))
    with pytest.raises(UserError, match=r"reads planar images; expected a network on the sphere"):
        STAGE.make(job_of(classes))
