"""Corruptions: what each does to an image is known, and grows with the severity."""

from __future__ import annotations

import pytest
import torch

from geocore.pipeline.approximating_corruptions import CORRUPTIONS, SEVERITIES, corrupted


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def images() -> torch.Tensor:
    return 0.3 + 0.4 * torch.rand(3, 3, 32, 32, generator=generator(), dtype=torch.float64)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_more_severe_the_further_away(name: str) -> None:
    x = images()
    far = [float((corrupted(x, name, s, generator()) - x).square().mean()) for s in SEVERITIES]
    assert far == sorted(far) and far[0] > 0
    worst = corrupted(x, name, 5, generator())
    assert worst.shape == x.shape and 0 <= float(worst.min()) <= float(worst.max()) <= 1


def test_each_does_what_it_says() -> None:
    x = images()
    noise = corrupted(x, "gaussian_noise", 5, generator()) - x
    assert float(noise.std()) == pytest.approx(0.1, rel=0.03), "9,216 numbers, three deviations"
    torch.testing.assert_close(corrupted(x, "brightness", 3, generator()), x + 0.15)
    low = corrupted(x, "contrast", 2, generator())
    torch.testing.assert_close(low.mean((2, 3)), x.mean((2, 3)))
    torch.testing.assert_close(low.std((2, 3)), 0.5 * x.std((2, 3)))


def test_a_blur_keeps_planes_and_widens_points() -> None:
    """A constant stays; a point gets the kernel's variance, one pixel in each direction."""
    flat = torch.full((1, 1, 16, 16), 0.4, dtype=torch.float64)
    torch.testing.assert_close(corrupted(flat, "blur", 5, generator()), flat)
    point = torch.zeros(1, 1, 17, 17, dtype=torch.float64)
    point[..., 8, 8] = 1
    spread = corrupted(point, "blur", 5, generator())[0, 0]
    at = torch.arange(17, dtype=torch.float64) - 8
    assert float(spread.sum()) == pytest.approx(1)
    # Sampled at pixels and cut at three deviations the variance is .996.
    assert float((spread.sum(0) * at**2).sum()) == pytest.approx(0.996, abs=0.001)
    assert torch.equal(spread, spread.T) or torch.allclose(spread, spread.T, atol=1e-15)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^name is 'fog'; expected one of gaussian_noise, blur"):
        corrupted(images(), "fog", 1, generator())
    with pytest.raises(ValueError, match=r"^severity is 6; expected 1 to 5$"):
        corrupted(images(), "blur", 6, generator())
    with pytest.raises(ValueError, match=r"^x has shape \(3, 32\); expected \(n, channels"):
        corrupted(torch.zeros(3, 32), "blur", 1, generator())
