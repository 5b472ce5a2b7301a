"""Quantised networks: on their grids, equal to their description, close to the float graph."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from geocore.edge.bits import WeightBits
from geocore.edge.calibration import activation_peaks
from geocore.edge.nodes import Add, Concatenate
from geocore.edge.quantised import Bits, LayerBits, QuantisedNetwork, exact_logits
from geocore.edge.reference import reference_logits
from geocore.edge.tracing import trace
from geocore.train.feed import tensor_feed
from tests.edge.random_modules import random_images, random_module
from tests.edge.students import feed, images, quantised, student

SHAPE = (8, 8, 1)


@pytest.mark.parametrize("bits", [Bits(2, 2, 2), Bits(4, 3, 5), Bits(12, 12, 12)])
@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 7, 3)])
def test_its_logits_are_those_of_its_integers(bits: Bits, shape: tuple[int, int, int]) -> None:
    model = quantised(shape, (3, 4), bits)
    given = images(40, shape)
    found = exact_logits(model, feed(40, shape), 16)
    assert torch.equal(found, reference_logits(model.describe(), given))


KINDS: tuple[WeightBits, ...] = (2, 3, 7, 16, "binary", "ternary")


@pytest.mark.parametrize("seed", range(24))
def test_with_branches_too(seed: int) -> None:
    module, shape = random_module(seed, refused=0)
    graph = trace(module, shape)
    given = tensor_feed(random_images(12, shape).float(), torch.zeros(12, dtype=torch.int64))
    activations = (2, 4, 9, 16)[seed % 4]
    first = graph.nodes[0].name
    bits = Bits(KINDS[seed % 6], activations, 8, {first: LayerBits(5, 6)})
    network = QuantisedNetwork(graph, bits, activation_peaks(graph, given)).eval()
    # As a training leaves them: off the float graph's numbers.
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(0.2 * noise * (1 + parameter.abs()))
    described = network.describe()
    assert torch.equal(
        exact_logits(network, given, 5), reference_logits(described, given(torch.arange(12))[0])
    )
    assert [node.name for node in described.nodes] == [node.name for node in graph.nodes]
    for node in described.nodes:
        if isinstance(node, Add | Concatenate):
            assert node.output.signed == (node.name not in graph.nonnegative)


def test_weights_are_symmetric_and_formats_are_as_asked() -> None:
    described = quantised(SHAPE, (3, 4), Bits(4, 3, 5)).describe()
    assert str(described.input) == "ufixed<5,0>"  # pixels in [0, 1)
    for layer in described.weighted:
        assert layer.weight_format.bits == 4 and layer.weight_format.signed
        assert layer.weight.abs().max() <= 7  # -8 would have no counterpart
        # The step is the least that holds the largest weight, so more than half is used.
        assert layer.weight.abs().max() > 3
    first, second, last = described.weighted
    for layer in (first, second):
        assert layer.output is not None
        assert (layer.output.bits, layer.output.signed) == (3, False)
    assert last.output is None
    assert (first.input, second.input, last.input) == (
        described.input, first.output, second.output,
    )  # fmt: skip


def test_each_layer_may_have_its_own_bits() -> None:
    layers = {"convolution_0": LayerBits("ternary", 6), "dense": LayerBits("binary")}
    described = quantised(SHAPE, (3, 4), Bits(4, 3, 5, layers)).describe()
    first, second, last = described.weighted
    assert set(first.weight.unique().tolist()) <= {-1, 0, 1}
    assert set(last.weight.unique().tolist()) == {-1, 1}
    assert first.output is not None and first.output.bits == 6
    assert (second.weight_format.bits, second.output and second.output.bits) == (4, 3)


def test_many_bits_come_close_to_the_float_student() -> None:
    model = student(SHAPE, (3, 4))
    given = images(64, SHAPE)
    wanted = model(given)
    errors = []
    for bits in (Bits(4, 4, 4), Bits(8, 8, 8), Bits(12, 12, 12)):
        found = quantised(SHAPE, (3, 4), bits, given=model)(given)
        errors.append((found - wanted).abs().max().item())
    # Four bits more divide every step by sixteen.
    assert errors[0] > 4 * errors[1] > 16 * errors[2]
    assert errors[2] < 5e-3


@pytest.mark.parametrize("weights", [4, "ternary", "binary"])
def test_gradients_pass_the_rounding(weights: Any) -> None:
    model = quantised(SHAPE, (2,), Bits(weights, 4, 5)).train()
    model(images(8, SHAPE)).square().sum().backward()
    trained = {name for name, value in model.named_parameters() if value.grad is not None}
    assert {
        "weights.convolution_0.layer.weight", "weights.convolution_0.layer.bias",
        "weights.dense.layer.weight",
    } <= trained  # fmt: skip
    assert any("grids.convolution_0" in name for name in trained)  # the step is learnt
    assert not any(name.startswith("input.") for name in trained)  # what a pixel is stays


def test_what_is_missing_is_named() -> None:
    graph = trace(student(SHAPE, (2,)), SHAPE)
    with pytest.raises(ValueError, match="peaks lacks convolution_0"):
        QuantisedNetwork(graph, Bits(4, 4), {})
    with pytest.raises(ValueError, match="layers has head; expected one of convolution_0"):
        QuantisedNetwork(graph, Bits(4, 4, layers={"head": LayerBits(3)}), {})
