"""A permutation is a gather, and so are its gradient and that one's."""

from __future__ import annotations

import torch

from geocore.models.permute import permute
from geocore.testing import assert_parity


def test_permute_is_indexing() -> None:
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    x = torch.randn(2, 7, 3, dtype=torch.float64)
    assert_parity(lambda x: permute(x, order, order.argsort()), lambda x: x[:, order], x, atol=0)


def test_the_gradient_has_a_gradient() -> None:
    order = torch.tensor([2, 0, 3, 1])
    x = torch.randn(1, 4, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(1, 4, 2, dtype=torch.float64)
    assert torch.autograd.gradgradcheck(
        lambda x: (permute(x, order, order.argsort()) ** 3 * weight).sum(), x
    )


def test_it_maps_over_a_batch() -> None:
    order = torch.tensor([1, 2, 0])
    x = torch.randn(5, 2, 3, 4)
    found = torch.func.vmap(lambda x: permute(x, order, order.argsort()))(x)
    assert torch.equal(found, x[:, :, order])
