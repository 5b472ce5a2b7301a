"""Scores of depths: errors and clouds written out, calibration of what is drawn from a Gaussian."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.measure.chamfer import chamfer_reference
from geocore.measure.depth import depth_errors
from geocore.pipeline.depth_scores import EDGES, RANGES, DepthScores, Ranged, ranged


def pixels(
    seed: int, count: int = 400, deviation: float | None = None, spread: float = 2.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values, true depths with some missing, what is known, directions."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.rand(count, generator=generator, dtype=torch.float64) * 60 + 10
    noise = torch.randn(count, generator=generator, dtype=torch.float64)
    values = [true + spread * noise]
    if deviation is not None:
        values.append(torch.full_like(true, deviation))
    true[torch.rand(count, generator=generator) < 0.2] = 0
    directions = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)
    known = torch.rand(count, generator=generator) < 0.9
    return torch.stack(values, dim=1), true, known, directions


def scores(**changes: object) -> DepthScores:
    arguments: dict[str, object] = {"bins": 10, "points": 10_000, "seed": 0, **changes}
    return DepthScores(**arguments)  # type: ignore[arg-type]


def test_all_errors_are_those_of_all_pixels_at_once() -> None:
    found = scores()
    samples = [pixels(seed) for seed in range(3)]
    clouds = []
    for number, (values, true, known, directions) in enumerate(samples):
        own = found.add(ranged(values, true, known, directions), number)
        counted = known & (true > 0)
        first, second = (
            directions[counted] * metres[counted, None] for metres in (values[:, 0], true)
        )
        clouds.append(float(chamfer_reference(first, second)))
        assert own["chamfer"] == pytest.approx(clouds[-1], rel=1e-12)
        assert own["n"] == int(counted.sum())
        assert own["nll"] is None
    values, true, known, _ = (torch.cat(parts) for parts in zip(*samples, strict=True))
    counted = known & (true > 0)
    expected = depth_errors(values[:, 0], true, counted)
    summary = found.summary()
    for name, value in expected.summary().items():
        assert summary[name] == pytest.approx(value, rel=1e-12), name
    assert summary["chamfer"] == pytest.approx(sum(clouds) / 3, rel=1e-12)
    assert summary["n"] == int(counted.sum())
    assert summary["coverage"] == pytest.approx(int(counted.sum()) / int((true > 0).sum()))
    assert summary["nll"] is None
    assert summary["ece"] is None


def test_ranges_share_the_pixels_out() -> None:
    found = scores()
    values, true, known, directions = pixels(0)
    found.add(ranged(values, true, known, directions), 0)
    by_range = found.summary()["by_range"]
    assert list(by_range) == list(RANGES)
    for name, low, high in zip(RANGES, (0, *EDGES), (*EDGES, math.inf), strict=True):
        mine = known & (true > 0) & (true >= low) & (true < high)
        assert by_range[name]["n"] == int(mine.sum()), name
        if mine.any():
            expected = (values[mine, 0] - true[mine]).square().mean().sqrt()
            assert by_range[name]["rmse"] == pytest.approx(float(expected))
    assert int(found.counts.confusion.sum()) == found.summary()["n"]


@pytest.mark.parametrize("told", [2.0, 4.0, 1.0])
def test_a_predicted_deviation_is_held_against_the_errors(told: float) -> None:
    found = scores(points=1)
    for seed in range(20):
        found.add(ranged(*pixels(seed, 2000, deviation=told)), seed)
    # The errors deviate by 2: within the interval of level p, told / 2 times as wide as it should
    # be, lies erf(told / 2 erfinv p) of them.
    levels = torch.arange(1, 11, dtype=torch.float64) / 10
    error = (torch.erf(told / 2 * torch.erfinv(levels)) - levels).abs().mean()
    # 29,000 pixels: a share is known within 0.003.
    assert found.summary()["ece"] == pytest.approx(float(error), abs=0.006)
    z = 2.0 / told
    nll = z * z / 2 + math.log(told) + math.log(2 * math.pi) / 2
    # Three standard errors of z^2 / 2 over 29,000 pixels.
    assert found.summary()["nll"] == pytest.approx(nll, abs=3 * z * z / math.sqrt(2 * 29_000))
    table = found.reliability()
    assert table.confidence.tolist() == pytest.approx([n / 10 for n in range(1, 11)])
    assert float(table.accuracy[-1]) == 1


def test_a_constant_stands_for_a_deviation_that_is_not_predicted() -> None:
    one, other = scores(points=1, constant=2.0), scores(points=1)
    for seed in range(3):
        one.add(ranged(*pixels(seed)), seed)
        other.add(ranged(*pixels(seed, deviation=2.0)), seed)
    assert one.summary()["nll"] == pytest.approx(other.summary()["nll"])
    assert one.summary()["ece"] == other.summary()["ece"]


def test_the_surest_are_kept_first() -> None:
    found = scores(points=1)
    true = torch.full((1000,), 10.0, dtype=torch.float64)
    deviation = torch.linspace(0.1, 5, 1000, dtype=torch.float64)
    values = torch.stack([true + deviation, deviation], dim=1)
    directions = torch.tensor([[0.0, 0, 1]]).repeat(1000, 1).double()
    found.add(ranged(values, true, true > 0, directions), 0)
    kept = found.kept(torch.tensor([0.25, 0.5, 1.0]))
    # Within a factor of 1.25: deviations up to 2.5, a share of 0.4898.
    assert kept["accuracy"] == pytest.approx([1.0, 0.4898 / 0.5, 0.49], abs=2e-3)
    rmse = [math.sqrt(float(deviation[:n].square().mean())) for n in (250, 500, 1000)]
    assert kept["rmse"] == pytest.approx(rmse, rel=1e-2)


def test_points_of_a_cloud_are_bounded_and_follow_from_seed_and_sample() -> None:
    sample = ranged(*pixels(0))
    found = [scores(points=50, seed=seed).add(sample, 7)["chamfer"] for seed in (0, 0, 1)]
    assert found[0] == found[1]
    assert found[0] != found[2]
    assert scores(points=50).add(sample, 8)["chamfer"] != found[0]
    few = Ranged(sample.predicted[:1], sample.true[:1], None, sample.directions[:1], 1)
    off = float((sample.predicted[0] - sample.true[0]).abs())
    assert scores(points=50).add(few, 7)["chamfer"] == pytest.approx(2 * off)


def test_what_is_not_known_or_has_no_depth_is_not_looked_at() -> None:
    values, true, known, directions = pixels(4, deviation=1.0)
    plain, poisoned = scores(), scores()
    plain.add(ranged(values, true, known, directions), 0)
    outside = ~(known & (true > 0))
    wrong = torch.where(outside[:, None], torch.nan, values)
    poisoned.add(ranged(wrong, true, known, directions), 0)
    assert plain.summary() == poisoned.summary()


def test_a_sample_without_depths_changes_nothing() -> None:
    values, true, known, directions = pixels(5)
    found = scores(constant=1.0)
    own = found.add(ranged(values, torch.zeros_like(true), known, directions), 0)
    assert own["n"] == 0
    assert own["rmse"] is own["chamfer"] is own["nll"] is None
    assert found.summary()["rmse"] is None
    assert found.calibration_error() is None
