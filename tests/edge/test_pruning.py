"""Pruning: the schedule's law, as many zeros as it says, and they last into the integers."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from geocore.edge.calibration import activation_peaks
from geocore.edge.fitting import fit, float_plan, quantised_plan
from geocore.edge.pruning import KeptZeros, MagnitudePruning, PolynomialSchedule, sparsity
from geocore.edge.quantised import Bits, LayerBits, QuantisedNetwork
from geocore.edge.tracing import trace
from geocore.train.feed import Feed, tensor_feed
from geocore.train.state import TrainState
from tests.edge.students import quantised, student

SHAPE = (4, 4, 1)


def feed(count: int, seed: int) -> Feed:
    """Three classes, each brighter in a row of its own."""
    labels = torch.arange(count) % 3
    drawn = torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed)) / 2
    drawn[torch.arange(count), labels] += 0.4
    return tensor_feed(drawn, labels)


def zeros(weight: Tensor) -> int:
    return int((weight == 0).sum())


def test_the_schedule_is_the_published_one() -> None:
    schedule = PolynomialSchedule(0.4, 0.5, 10, 30)
    found = [schedule(step) for step in (0, 9, 10, 20, 30, 31, 1000)]
    assert found == pytest.approx([0, 0, 0.4, 0.5 - 0.1 / 8, 0.5, 0.5, 0.5], abs=1e-15)
    steps = [schedule(step) for step in range(40)]
    assert all(one <= two for one, two in itertools.pairwise(steps))
    assert PolynomialSchedule(0.2, 0.7, 5, 5)(5) == 0.7


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.5, 0.4, 0, 1), "expected 0 <= initial <= final < 1"),
        ((0.5, 1.0, 0, 1), "expected 0 <= initial <= final < 1"),
        ((0.4, 0.5, 3, 1), "start is 3 and end 1; expected 0 <= start <= end"),
    ],
)
def test_a_schedule_that_is_none(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PolynomialSchedule(*values)


def test_the_smallest_go_and_never_come_back() -> None:
    layer = nn.Linear(5, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.5, -0.1, 0.3, -0.9, 0.2]]))
    pruning = MagnitudePruning(nn.Sequential(layer), PolynomialSchedule(0.4, 0.6, 1, 2))
    pruning.apply(0)
    assert zeros(layer.weight) == 0
    pruning.apply(1)
    assert (layer.weight != 0).flatten().tolist() == [True, False, True, True, False]
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.5, 7.0, 0.3, -0.9, 7.0]]))  # as an optimiser may
    pruning.apply(2)
    assert (layer.weight != 0).flatten().tolist() == [True, False, False, True, False]


@pytest.mark.parametrize("share", [0.0, 0.37, 0.5, 0.9])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_there_are_as_many_zeros_as_asked(scope: Any, share: float) -> None:
    model = student((8, 8, 1), (3, 4))
    MagnitudePruning(model, PolynomialSchedule(0, share, 0, 0), scope=scope, skip=["dense"]).apply(
        0
    )
    weights = [layer.weight for layer in model.convolution if isinstance(layer, nn.Conv2d)]
    sizes = [weight.numel() for weight in weights]
    if scope == "layer":
        assert [zeros(weight) for weight in weights] == [round(share * size) for size in sizes]
    else:
        assert sum(map(zeros, weights)) == round(share * sum(sizes))
        left = [weight[weight != 0].abs().min() for weight in weights]
        before = student((8, 8, 1), (3, 4)).convolution
        whole = [layer.weight for layer in before if isinstance(layer, nn.Conv2d)]
        gone = [(w.abs() * (p == 0)).max() for w, p in zip(whole, weights, strict=True)]
        assert max(gone) <= min(left)  # one threshold for all
    assert zeros(model.dense.weight) == 0


@pytest.mark.parametrize("weights", [5, "ternary"])
def test_zeros_last_through_both_trainings_into_the_integers(weights: Any) -> None:
    training, validation = feed(96, 1), feed(30, 2)
    model = student(SHAPE, (4,))
    pruning = MagnitudePruning(model, PolynomialSchedule(0.4, 0.5, 4, 40))
    plan = float_plan(seed=0, epochs=5, batch_size=8, lr=0.02)
    best = fit(model, training, validation, plan, pruning=pruning)
    assert best["step"] >= 40  # earlier epochs have fewer zeros
    graph = trace(model, SHAPE)
    for node in graph.weighted:
        assert zeros(node.weight) == round(0.5 * node.weight.numel())
    assert sparsity(graph) == 0.5
    network = QuantisedNetwork(graph, Bits(weights, 5), activation_peaks(graph, training))
    plan = quantised_plan(seed=0, epochs=2, batch_size=8, lr=0.02)
    fit(network, training, validation, plan, pruning=KeptZeros(network))
    for before, after in zip(graph.weighted, network.describe().weighted, strict=True):
        assert not after.weight[before.weight == 0].any()
        assert zeros(after.weight) >= round(0.5 * after.weight.numel())
        assert not torch.equal(after.weight.double() * after.weight_format.step, before.weight)


def test_a_pruned_training_goes_on_from_a_checkpoint_to_the_same_weights() -> None:
    training, validation = feed(96, 1), feed(30, 2)
    plan = float_plan(seed=0, epochs=3, batch_size=8, lr=0.02)
    schedule = PolynomialSchedule(0.2, 0.6, 2, 30)

    class StoppedError(Exception):
        pass

    kept: list[tuple[dict[str, Tensor], dict[str, Any]]] = []

    def stop(state: TrainState) -> None:
        numbers = copy.deepcopy(state.numbers())
        kept.append(({name: value.clone() for name, value in state.tensors().items()}, numbers))
        raise StoppedError

    whole, halved, resumed = (student(SHAPE, (4,)) for _ in range(3))
    wanted = fit(whole, training, validation, plan, pruning=MagnitudePruning(whole, schedule))
    pruning = MagnitudePruning(halved, schedule)
    with pytest.raises(StoppedError):
        fit(
            halved, training, validation, plan,
            pruning=pruning, checkpoint_every=17, on_checkpoint=stop,
        )  # fmt: skip
    found = fit(
        resumed, training, validation, plan,
        pruning=MagnitudePruning(resumed, schedule), resume=lambda state: state.restore(*kept[0]),
    )  # fmt: skip
    assert found == wanted
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value)


def test_what_cannot_be_pruned_is_named() -> None:
    with pytest.raises(ValueError, match="skip has head; expected some of convolution"):
        MagnitudePruning(student(SHAPE, (2,)), PolynomialSchedule(0, 0.5, 0, 1), skip=["head"])
    bits = Bits(4, 4, layers={"dense": LayerBits("binary")})
    model = quantised(SHAPE, (2,), bits)
    KeptZeros(model)  # none of the binary ones is zero
    with pytest.raises(ValueError, match="dense has binary weights, without a zero"):
        MagnitudePruning(model, PolynomialSchedule(0, 0.5, 0, 1))
    plan = float_plan(seed=0, epochs=1, batch_size=8)
    late = MagnitudePruning(model, PolynomialSchedule(0, 0.5, 0, 4), skip=["dense"])
    with pytest.raises(ValueError, match="pruning ends at step 4 and training at 2; expected"):
        fit(model, feed(16, 1), feed(8, 2), plan, pruning=late)
