"""Masks keep what they say, with the mean; a branch is kept or dropped whole."""

from __future__ import annotations

import pytest
import torch

from geocore.models.dropout import DropPath, ElementDropout, keep_mask, keep_probability


def test_the_keep_probability_is_a_multiple_of_a_65536th() -> None:
    assert keep_probability(0.0) == 1.0 and keep_probability(0.5) == 0.5
    assert keep_probability(0.1) == 1 - 6554 / 65536
    assert abs(keep_probability(0.1) - 0.9) < 7e-6
    assert keep_probability(1 - 1e-9) == 1 / 65536
    assert torch.isfinite(ElementDropout(1 - 1e-9)(torch.ones(100))).all()
    with pytest.raises(ValueError, match=r"probability is 1\.0; expected at least 0 and below 1"):
        keep_probability(1.0)


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.99])
def test_masks_keep_as_often_as_they_say(probability: float) -> None:
    torch.manual_seed(0)
    mask = keep_mask((400, 1001), probability, torch.empty(0))
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    keep = keep_probability(probability)
    error = (keep * (1 - keep) / mask.numel()) ** 0.5
    assert abs(float(mask.mean()) - keep) < 4 * error
    # Numbers of one 64-bit draw and of neighbouring ones are independent of each other.
    flat = mask.flatten() - keep
    for distance in range(1, 9):
        covariance = float((flat[distance:] * flat[:-distance]).mean())
        assert abs(covariance) < 4 * keep * (1 - keep) / mask.numel() ** 0.5


def test_every_level_is_drawn() -> None:
    torch.manual_seed(0)
    # The rarest events on both sides: one level of 65536.
    rare = keep_mask((1 << 20,), 1 - 1 / 65536, torch.empty(0))
    often = keep_mask((1 << 20,), 1 / 65536, torch.empty(0))
    # 16 are expected, with standard deviation 4.
    assert 2 <= float(rare.sum()) <= 36 and 2 <= float((1 - often).sum()) <= 36


def test_dropout_keeps_the_mean_and_its_own_mask() -> None:
    torch.manual_seed(0)
    layer = ElementDropout(0.25)
    x = torch.ones(50, 30, 40, dtype=torch.float64, requires_grad=True)
    out = layer(x)
    assert set(out.detach().unique().tolist()) == {0.0, 1 / 0.75}
    assert abs(float(out.detach().mean()) - 1) < 0.01  # standard error 0.0024
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(gradient, out.detach())
    assert torch.equal(layer.eval()(x), x)


def test_a_seed_decides_the_mask() -> None:
    layer, x = ElementDropout(0.5), torch.ones(10, 10)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(layer(x), first)


def test_a_dropped_branch_leaves_the_sample_as_it_was() -> None:
    torch.manual_seed(0)
    layer = DropPath(0.4)
    x, branch = torch.randn(2000, 3, 2), torch.randn(2000, 3, 2)
    out = layer(x, branch)
    dropped = (out == x).flatten(1).all(dim=1)
    kept = x + branch / 0.6
    torch.testing.assert_close(out[~dropped], kept[~dropped], atol=1e-6, rtol=0)
    assert abs(float(dropped.float().mean()) - 0.4) < 0.045  # standard error 0.011
    assert torch.equal(layer.eval()(x, branch), x + branch)
