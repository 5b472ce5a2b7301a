"""The cube's rotations are a group of 24, and act exactly."""

from __future__ import annotations

import pytest
import torch

from geocore.groups.cube import OnVectors, cube_rotations


def test_a_group_of_signed_permutations() -> None:
    found = cube_rotations()
    assert found.shape == (24, 3, 3) and torch.equal(found[0], torch.eye(3).double())
    assert bool((found.abs().sum(-1) == 1).all() and (found.abs().sum(-2) == 1).all())
    assert torch.equal(torch.linalg.det(found).round(), torch.ones(24).double())
    products = (found[:, None] @ found[None]).reshape(-1, 1, 3, 3)
    assert bool(((products == found).all(-1).all(-1).sum(1) == 1).all())
    # Traces of the classes: 1, 6 + 3 turns about axes, 8 about diagonals, 6 half turns about edges.
    traces = found.diagonal(dim1=1, dim2=2).sum(-1)
    assert [int((traces == t).sum()) for t in (3, 1, 0, -1)] == [1, 6, 8, 9]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_acts_exactly_and_the_cross_product_follows(dtype: torch.dtype) -> None:
    group = OnVectors(cube_rotations(), "cube")
    pair = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    for g in group:
        turned = group.act(g, pair)
        assert torch.equal(turned.abs().sort(-1).values, pair.abs().sort(-1).values)
        found = torch.linalg.cross(turned[:, 0], turned[:, 1])
        follows = group.act(g, torch.linalg.cross(pair[:, 0], pair[:, 1]))
        assert torch.allclose(found, follows, rtol=0, atol=1e-6)
    once = group.act(5, group.act(9, pair))
    together = pair @ (group.matrices[5] @ group.matrices[9]).to(dtype).T
    assert torch.equal(once, together)


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"matrices has shape \(3, 3\); expected \(order, 3, 3\)"):
        OnVectors(torch.eye(3), "one")
    with pytest.raises(ValueError, match=r"x has shape \(2, 4\); expected \(..., 3\)"):
        OnVectors(cube_rotations(), "cube").act(0, torch.zeros(2, 4))
