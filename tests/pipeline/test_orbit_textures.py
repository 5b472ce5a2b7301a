"""Synthetic textures: seeded, in the colours of two stains, and told apart."""

from __future__ import annotations

import pytest
import torch

from geocore.pipeline.orbit_textures import CLASSES, textures


def test_a_texture_is_its_number_and_seed() -> None:
    images, labels = textures(12, 16, seed=3)
    later, classes = textures(4, 16, seed=3, first=8)
    assert torch.equal(images[8:], later) and torch.equal(labels[8:], classes)
    assert labels.tolist() == [n % len(CLASSES) for n in range(12)]
    assert not torch.equal(images, textures(12, 16, seed=4)[0])
    assert images.shape == (12, 3, 16, 16) and 0 < float(images.min()) <= float(images.max()) <= 1


def test_green_is_darkest() -> None:
    """Both stains absorb green most: that is what makes a slice pink and violet."""
    channels = textures(50, 16, seed=0)[0].mean(dim=(0, 2, 3))
    assert channels[1] < channels[0] and channels[1] < channels[2]


def test_classes_differ_and_have_no_direction() -> None:
    images, labels = textures(500, 12, seed=1)
    turned = images.rot90(1, (-2, -1))
    rows = images.diff(dim=-1).square().mean(dim=(1, 2, 3))
    columns = turned.diff(dim=-1).square().mean(dim=(1, 2, 3))
    means = []
    for one in range(len(CLASSES)):
        mine = labels == one
        # Roughness along rows and along columns agrees in the mean over a class's 100 images.
        assert float(rows[mine].mean()) == pytest.approx(float(columns[mine].mean()), rel=0.2)
        means.append(torch.cat([images[mine].mean(dim=(0, 2, 3)), rows[mine].mean()[None]]))
    distances = torch.cdist(torch.stack(means), torch.stack(means)) + 10 * torch.eye(len(CLASSES))
    assert float(distances.min()) > 0.02


def test_too_small() -> None:
    with pytest.raises(ValueError, match="size is 3, count 1; expected at least 4 and 0"):
        textures(1, 3, seed=0)
