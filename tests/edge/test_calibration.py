"""Peaks: the largest magnitudes, or all but a share of them, whatever the batches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.edge.bits import WeightBits
from geocore.edge.calibration import activation_peaks, calibrate
from geocore.edge.float_graph import evaluate
from geocore.edge.quantised import Before, Bits, QuantisedNetwork
from geocore.edge.tracing import trace
from geocore.train.feed import Feed, tensor_feed
from tests.edge.students import feed, student

SHAPE = (8, 8, 1)


def test_peaks_are_those_of_the_first_images() -> None:
    model = student(SHAPE, (3, 4))
    graph = trace(model, SHAPE)
    given = torch.rand(30, *SHAPE, generator=torch.Generator().manual_seed(0))
    given[20:] *= 2  # which are not looked at
    labels = torch.zeros(30, dtype=torch.int64)
    peaks = activation_peaks(graph, tensor_feed(given, labels), images=20, batch_size=7)
    values = graph.values(given[:20])
    assert set(peaks) == {node.name for node in graph.nodes}
    for name, peak in peaks.items():
        assert peak == pytest.approx(max(float(values[name].abs().max()), 2**-8), rel=1e-6)
    whole = activation_peaks(graph, tensor_feed(given, labels))
    assert whole != peaks and all(whole[name] >= peak for name, peak in peaks.items())


@pytest.mark.parametrize("percentile", [99.0, 90.0, 75.0])
def test_a_percentile_leaves_out_the_largest(percentile: float) -> None:
    graph = trace(student(SHAPE, (2,)), SHAPE)
    given = feed(40, SHAPE)
    peaks = activation_peaks(graph, given, batch_size=11, percentile=percentile)
    for name, value in graph.values(given(torch.arange(40))[0]).items():
        if name in peaks:
            ordered = value.abs().flatten().sort(descending=True).values
            left_out = int(len(ordered) * (1 - percentile / 100) + 1e-9)
            assert peaks[name] == pytest.approx(max(float(ordered[left_out]), 2**-8), rel=1e-5)


def test_a_silent_layer_has_a_peak_all_the_same() -> None:
    model = student(SHAPE, (2,))
    with torch.no_grad():
        dict(model.named_parameters())["norms.0.bias"].fill_(-100.0)
    assert activation_peaks(trace(model, SHAPE), feed(4, SHAPE))["convolution_0"] == 2.0**-8


def test_a_percentile_that_is_none() -> None:
    graph = trace(student(SHAPE, (2,)), SHAPE)
    for wrong in (50.0, 100.5):
        with pytest.raises(ValueError, match=rf"percentile is {wrong}; expected above 50"):
            activation_peaks(graph, feed(4, SHAPE), percentile=wrong)


@pytest.mark.parametrize("weights", ["binary", "ternary", 3])
def test_calibrated_channels_have_the_float_graphs_means(weights: WeightBits) -> None:
    graph = trace(student(SHAPE, (3, 4), seed=2), SHAPE)
    given = feed(24, SHAPE)
    network = QuantisedNetwork(graph, Bits(weights, 5, 8), activation_peaks(graph, given))
    network = network.double()
    before = largest_offset(network, given)
    calibrate(network, given, images=24)
    after = largest_offset(network, given)
    # What is left are biases rounded onto the grid of the products, and what follows from that.
    assert after < 0.03 < 0.1 < before
    with torch.no_grad():
        values = network.values(given(torch.arange(24))[0].double(), check(network))
    assert values.keys() == {"images", *(node.name for node in graph.nodes)}


def largest_offset(network: QuantisedNetwork, given: Feed) -> float:
    """Of the mean of a channel of any layer from the float graph's, before the ReLU."""
    images = given(torch.arange(24))[0].double()
    wanted = network.graph.values(images)
    found: list[float] = []

    def compare(name: str, value: Tensor) -> Tensor:
        for node in network.graph.weighted:
            if node.name == name:
                target = evaluate(node, [wanted[node.sources[0]].permute(0, 3, 1, 2)])
                off = target.mean(dim=(0, 2, 3)) - value.mean(dim=(0, 2, 3))
                found.append(float(off.abs().max()))
        return value

    with torch.no_grad():
        network.values(images, compare)
    return max(found)


def check(network: QuantisedNetwork) -> Before:
    """Whether each grid just holds what it is given, but for the last step of a rounding."""

    def step(name: str, value: Tensor) -> Tensor:
        if name in network.grids:
            grid = network.grid_of(name).format
            end = (grid.highest + 1) * grid.step
            assert 0.45 * end < max(float(value.max()), 2.0**-8) < 1.05 * end
        return value

    return step
