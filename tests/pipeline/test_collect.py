"""Figures of the studies below as a document, a table, pages and charts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from geocore.config.collect import CollectParams
from geocore.errors import UserError
from geocore.pipeline.collect import STAGE
from geocore.pipeline.stage import Job
from tests.pipeline.stages import study_job

MIOU = {
    "segmentation/swin": 0.5,
    "segmentation/heal_swin": 0.6,
    "segmentation/heal_swin_seed1": 0.7,
    "segmentation/heal_swin/ignored": 0.4,
    "depth/swin": None,
}


def job(root: Path, metrics: dict[str, float | None] = MIOU, **changes: Any) -> Job:
    """The stage over studies below ``studies/mine``, each with its figure as its only metric."""
    deps = []
    for name, miou in metrics.items():
        folder = root / "studies/mine" / name
        for path, text in {
            "results/evaluate/metrics.json": json.dumps({"test": {"miou": miou, "rmse": 2.0}}),
            "results/train/metrics.json": json.dumps({"parameters": 1000 * len(name)}),
            "results/train/curve.csv": "epoch,val_nll\n0,1.5\n1,1.0\n",
            "params.yaml": f"train:\n  seed: {len(name)}\n",
        }.items():
            if name.endswith("/ignored") and "train" in path:
                continue  # it measures the network above it
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
            deps.append(f"studies/mine/{name}/{path}")
    values = {"figures": ("test.miou",), "baseline": "swin", "against": (), **changes}
    return study_job(STAGE, root, CollectParams(**values), deps=deps)


def made(root: Path, **changes: Any) -> dict[str, Any]:
    found = STAGE.make(job(root, **changes))
    assert found["studies"] == 5
    document: dict[str, Any] = json.loads(
        (root / "studies/mine/results/collect/metrics.json").read_text()
    )
    return document


def test_the_document_leaves_out_what_was_not_measured(tmp_path: Path) -> None:
    found = made(tmp_path)
    assert found["studies"]["depth"]["swin"] == {"mean": {}, "sd": {}, "runs": 1}
    assert found["gain"]["segmentation"]["heal_swin"]["test"]["miou"] == pytest.approx(0.15)


def test_the_table_has_a_row_a_run(tmp_path: Path) -> None:
    made(tmp_path, figures=("test.miou", "test.rmse"))
    table = (tmp_path / "studies/mine/results/collect/table.csv").read_text().splitlines()
    assert table[:2] == ["study,test.miou,test.rmse", "depth/swin,,2.0"]
    assert "segmentation/heal_swin_seed1,0.7,2.0" in table


def test_a_page_for_each_group_of_two_with_the_baseline_first(tmp_path: Path) -> None:
    made(tmp_path)
    pages = tmp_path / "studies/mine/results/collect/pages"
    assert [path.name for path in pages.iterdir()] == ["segmentation.html"]
    text = (pages / "segmentation.html").read_text()
    assert text.index("segmentation/swin") < text.index("segmentation/heal_swin")
    assert "train.seed" in text


def test_it_is_whole_until_a_file_changes(tmp_path: Path) -> None:
    this = job(tmp_path)
    manifest = STAGE.make(this)
    assert STAGE.whole is not None and STAGE.whole(this, manifest)
    (tmp_path / "studies/mine/results/collect/table.csv").write_text("study\n")
    assert not STAGE.whole(this, manifest)


def test_a_figure_that_nobody_measures_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^studies/mine/params.yaml: collect.figures names x\.y, "):
        STAGE.make(job(tmp_path, figures=("test.miou", "x.y")))
    assert not (tmp_path / "studies/mine/results/collect/metrics.json").exists()


def test_each_figure_is_drawn_against_each_axis(tmp_path: Path) -> None:
    this = job(tmp_path, against=("parameters",))
    manifest = STAGE.make(this)
    charts = tmp_path / "studies/mine/results/collect/charts"
    assert [path.name for path in charts.iterdir()] == ["segmentation_test-miou_parameters.png"]
    assert STAGE.whole is not None and STAGE.whole(this, manifest)
    (charts / "more.png").write_bytes(b"")
    assert not STAGE.whole(this, manifest)


def test_no_axis_no_charts(tmp_path: Path) -> None:
    this = job(tmp_path)
    STAGE.make(this)
    assert "charts" not in STAGE.outputs(this.sections)
    assert not (tmp_path / "studies/mine/results/collect/charts").exists()


def test_a_study_without_training_stands_where_the_network_above_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: dict[str, Any] = {}
    monkeypatch.setattr(
        "geocore.pipeline.collection.write_charts",
        lambda folder, measured, trained: found.update(trained),
    )
    STAGE.make(job(tmp_path, against=("parameters",)))
    ignored, above = (found["segmentation"][name] for name in ("heal_swin/ignored", "heal_swin"))
    assert ignored.mean["parameters"] == 1000 * len("segmentation/heal_swin")
    assert above.runs == 2 and above.mean["parameters"] > ignored.mean["parameters"]


def test_an_axis_that_nobody_trains_with_or_that_has_no_logarithm(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^studies/mine/params.yaml: collect.against names size, "):
        STAGE.make(job(tmp_path, against=("size",)))
    this = job(tmp_path, against=("parameters",))
    path = tmp_path / "studies/mine/depth/swin/results/train/metrics.json"
    path.write_text(json.dumps({"parameters": 0}))
    with pytest.raises(UserError, match=r"train/metrics\.json: parameters is 0; expected above 0"):
        STAGE.make(this)
    path.write_text("[]")
    with pytest.raises(UserError, match=r"holds no JSON object; expected what train wrote"):
        STAGE.make(this)
    assert not (tmp_path / "studies/mine/results/collect/metrics.json").exists()


def test_metrics_that_are_no_json_are_named(tmp_path: Path) -> None:
    this = job(tmp_path)
    path = tmp_path / "studies/mine/depth/swin/results/evaluate/metrics.json"
    path.write_text("{")
    with pytest.raises(
        UserError, match=r"depth/swin/results/evaluate/metrics\.json: holds no JSON"
    ):
        STAGE.make(this)
