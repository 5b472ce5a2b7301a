"""Charts over the studies below: which points make a series on an axis, which files there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geocore.pipeline import trends
from geocore.pipeline.summaries import Figures, summaries
from geocore.pipeline.trends import series, write_charts
from geocore.report.line_chart import Mark, line_chart

SAMPLES = {"unrotated": 100.0, "rotated_1": 100.0, "rotated_4": 400.0, "rotated_16": 1600.0}
PARAMETERS = {"s2cnn": 2e5, "cnn_1": 2e5, "cnn_2": 1e6, "cnn_10": 5e6}


def grid(axis: dict[str, float], place: int) -> dict[str, float]:
    """Where each network on each data lies on an axis that ``place`` of its path decides."""
    paths = [f"{data}/{network}" for data in SAMPLES for network in PARAMETERS]
    return {path: axis[path.split("/")[place]] for path in paths}


def test_samples_join_the_data_and_parameters_the_networks() -> None:
    by_data = series(grid(SAMPLES, 0))
    assert by_data["rotated_1/cnn_2"] == by_data["rotated_16/cnn_2"] == "rotated/cnn_2"
    assert by_data["unrotated/s2cnn"] == "unrotated/s2cnn"
    assert len(set(by_data.values())) == 2 * len(PARAMETERS)
    by_size = series(grid(PARAMETERS, 1))
    assert by_size["rotated_4/cnn_1"] == by_size["rotated_4/cnn_10"] == "rotated_4/cnn"
    assert by_size["rotated_4/s2cnn"] == "rotated_4/s2cnn"
    assert len(set(by_size.values())) == 2 * len(SAMPLES)


def test_a_number_that_the_axis_does_not_follow_stays() -> None:
    alike = {"nside_8/net": 100.0, "nside_16/net": 100.0}
    assert series(alike) == {name: name for name in alike}
    apart = {"rotated_1/cnn_1": 100.0, "rotated_4/cnn_2": 400.0}  # two things change at once
    assert series(apart) == {name: name for name in apart}
    assert series({}) == {}


def test_what_lies_deeper_makes_a_series_of_its_own() -> None:
    along = {
        f"rotated_{n}/cnn{more}": float(n) for n in (1, 4) for more in ("", "/turned", "/turned_2")
    }
    assert set(series(along).values()) == {
        "rotated/cnn", "rotated/cnn/turned", "rotated/cnn/turned_2"
    }  # fmt: skip


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the charts are drawn of, by title and axis."""
    charts: dict[str, Any] = {}

    def noted(curves: Any, title: str, across: str, upwards: str) -> Any:
        charts[f"{title} / {across}"] = curves
        return line_chart(curves, title, across, upwards)

    monkeypatch.setattr(trends, "line_chart", noted)
    return charts


def test_a_chart_for_each_group_figure_and_axis(tmp_path: Path, drawn: dict[str, Any]) -> None:
    measured: dict[str, Figures] = {}
    trained: dict[str, Figures] = {}
    for data, samples in SAMPLES.items():
        for seed in ("", "_seed1"):
            name = f"classes/{data}/cnn{seed}"
            measured[name] = {"test.accuracy": samples / 2000 + bool(seed) * 0.2, "test.iou": None}
            trained[name] = {"samples": samples, "parameters": 5e4}
    measured["masks/unrotated/cnn"] = {"test.accuracy": None, "test.iou": 0.5}
    trained["masks/unrotated/cnn"] = {"samples": 100.0, "parameters": None}
    write_charts(tmp_path, summaries(measured), summaries(trained))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "classes_test-accuracy_parameters.png",
        "classes_test-accuracy_samples.png",
        "masks_test-iou_samples.png",
    ]
    curves = drawn["classes: test.accuracy / samples"]
    assert list(curves) == ["rotated/cnn", "unrotated/cnn"]
    assert [mark.x for mark in curves["rotated/cnn"]] == [100.0, 400.0, 1600.0], "1, 4, 16"
    (alone,) = curves["unrotated/cnn"]
    assert isinstance(alone, Mark) and alone.x == 100.0
    assert (alone.y, alone.sd) == pytest.approx((0.15, 0.02**0.5)), "over two seeds"
    assert len(drawn["classes: test.accuracy / parameters"]) == 4, "one network, no curve"


def test_equal_figures_give_equal_bytes_and_no_figure_a_word(tmp_path: Path) -> None:
    measured = summaries({"g/a_1": {"x": 1.0}, "g/a_2": {"x": 2.0}})
    trained = summaries({"g/a_1": {"n": 1.0}, "g/a_2": {"n": 2.0}})
    written = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_charts(tmp_path / name, measured, trained)
        written.append((tmp_path / name / "g_x_n.png").read_bytes())
    assert written[0] == written[1]
    (tmp_path / "none").mkdir()
    write_charts(tmp_path / "none", measured, summaries({"g/a_1": {"n": None}}))
    assert [path.name for path in (tmp_path / "none").iterdir()] == ["README.txt"]
