"""Group convolutions commute with the group."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from geocore.groups.convolution import GroupConvolution, GroupPool, LiftingConvolution
from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import OnGroupMaps, OnImages, moved
from geocore.testing import assert_equivariant

EXACT = [PlanarGroup(n, reflections) for n in (2, 4) for reflections in (False, True)]


def drawn(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("group", EXACT, ids=lambda group: group.name)
def test_exactly_equivariant(group: PlanarGroup) -> None:
    images, maps = OnImages(group), OnGroupMaps(group)
    lift = LiftingConvolution(group, 2, 3, 5).double()
    convolve = GroupConvolution(group, 3, 4).double()
    x, f = drawn(1, 2, 7, 7), drawn(1, 3, group.order, 7, 7)
    assert_equivariant(lift, images, x, atol=1e-12, act_out=maps.act)
    assert_equivariant(convolve, maps, f, atol=1e-12)
    for kind in ("max", "mean"):
        assert_equivariant(GroupPool(kind), maps, f, atol=1e-14, act_out=images.act)
    network = nn.Sequential(lift, nn.ReLU(), convolve, nn.ReLU(), GroupPool())
    assert_equivariant(network, images, x, atol=1e-12)


def test_the_sums_are_those_of_the_definition() -> None:
    group = PlanarGroup(4, reflections=True)
    layer = GroupConvolution(group, 1, 1).double()
    f = drawn(1, 1, 8, 5, 5)
    found = layer(f)[0, 0]
    centre, psi = (2, 2), layer.weight[0, 0]
    for g in group:
        total = layer.bias[0].clone()
        for u in group:
            moved_filter = moved(group, g, psi[group.product(group.inverse(g), u)])
            total += (f[0, 0, u, 1:4, 1:4] * moved_filter).sum()
        torch.testing.assert_close(found[(g, *centre)], total, atol=1e-13, rtol=0)


def test_other_angles_hold_as_far_as_interpolation_does() -> None:
    """A smooth filter inside its disc, a smooth signal: linear interpolation costs some percent."""
    group = PlanarGroup(8)
    lift = LiftingConvolution(group, 1, 1, 11).double()
    place = torch.arange(-5, 6, dtype=torch.float64)
    bump = torch.exp(-(place[None] ** 2 + place[:, None] ** 2) / 6)
    step = torch.linspace(-1, 1, 41, dtype=torch.float64)
    x = torch.exp(-((step[None] - 0.2) ** 2 + (step[:, None] + 0.1) ** 2) / 0.04)[None, None]
    with torch.no_grad():
        lift.weight.copy_(place * bump)  # odd in x: every element has a filter of its own
        plain, turned = lift(x), lift(moved(group, 1, x))
        expected = OnGroupMaps(group).act(1, plain)
        assert (plain[0, 0, 0] - plain[0, 0, 1]).norm() > 0.3 * plain[0, 0, 0].norm()
        error = (turned - expected).norm() / expected.norm()
    assert 1e-4 < float(error) < 0.1


def test_what_is_refused() -> None:
    group = PlanarGroup(4)
    with pytest.raises(ValueError, match="kernel_size is 4; expected an odd number"):
        LiftingConvolution(group, 1, 1, 4)
    with pytest.raises(ValueError, match=r"x has shape \(1, 1, 3, 5, 5\); expected \(batch, 1, 4"):
        GroupConvolution(group, 1, 1)(torch.zeros(1, 1, 3, 5, 5))
    with pytest.raises(ValueError, match="kind is 'sum'; expected 'max' or 'mean'"):
        GroupPool("sum")
