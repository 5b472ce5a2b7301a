"""The published network: its size, and that its seed decides it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from geocore.edge.bits import Bits
from geocore.edge.calibration import activation_peaks
from geocore.edge.compiled import compile_firmware
from geocore.edge.preflight import corner_images
from geocore.edge.quantised import QuantisedNetwork
from geocore.edge.reference import reference_logits
from geocore.edge.street_cnn import build_street_cnn
from geocore.edge.tracing import trace
from geocore.train.feed import tensor_feed
from tests.edge.firmwares import written


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


@pytest.mark.slow
@pytest.mark.parametrize("io_type", ["io_stream", "io_parallel"])
def test_its_firmware_is_the_reference_on_a_thousand_images(tmp_path: Path, io_type: str) -> None:
    """However its layers are joined; the study asks a trained one, with ``io_stream``."""
    graph = trace(build_street_cnn(10, 0).eval(), (32, 32, 3))
    generator = torch.Generator().manual_seed(0)
    seen = torch.rand(32, 32, 32, 3, generator=generator)
    peaks = activation_peaks(graph, tensor_feed(seen, torch.zeros(32, dtype=torch.int64)))
    model = QuantisedNetwork(graph, Bits(6, 7, 8), peaks).describe()
    sources, _ = written(model, tmp_path, io_type=io_type)
    firmware = compile_firmware(sources, model, tmp_path / "log")
    images = corner_images(model, 1000)
    wanted = torch.cat([reference_logits(model, part) for part in images.split(50)])
    assert wanted.unique(dim=0).shape[0] > 900
    assert torch.equal(firmware.logits(images), wanted)
