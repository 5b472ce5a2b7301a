"""The reference has dense masks and PyTorch's own layers, and the parameters of the model."""

from __future__ import annotations

import torch
from torch import nn

from geocore.models.products import Linear
from geocore.models.swin_block import SwinBlock
from geocore.models.swin_reference import ReferenceBlock, as_reference, dense_mask
from geocore.models.tiling import Windows
from tests.models.swins import heal_swin, nested, pictures, plan


def test_masks_are_dense_and_truly_infinite() -> None:
    mask = dense_mask(Windows(32, 4, plan()))
    assert mask is not None and mask.shape == (8, 4, 4)
    assert (mask[:6] == 0).all()
    apart = mask[7] == -torch.inf
    assert apart.tolist() == [[i // 2 != j // 2 for j in range(4)] for i in range(4)]
    assert (mask[7][~apart] == 0).all()
    assert dense_mask(Windows(32, 4)) is None


def test_the_whole_network_is_its_reference() -> None:
    table = nested()
    model = heal_swin(table).eval()
    reference = as_reference(model)
    kinds = {type(module) for module in reference.modules()}
    assert ReferenceBlock in kinds and nn.Linear in kinds and Linear not in kinds
    assert not any(isinstance(module, SwinBlock) for module in model.body.merges.modules())
    x = pictures(table)
    torch.testing.assert_close(model(x), reference(x), atol=1e-10, rtol=0)
    mine = dict(model.named_parameters())
    theirs = {name.replace(".block.", "."): p for name, p in reference.named_parameters()}
    assert mine.keys() == theirs.keys()
    model(x).square().mean().backward()
    reference(x).square().mean().backward()
    for name, parameter in mine.items():
        assert parameter.grad is not None, name
        torch.testing.assert_close(parameter.grad, theirs[name].grad, atol=1e-9, rtol=1e-9)
