"""Groups act on images: exactly by quarter turns, else as far as pixels can tell."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import OnGroupMaps, OnImages, moved


def smooth(size: int, centre: tuple[float, float]) -> Tensor:
    """A bump at ``centre`` (x right, y up, the image from -1 to 1)."""
    step = (2 * torch.arange(size, dtype=torch.float64) + 1) / size - 1
    x, y = step[None, :], -step[:, None]
    return torch.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 0.05)


@pytest.mark.parametrize(("n", "reflections"), [(4, False), (4, True), (2, True)])
@pytest.mark.parametrize("kind", [OnImages, OnGroupMaps])
def test_an_exact_action(n: int, reflections: bool, kind: type[OnImages | OnGroupMaps]) -> None:
    group = PlanarGroup(n, reflections)
    action = kind(group)
    x = torch.rand(2, group.order, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(action.act(0, x), x)
    for first in group:
        for second in group:
            twice = action.act(first, action.act(second, x))
            assert torch.equal(twice, action.act(group.product(first, second), x))


@pytest.mark.parametrize("n", [3, 4, 8, 12])
@pytest.mark.parametrize("reflections", [False, True])
def test_what_lies_at_a_place_goes_where_the_matrix_says(n: int, reflections: bool) -> None:
    group, at = PlanarGroup(n, reflections), (0.35, 0.1)
    image = smooth(65, at)
    for element in group:
        x, y = (group.matrix(element) @ torch.tensor(at, dtype=torch.float64)).tolist()
        # Bilinear at this resolution: h^2 / 8 of the second derivative, 2 / 0.05 at the top.
        bound = (2 / 65) ** 2 / 8 * 2 * 2 / 0.05
        assert (moved(group, element, image) - smooth(65, (x, y))).abs().max() < bound


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"images has shape \(2, 3\); expected \(\.\.\., size"):
        moved(PlanarGroup(4), 1, torch.zeros(2, 3))
    assert math.isclose(float(moved(PlanarGroup(8), 1, torch.ones(9, 9))[4, 4]), 1, abs_tol=1e-6)
