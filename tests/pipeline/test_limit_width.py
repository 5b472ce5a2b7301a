"""Kernels of drawn finite networks: their means, and what an error is."""

from __future__ import annotations

import pytest
import torch

from geocore.pipeline.limit_networks import dense_network
from geocore.pipeline.limit_twins import drawn_kernels, smooth_images
from geocore.pipeline.limit_width import networks, relative_errors


def test_with_one_hidden_layer_both_kernels_are_the_mean_of_their_draws() -> None:
    """Without bias, at any width: within 4 standard errors of 200 draws; the half is not."""
    x, network = smooth_images(3, 4, 0), dense_network(1)
    drawn, exact = drawn_kernels(network, x, 8, 200, 0), network.kernel(x)
    for found, one in zip(drawn, exact, strict=True):
        error = found.std(dim=0) / 200**0.5
        assert float(((found.mean(dim=0) - one) / error).abs().max()) < 4
        assert float(((found.mean(dim=0) - one / 2) / error).abs().max()) > 4


@pytest.mark.parametrize("name", list(networks()))
def test_a_wide_network_is_near_its_kernel(name: str) -> None:
    """One draw of width 64 within a half, where a width of 4 is further off."""
    x, network = smooth_images(2, 4, 1), networks()[name]
    exact = network.kernel(x)
    wide, narrow = (drawn_kernels(network, x, width, 8, 2) for width in (64, 4))
    for kernel in ("nngp", "ntk"):
        one = relative_errors(getattr(wide, kernel), getattr(exact, kernel))
        two = relative_errors(getattr(narrow, kernel), getattr(exact, kernel))
        assert one[0] < 0.5 and one[0] < two[0]


def test_errors_are_relative_and_of_one_draw_and_of_the_mean() -> None:
    exact = torch.eye(2, dtype=torch.float64)  # of length sqrt 2
    off = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    one, mean = relative_errors(torch.stack([exact + off, exact - off]), exact)
    assert one == pytest.approx(0.5**0.5) and mean == pytest.approx(0.0)
    one, mean = relative_errors(torch.stack([exact + off, exact + off]), exact)
    assert one == mean == pytest.approx(0.5**0.5)


def test_smooth_images_are_those_of_the_seed() -> None:
    x = smooth_images(3, 6, 4)
    assert x.shape == (3, 1, 6, 6) and torch.equal(x, smooth_images(3, 6, 4))
    steps = (x[..., 1:] - x[..., :-1]).abs().mean()
    assert float(steps) < 0.6 * float(x.std())  # of independent pixels it were 1.13
