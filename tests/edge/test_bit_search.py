"""The bit search: each step cheaper, within its budget, and the harmless layers first."""

from __future__ import annotations

import functools
import itertools

import pytest
import torch

from geocore.edge.bit_search import BitSearch, SearchPoint, calibration_loss, front
from geocore.edge.bits import Bits, LayerBits, WeightBits
from geocore.edge.calibration import activation_peaks
from geocore.edge.description import QuantisedModel
from geocore.edge.float_graph import FloatGraph
from geocore.edge.quantised import QuantisedNetwork
from geocore.edge.tracing import trace
from tests.edge.students import feed, student

SHAPE = (8, 8, 1)
START = Bits(8, 6, 8)
WEIGHTS: tuple[WeightBits, ...] = (8, 4, "ternary")


def cost(model: QuantisedModel) -> float:
    return float(sum(map(model.bit_operations, model.weighted)))


@functools.cache
def network() -> tuple[FloatGraph, dict[str, float]]:
    graph = trace(student(SHAPE, (3, 4)), SHAPE)
    return graph, activation_peaks(graph, feed(32, SHAPE))


def search() -> BitSearch:
    graph, peaks = network()
    given = feed(48, SHAPE)
    wanted = graph.run(given(torch.arange(48))[0])

    def loss(found: QuantisedNetwork) -> float:
        return float((found(given(torch.arange(48))[0]).detach() - wanted).square().mean())

    return BitSearch(
        graph, peaks, START, loss=loss, cost=cost, weights=WEIGHTS, activations=(6, 4, 3),
    )  # fmt: skip


def test_sensitivities_are_of_one_layer_at_a_time() -> None:
    moves = search().sensitivities()
    # Three layers' weights at two choices below 8 bits, two layers' values at two below 6.
    assert len(moves) == 3 * 2 + 2 * 2
    other = search()
    here = other.point(START)
    for move in moves:
        assert move.rise == move.loss - here.loss and move.saved == here.cost - move.cost
        of_weights = move.part == "weights"
        layer = LayerBits(move.to) if of_weights else LayerBits(activations=int(move.to))
        bits = Bits(8, 6, 8, {move.name: layer})
        alone = other.point(bits)
        assert (alone.loss, alone.cost) == (move.loss, move.cost)
    ternary = [move for move in moves if move.to == "ternary"]
    four = [move for move in moves if (move.part, move.to) == ("weights", 4)]
    assert sum(move.rise for move in ternary) > sum(move.rise for move in four)


@pytest.mark.parametrize("budget", [1e-4, 1e-2])
def test_each_step_is_cheaper_and_none_is_beyond_the_budget(budget: float) -> None:
    points = search().search(budget)
    assert points[0].bits == START and len(points) > 2
    for before, after in itertools.pairwise(points):
        assert after.cost <= before.cost
        assert after.loss <= points[0].loss + budget
    again = search().search(budget)
    assert [point.bits for point in again] == [point.bits for point in points]
    last = search().point(points[-1].bits)
    assert (last.cost, last.loss) == (points[-1].cost, points[-1].loss)


def test_a_larger_budget_is_cheaper_and_all_of_it_the_cheapest() -> None:
    costs = [search().search(budget)[-1].cost for budget in (0.0, 1e-4, 1e-2, 1e9)]
    assert costs == sorted(costs, reverse=True) and costs[0] > costs[-1]
    least = Bits("ternary", 3, 8)
    graph, peaks = network()
    assert costs[-1] == cost(QuantisedNetwork(graph, least, peaks).describe())


def test_the_front_is_what_nothing_beats() -> None:
    bits = Bits(4, 4)
    given = [(3.0, 1.0), (1.0, 3.0), (2.0, 3.0), (2.0, 2.0), (3.0, 0.5), (2.0, 2.0)]
    found = front([SearchPoint(bits, cost, loss) for cost, loss in given])
    assert [(point.cost, point.loss) for point in found] == [(1.0, 3.0), (2.0, 2.0), (3.0, 0.5)]


def test_the_calibration_loss_is_the_mean_over_the_first_images() -> None:
    graph, peaks = network()
    model = QuantisedNetwork(graph, START, peaks).eval()
    given = feed(40, SHAPE)
    images, labels = given(torch.arange(30))
    wanted = torch.nn.functional.cross_entropy(model(images), labels)
    found = calibration_loss(given, images=30, batch_size=7)(model)
    assert found == pytest.approx(float(wanted.detach()), rel=1e-5)


def test_a_budget_that_is_none() -> None:
    with pytest.raises(ValueError, match="budget is -1; expected 0 or more"):
        search().search(-1)
