"""Snapshots are the weights at the ends of cycles, averages their mean; both member by member."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from geocore.ensembles.averaging import Averaged, CyclicPlan, Snapshots, holding
from geocore.ensembles.engine import Samples, start_ensemble, train_ensemble
from geocore.ensembles.ensemble_state import EnsembleState
from geocore.ensembles.losses import SquaredError
from geocore.ensembles.plan import Plan
from geocore.ensembles.programs import Strategy

STRATEGIES = ("batched", "one_by_one")


def build(seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(generator=generator)
    return model


def data() -> Samples:
    x = torch.linspace(-1, 1, 48, dtype=torch.float64).view(24, 2)
    return Samples(x, x.prod(dim=1, keepdim=True))


def trained(strategy: Strategy, plan: Plan, *callbacks: Any) -> EnsembleState:
    state = start_ensemble(build, (3, 1, 2), plan, strategy=strategy)

    def on_epoch(state: EnsembleState) -> None:
        for callback in callbacks:
            callback(state)

    train_ensemble(state, data(), None, SquaredError(), on_epoch=on_epoch)
    return state


class Recorded:
    """Every member's weights at the end of each epoch, by name."""

    def __init__(self) -> None:
        self.epochs: list[list[dict[str, Tensor]]] = []

    def __call__(self, state: EnsembleState) -> None:
        members = range(len(state.stack))
        self.epochs.append([state.stack.state_dict(member) for member in members])


def test_the_rate_falls_in_each_cycle_and_starts_anew() -> None:
    plan = CyclicPlan(epochs=6, batch_size=8, lr=0.4, cycle=2)
    rates = [plan.rate(step, per_epoch=3) for step in range(18)]
    # 6 steps a cycle: (1 + cos(pi t / 6)) / 2 is 1, (2 + sqrt 3) / 4, 3/4, 1/2, 1/4, the rest.
    root = math.sqrt(3)
    cycle = [0.4 * f for f in (1, (2 + root) / 4, 0.75, 0.5, 0.25, (2 - root) / 4)]
    assert rates == pytest.approx(cycle * 3, rel=1e-12)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_training_uses_the_cyclic_rate(strategy: Strategy) -> None:
    plan = CyclicPlan(epochs=4, batch_size=12, lr=0.05, optimiser="sgd", cycle=2)
    state = trained(strategy, plan)
    # Two steps an epoch; a row has the rate of its epoch's last step: 1 and 3 of a cycle of 4.
    ends = [0.025 * (1 + math.cos(math.pi * t / 4)) for t in (1, 3)]
    assert [row["lr"] for row in state.curves[1]] == pytest.approx(ends * 2, rel=1e-12)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_snapshots_are_the_weights_at_the_ends_of_cycles(strategy: Strategy) -> None:
    recorded, snapshots = Recorded(), Snapshots(2)
    plan = CyclicPlan(epochs=6, batch_size=8, lr=0.02, cycle=2)
    state = trained(strategy, plan, recorded, snapshots)
    assert len(snapshots.taken) == 3
    for member in range(3):
        found = snapshots.state_dicts(state.stack, member)
        for own, epoch in zip(found, (1, 3, 5), strict=True):
            expected = recorded.epochs[epoch][member]
            assert own.keys() == expected.keys()
            assert all(torch.equal(own[name], expected[name]) for name in own)
    first, last = (snapshots.state_dicts(state.stack, 0)[place]["0.weight"] for place in (0, -1))
    assert not torch.equal(first, last), "copies, not views"


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("after", "every", "epochs"), [(2, 1, [2, 3, 4, 5]), (1, 2, [2, 4])])
def test_the_average_is_the_mean_of_the_recorded_weights(
    strategy: Strategy, after: int, every: int, epochs: list[int]
) -> None:
    recorded, averaged = Recorded(), Averaged(after, every)
    plan = Plan(epochs=6, batch_size=8, lr=0.05)
    state = trained(strategy, plan, recorded, averaged)
    assert averaged.count == len(epochs)
    for member in range(3):
        found = averaged.state_dict(state.stack, member)
        for name, value in found.items():
            chosen = torch.stack([recorded.epochs[epoch][member][name] for epoch in epochs])
            torch.testing.assert_close(value, chosen.mean(dim=0), atol=1e-14, rtol=1e-13)
            assert not torch.equal(value, chosen[-1])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_stack_computes_with_what_it_holds(strategy: Strategy) -> None:
    averaged = Averaged(1)
    state = trained(strategy, Plan(epochs=3, batch_size=8, lr=0.05), averaged)
    x = data().inputs
    own = state.program.outputs(range(3), x, None)
    with holding(state.stack, averaged.weights):
        found = state.program.outputs(range(3), x, None)
    assert torch.equal(state.program.outputs(range(3), x, None), own), "its own again"
    for member in range(3):
        network = build(0)
        network.load_state_dict(averaged.state_dict(state.stack, member))
        torch.testing.assert_close(found[member], network(x).detach(), atol=1e-13, rtol=1e-12)
    assert not torch.allclose(found, own)


def test_what_makes_no_sense_is_refused() -> None:
    for cycle in (0, 4):
        with pytest.raises(ValueError, match=rf"^cycle is {cycle}; expected a divisor of 6 epochs"):
            CyclicPlan(epochs=6, batch_size=8, lr=0.1, cycle=cycle)
    with pytest.raises(ValueError, match=r"^schedule is cosine with 0 warmup_epochs; expected con"):
        CyclicPlan(epochs=6, batch_size=8, lr=0.1, cycle=2, schedule="cosine")
    with pytest.raises(ValueError, match=r"^cycle is 0; expected at least 1 epoch$"):
        Snapshots(0)
    with pytest.raises(ValueError, match=r"^after is -1 and every 1; expected at least 0 and 1$"):
        Averaged(-1)
    with pytest.raises(ValueError, match=r"^no epoch after 3 was averaged; expected at least one$"):
        _ = Averaged(3).weights
    for callback in (Snapshots(1), Averaged(0)):
        with pytest.raises(ValueError, match=r"^patience is 2; expected None, so that all go on$"):
            trained("batched", Plan(epochs=3, batch_size=8, lr=0.1, patience=2), callback)
    state = start_ensemble(build, (1, 2), Plan(epochs=1, batch_size=8, lr=0.1))
    with (
        pytest.raises(ValueError, match=r"^weights have shapes \[\(1, 32\), \(2, 32\)\]; expected"),
        holding(state.stack, [state.stack.weights[0][:1], state.stack.weights[1]]),
    ):
        pass
