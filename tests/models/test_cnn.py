"""The planar networks have the published numbers of parameters, and give a logit for each pixel."""

from __future__ import annotations

import pytest
import torch

from geocore.models.cnn import PUBLISHED, PlanarClassifier, PlanarSegmenter, Planes

SMALL = Planes((4, 6, 8), (3, 3, 3), (1, 2, 1))


@pytest.mark.parametrize("count", PUBLISHED)
def test_published_numbers_of_parameters(count: int) -> None:
    model = PlanarSegmenter(PUBLISHED[count], 50)
    assert sum(p.numel() for p in model.parameters()) == count


@pytest.mark.parametrize("bandlimit", [10, 11])
def test_every_pixel_gets_logits(bandlimit: int) -> None:
    model = PlanarSegmenter(SMALL, bandlimit, channels=2, classes=5)
    edge = 2 * bandlimit
    x = torch.randn(3, edge, edge, 2, generator=torch.Generator().manual_seed(0))
    out = model(x)
    assert out.shape == (3, edge, edge, 5)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


def test_scale_stays_near_one() -> None:
    x = torch.randn(2, 100, 100, 1, generator=torch.Generator().manual_seed(0))
    out = PlanarSegmenter(PUBLISHED[218_144], 50, seed=1)(x)
    assert 0.2 < float(out.detach().std()) < 5


def test_classifier_gives_one_row_a_sample() -> None:
    model = PlanarClassifier(SMALL, 8, classes=7)
    assert model(torch.randn(3, 16, 16, 1)).shape == (3, 7)


def test_the_seed_decides_the_weights() -> None:
    first, second, third = (PlanarSegmenter(SMALL, 8, seed=s).state_dict() for s in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(not torch.equal(first[n], third[n]) for n in first if n.endswith("weight"))


def test_bad_input_is_told_in_a_line() -> None:
    with pytest.raises(ValueError, match=r"x has shape \(1, 16, 15, 1\); expected \(batch, 16, 16"):
        PlanarSegmenter(SMALL, 8)(torch.zeros(1, 16, 15, 1))
    with pytest.raises(ValueError, match="edge is 4"):
        PlanarClassifier(SMALL, 2)
    with pytest.raises(ValueError, match="lengths 2, 1 and 1"):
        Planes((1, 2), (3,), (1,))
    with pytest.raises(ValueError, match="strides is"):
        Planes((1,), (3,), (0,))
