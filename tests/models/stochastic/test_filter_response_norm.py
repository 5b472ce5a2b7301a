"""Each channel of each sample comes out with mean square 1, scaled and moved."""

from __future__ import annotations

import pytest
import torch

from geocore.models.stochastic.filter_response_norm import FilterResponseNorm


def test_mean_square_is_one_whatever_the_scale() -> None:
    x = torch.randn(3, 4, 5, 6, dtype=torch.float64)
    norm = FilterResponseNorm(4, eps=1e-30, dtype=torch.float64)
    out = norm(x)
    torch.testing.assert_close(out.square().mean((-2, -1)), torch.ones(3, 4, dtype=x.dtype))
    torch.testing.assert_close(norm(7 * x), out, atol=1e-12, rtol=0)
    torch.testing.assert_close(norm(-x), -out, atol=0, rtol=0)


def test_scale_bias_and_floor() -> None:
    norm = FilterResponseNorm(2, eps=0.75, dtype=torch.float64)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([2.0, 3.0]))
        norm.bias.copy_(torch.tensor([0.0, 5.0]))
    x = torch.full((1, 2, 3, 3), 0.5, dtype=torch.float64)
    # 0.5 / sqrt(0.25 + 0.75) = 0.5
    expected = torch.tensor([1.0, 6.5], dtype=torch.float64)
    torch.testing.assert_close(norm(x)[0, :, 1, 1], expected, atol=1e-15, rtol=0)
    assert torch.isfinite(norm(torch.zeros_like(x))).all()


def test_a_sample_depends_on_no_other() -> None:
    norm, x = FilterResponseNorm(3).train(), torch.randn(5, 3, 4, 4)
    assert torch.equal(norm(x)[2:3], norm(x[2:3]))
    assert not list(norm.buffers())


def test_refuses_other_shapes_and_no_floor() -> None:
    with pytest.raises(
        ValueError, match=r"x has shape \(1, 2, 3, 3\); expected \(batch, 4, height"
    ):
        FilterResponseNorm(4)(torch.zeros(1, 2, 3, 3))
    with pytest.raises(ValueError, match=r"eps is 0\.0; expected a positive number"):
        FilterResponseNorm(4, eps=0.0)
    with pytest.raises(ValueError, match="channels is 0; expected a positive integer"):
        FilterResponseNorm(0)
