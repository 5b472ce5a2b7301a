"""Runs that differ in their seed are told as one, and against a baseline."""

from __future__ import annotations

import math

import pytest

from geocore.pipeline.summaries import Summary, gains, summaries

MIOU = {
    "segmentation/swin": 0.5,
    "segmentation/heal_swin": 0.6,
    "segmentation/heal_swin_seed1": 0.7,
    "segmentation/heal_swin/ignored": 0.4,
    "depth/swin": None,
}


def test_runs_that_differ_in_their_seed_are_one() -> None:
    found = summaries({name: {"miou": value} for name, value in MIOU.items()})
    assert list(found) == ["depth", "segmentation"]
    both = found["segmentation"]["heal_swin"]
    assert both.runs == 2
    assert both.mean["miou"] == pytest.approx(0.65)
    assert both.sd["miou"] == pytest.approx(math.sqrt(0.005))
    assert found["segmentation"]["swin"] == Summary({"miou": 0.5}, {"miou": None}, 1)


def test_gains_are_over_the_baseline_of_the_group() -> None:
    found = summaries({name: {"miou": value} for name, value in MIOU.items()})
    gained = gains(found, "swin")["segmentation"]
    assert gained["heal_swin"]["miou"] == pytest.approx(0.15)
    assert gained["heal_swin/ignored"]["miou"] == pytest.approx(-0.1)
    assert "swin" not in gained
    assert gains(found, None) == gains(found, "unet") == {}


def test_a_figure_that_one_run_lacks_has_no_mean() -> None:
    found = summaries({"g/a": {"x": 1.0, "y": 2.0}, "g/a_seed1": {"x": None, "y": 4.0}})
    assert found["g"]["a"].mean == {"x": None, "y": 3.0}
    assert found["g"]["a"].sd == {"x": None, "y": pytest.approx(math.sqrt(2))}
