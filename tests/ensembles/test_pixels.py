"""Ensembles of pixels against sums written out, whatever the pieces."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.data.table import IGNORED
from geocore.ensembles import pixels as module
from geocore.ensembles.pixels import DepthEnsemble, SegmentationEnsemble
from geocore.train.depth import Depth

MEMBERS, CLASSES = 3, 4


def masks(samples: int = 5, pixels: int = 20) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    target = torch.randint(CLASSES, (samples, pixels), generator=generator).to(torch.uint8)
    target[torch.rand(samples, pixels, generator=generator) < 0.3] = IGNORED
    shape = (MEMBERS, samples, pixels, CLASSES)
    return 2 * torch.randn(shape, generator=generator, dtype=torch.float64), target


def test_masks_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE", 6)  # a sample's pixels in several pieces
    outputs, target = masks()
    ensemble = SegmentationEnsemble(MEMBERS, CLASSES)
    rows = [ensemble.add(outputs[:, n], target[n]) for n in range(len(target))]
    p = outputs.softmax(dim=-1)
    q = p.mean(dim=0)
    counted = target != IGNORED
    label = torch.where(counted, target, 0).long()

    def nll(given: Tensor) -> Tensor:
        return -given.gather(-1, label[..., None])[..., 0].log()

    def entropy(given: Tensor) -> Tensor:
        return -(given * given.log()).sum(dim=-1)

    def mean_iou(given: Tensor) -> float:
        taken = given.argmax(dim=-1)
        return math.fsum(
            float((counted & (taken == c) & (label == c)).sum())
            / float((counted & ((taken == c) | (label == c))).sum())
            for c in range(CLASSES)
        ) / CLASSES  # fmt: skip

    expected = {
        "nll": nll(q), "accuracy": (q.argmax(dim=-1) == label).double(), "entropy": entropy(q),
        "expected_entropy": entropy(p).mean(dim=0),
        "mutual_information": entropy(q) - entropy(p).mean(dim=0),
    }  # fmt: skip
    found = ensemble.values()
    for name, values in expected.items():
        assert found[name] == pytest.approx(float(values[counted].mean()), abs=1e-12)
        for number, (whole, _) in enumerate(rows):
            own = values[number][counted[number]]
            assert whole["pixels"] == len(own)
            assert whole[name] == pytest.approx(float(own.mean()), abs=1e-12)
    assert found["mean_iou"] == pytest.approx(mean_iou(q), abs=1e-12)
    shares = [mean_iou(p[member]) for member in range(MEMBERS)]
    best = shares.index(max(shares))
    assert found["best_member"]["mean_iou"] == pytest.approx(max(shares), abs=1e-12)
    assert found["best_member"]["nll"] == pytest.approx(float(nll(p[best])[counted].mean()))
    assert found["mean_member"]["mean_iou"] == pytest.approx(sum(shares) / MEMBERS, abs=1e-12)
    for member in range(MEMBERS):
        own = nll(p[member])[0][counted[0]]
        assert rows[0][1][member]["nll"] == pytest.approx(float(own.mean()), abs=1e-12)


def test_depths_by_hand() -> None:
    generator = torch.Generator().manual_seed(2)
    learned = Depth("gaussian_nll", "log", 2.0, 0.5)
    outputs = torch.randn(MEMBERS, 5, 20, 2, generator=generator, dtype=torch.float64)
    target = 1 + 30 * torch.rand(5, 20, generator=generator)
    target[torch.rand(5, 20, generator=generator) < 0.3] = 0
    ensemble = DepthEnsemble(MEMBERS, learned.metres)
    rows = [ensemble.add(outputs[:, n], target[n]) for n in range(5)]
    depths = (2 + 0.5 * outputs[..., 0]).exp()
    mean, counted = depths.mean(dim=0), target > 0

    def rmse(given: Tensor, true: Tensor, where: Tensor) -> float:
        return float((given - true)[where].square().mean().sqrt())

    found = ensemble.values()
    own = [rmse(depths[member], target, counted) for member in range(MEMBERS)]
    assert found["rmse"] == pytest.approx(rmse(mean, target, counted), rel=1e-12)
    assert found["best_member"]["rmse"] == pytest.approx(min(own), rel=1e-12)
    assert found["mean_member"]["rmse"] == pytest.approx(sum(own) / MEMBERS, rel=1e-12)
    spread = ((depths - mean).square().mean(dim=0)).sqrt()
    assert found["spread"] == pytest.approx(float(spread[counted].mean()), rel=1e-12)
    for number, (whole, members) in enumerate(rows):
        where = counted[number]
        assert whole["rmse"] == pytest.approx(rmse(mean[number], target[number], where), rel=1e-12)
        assert whole["spread"] == pytest.approx(float(spread[number][where].mean()), rel=1e-12)
        assert members[1]["rmse"] == pytest.approx(
            rmse(depths[1, number], target[number], where), rel=1e-12
        )


def test_a_sample_of_which_nothing_counts_changes_nothing() -> None:
    outputs, target = masks()
    depth = Depth("l1", "linear", 0.0, 1.0)
    for ensemble, nothing, given in (
        (SegmentationEnsemble(MEMBERS, CLASSES), IGNORED, target),
        (DepthEnsemble(MEMBERS, depth.metres), 0, target.float()),
    ):
        ensemble.add(outputs[:, 0], given[0])
        before = ensemble.values()
        whole, members = ensemble.add(outputs[:, 1], torch.full_like(given[1], nothing))
        assert whole.pop("pixels") == 0
        assert all(math.isnan(value) for own in (whole, *members) for value in own.values())
        assert ensemble.values() == before


def test_one_member_has_nothing_to_disagree_with() -> None:
    outputs, target = masks()
    ensemble = SegmentationEnsemble(1, CLASSES)
    whole, (own,) = ensemble.add(outputs[:1, 0], target[0])
    assert whole["mutual_information"] == 0 and whole["entropy"] == whole["expected_entropy"]
    assert whole["nll"] == own["nll"]
