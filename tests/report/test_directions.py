"""Which way a metric is better."""

from __future__ import annotations

import math

import pytest

from geocore.report.directions import better_when, verdict


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("evaluate.test.accuracy", "higher"),
        ("train.val_accuracy", "higher"),
        ("evaluate.per_class.3.f1", "higher"),
        ("evaluate.test.nll", "lower"),
        ("evaluate.test.ece_equal_mass", "lower"),
        ("train.train_nll", "lower"),
        ("synthesize.test.accuracy_loss", "lower"),
        ("synthesize.test.mismatches", "lower"),
        ("evaluate.ensemble.test.nll_ratio", "lower"),
        ("evaluate.equivariance.so3.stage0.block0.max", "lower"),
        ("evaluate.equivariance.so3.stage0.block0.floor", ""),
        ("evaluate.ensemble.members.accuracy.mean", "higher"),
        ("evaluate.test.tilted.sphere.iou.traffic_sign", "higher"),
        ("evaluate.test.all.plane.miou_without", "higher"),
        ("evaluate.test.all.plane.by_range.4_to_8m.absrel", "lower"),
        ("evaluate.test.all.plane.silog", "lower"),
        ("evaluate.test.all.plane.delta_2", "higher"),
        ("evaluate.test.all.plane.chamfer_squared", "lower"),
        ("evaluate.test.all.plane.coverage", ""),
        ("train.best_epoch", ""),
        ("train.parameters", ""),
        ("max", ""),
    ],
)
def test_by_its_name(name: str, way: str) -> None:
    assert better_when(name) == way


def test_verdict() -> None:
    assert verdict("a.accuracy", 0.5, 0.6) == "better"
    assert verdict("a.accuracy", 0.6, 0.5) == "worse"
    assert verdict("a.nll", 0.6, 0.5) == "better"
    assert verdict("a.nll", 0.5, 0.5) == ""
    assert verdict("a.epochs", 1, 2) == ""
    assert verdict("a.nll", 0.04423938, 0.0442394) == "", "rounding"
    assert verdict("a.nll", 1e-7, 2e-7) == "worse"
    assert verdict("a.nll", 0.0, 0.0) == ""
    assert verdict("a.nll", math.nan, 0.5) == ""
