"""Depth errors against a sum written out pixel by pixel, cases by hand, and their invariances."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.measure.depth import DepthErrors, depth_errors


def depths(count: int = 200, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    true = torch.rand(count, generator=generator, dtype=torch.float64) * 40 + 1
    predicted = true * (torch.randn(count, generator=generator, dtype=torch.float64) * 0.3).exp()
    return predicted, true, torch.rand(count, generator=generator) < 0.6


def by_brute_force(predicted: Tensor, true: Tensor, valid: Tensor) -> dict[str, float]:
    pairs = [
        (float(p), float(t)) for p, t, known in zip(predicted, true, valid, strict=True) if known
    ]
    n = len(pairs)
    logs = [math.log(p) - math.log(t) for p, t in pairs]
    mse = math.fsum((p - t) ** 2 for p, t in pairs) / n
    return {
        "mse": mse,
        "rmse": math.sqrt(mse),
        "mae": math.fsum(abs(p - t) for p, t in pairs) / n,
        "absrel": math.fsum(abs(p - t) / t for p, t in pairs) / n,
        "silog": math.sqrt(math.fsum(d * d for d in logs) / n - (math.fsum(logs) / n) ** 2),
        **{f"delta_{k}": sum(max(p / t, t / p) < 1.25**k for p, t in pairs) / n for k in (1, 2, 3)},
    }


def test_all_errors_by_brute_force() -> None:
    predicted, true, valid = depths()
    found = depth_errors(predicted, true, valid)
    assert found.count == int(valid.sum())
    # silog's reference loses digits to cancellation.
    assert found.summary() == pytest.approx(by_brute_force(predicted, true, valid), rel=1e-12)


def test_errors_counted_by_hand() -> None:
    found = depth_errors(torch.tensor([1.0, 6.0, 8.0]), torch.tensor([2.0, 4.0, 8.0])).summary()
    assert found["mse"] == pytest.approx(5 / 3)
    assert found["rmse"] == pytest.approx(math.sqrt(5 / 3))
    assert found["mae"] == pytest.approx(1)
    assert found["absrel"] == pytest.approx(1 / 3)
    # Ratios 2, 1.5 and 1 against 1.25, 1.5625 and 1.953.
    assert [found[f"delta_{k}"] for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    d = [math.log(0.5), math.log(1.5), 0.0]
    expected = math.sqrt(sum(x * x for x in d) / 3 - (sum(d) / 3) ** 2)
    assert found["silog"] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("factor", [1e-3, 0.5, 7.0, 1e4])
def test_a_common_factor_leaves_silog_as_it_is(factor: float) -> None:
    predicted, true, _ = depths()
    plain, scaled = (depth_errors(p, true, floor=1e-9) for p in (predicted, predicted * factor))
    assert scaled.summary()["silog"] == pytest.approx(plain.summary()["silog"], rel=1e-13)
    # Exactly right up to a factor: nothing is left but the rounding of the logarithms.
    assert depth_errors(true * factor, true, floor=1e-9).summary()["silog"] < 1e-14


def test_pieces_in_any_order_count_as_the_whole() -> None:
    predicted, true, valid = depths()
    whole = depth_errors(predicted, true, valid).summary()
    few = [slice(150, 200), slice(0, 7), slice(7, 150)]
    for pieces in (few, [slice(n, n + 1) for n in range(200)]):
        running = DepthErrors()
        for piece in pieces:
            own = running.add(predicted[piece], true[piece], valid[piece])
            assert own.count == int(valid[piece].sum())
        assert running.summary() == pytest.approx(whole, rel=1e-13)


def test_what_lies_outside_the_image_changes_nothing() -> None:
    predicted, true, valid = depths()
    plain = depth_errors(predicted, true, valid).summary()
    for poison in (torch.nan, torch.inf, -1.0, 1e9):
        wrong = torch.where(valid, predicted, poison)
        nothing = torch.where(valid, true, 0.0)
        assert depth_errors(wrong, nothing, valid).summary() == plain
    assert depth_errors(predicted, true).summary() != plain


def test_predictions_of_nothing_count_as_the_floor_in_logarithms_alone() -> None:
    found = depth_errors(torch.tensor([-1.0, 2.0]), torch.tensor([1.0, 2.0]), floor=0.01)
    assert found.summary()["mse"] == 2
    d = math.log(0.01)
    assert found.summary()["silog"] == pytest.approx(math.sqrt(d * d / 2 - d * d / 4))
    assert found.summary()["delta_3"] == 0.5


def test_float32_is_summed_in_float64() -> None:
    true = torch.full((1_000_000,), 10.0)
    assert depth_errors(true + 0.5, true).summary()["mae"] == 0.5


def test_nothing_counted_is_undefined() -> None:
    found = depth_errors(torch.ones(2), torch.zeros(2), torch.zeros(2, dtype=torch.bool))
    assert all(math.isnan(value) for value in found.summary().values())
    assert found.summary().keys() == depth_errors(torch.ones(1), torch.ones(1)).summary().keys()


@pytest.mark.parametrize(
    ("predicted", "true", "message"),
    [
        ([1.0], [1.0, 2.0], r"shapes \(1,\) and \(2,\); expected one shape"),
        ([1.0, 1.0], [1.0, 0.0], "true holds 0.0; expected finite metres above 0 where valid"),
        ([1.0, 1.0], [1.0, math.inf], "true holds inf"),
        ([1.0, math.nan], [1.0, 1.0], "predicted holds nan; expected finite metres where valid"),
    ],
)
def test_what_it_refuses(predicted: list[float], true: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        depth_errors(torch.tensor(predicted), torch.tensor(true))
    with pytest.raises(TypeError, match=r"true is torch\.int64; expected floats"):
        depth_errors(torch.ones(1), torch.ones(1, dtype=torch.int64))
