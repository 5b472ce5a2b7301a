"""The compressed ENet: its size is the published one's, and every pixel has its logits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from geocore.edge.enet import COMPRESSED, Enet
from geocore.edge.tracing import trace


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def test_its_size_is_near_the_published_one() -> None:
    network = Enet().eval()
    found = convolutions(network)
    assert len(found) == 58
    weights = sum(layer.weight.numel() for layer in found)
    assert weights == 5473 and abs(weights / 5643 - 1) < 0.04
    products = 0

    def count(layer: nn.Module, given: object, out: torch.Tensor) -> None:
        nonlocal products
        assert isinstance(layer, nn.Conv2d)
        products += out[0, 0].numel() * layer.weight.numel()

    for layer in found:
        layer.register_forward_hook(count)
    with torch.inference_mode():
        assert network(torch.rand(1, 152, 240, 3)).shape == (1, 152, 240, 4)
    assert products == 11_746_560 and abs(products / 11.65e6 - 1) < 0.01


def test_a_pixel_answers_to_its_own_place() -> None:
    """What moves by eight pixels, the coarsest grid's step, moves its logits by eight."""
    torch.manual_seed(0)
    network = Enet(4, 3, initial=5).double().eval()
    images = torch.zeros(2, 128, 128, 3, dtype=torch.float64)
    patch = torch.rand(8, 8, 3, dtype=torch.float64)
    images[0, 56:64, 56:64] = patch
    images[1, 64:72, 56:64] = patch
    with torch.inference_mode():
        first, second = network(images)
    inner = slice(48, 80)
    assert first[inner, inner].std() > 1e-6
    torch.testing.assert_close(second[56:88, inner], first[inner, inner], rtol=0, atol=1e-12)


def test_other_filters() -> None:
    network = Enet((*COMPRESSED[:13], 3), 5)
    assert convolutions(network)[-1].weight.shape == (5, 3, 2, 2)


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match="filters are 3; expected 14, or one number"):
        Enet((2, 2, 2))
    with pytest.raises(ValueError, match=r"classes 0 .*expected at least 1"):
        Enet(4, 0)


def test_a_chip_knows_its_every_layer() -> None:
    torch.manual_seed(0)
    network = Enet(3, 4, initial=4).eval()
    graph = trace(network, (16, 24, 3))
    assert len(graph.weighted) == 58 and "bottlenecks_3_main_convolution" in graph.shapes
    images = torch.rand(2, 16, 24, 3)
    with torch.inference_mode():
        torch.testing.assert_close(graph.run(images), network(images), rtol=0, atol=1e-5)
