"""The published network: its size, and that its seed decides it."""

from __future__ import annotations

import torch

from geocore.edge.street_cnn import build_street_cnn
from geocore.edge.tracing import trace


def test_it_has_the_published_size() -> None:
    model = build_street_cnn(10, seed=0)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 13_892
    assert model(torch.rand(4, 32, 32, 3)).shape == (4, 10)
    graph = trace(model, (32, 32, 3))
    taken = [graph.shapes[node.name] for node in graph.weighted]
    assert taken == [(30, 30, 16), (13, 13, 16), (4, 4, 24), (1, 1, 42), (1, 1, 64), (1, 1, 10)]
    # 0.84 M multiplications an image, as published.
    products = sum(
        height * width * node.weight.numel()
        for (height, width, _), node in zip(taken, graph.weighted, strict=True)
    )
    assert round(products, -4) == 840_000


def test_the_seed_decides_and_nothing_else_is_drawn() -> None:
    state = torch.get_rng_state()
    first, second = build_street_cnn(10, 3), build_street_cnn(10, 3)
    assert torch.equal(first.head.weight, second.head.weight)
    assert not torch.equal(build_street_cnn(10, 4).head.weight, first.head.weight)
    assert torch.equal(torch.get_rng_state(), state)
