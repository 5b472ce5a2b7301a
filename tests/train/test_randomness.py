"""Streams follow from the seed, and nothing of torch's own state is left changed."""

from __future__ import annotations

import pytest
import torch

from geocore.train.randomness import (
    deterministic,
    epoch_order,
    get_rng_state,
    set_rng_state,
)

CPU = torch.device("cpu")


def test_an_order_is_a_permutation_of_its_own() -> None:
    orders = {epoch: epoch_order(50, 0, epoch) for epoch in range(3)}
    for order in orders.values():
        assert order.sort().values.tolist() == list(range(50))
    assert torch.equal(orders[1], epoch_order(50, 0, 1))
    assert not torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], epoch_order(50, 1, 0))


def test_first_samples_are_uniform() -> None:
    # Of 3,000 epochs each of 6 samples comes first in 500; the standard deviation is 20.4.
    first = torch.tensor([int(epoch_order(6, 0, epoch)[0]) for epoch in range(3000)])
    assert (first.bincount(minlength=6) - 500).abs().max() < 5 * 20.4


def test_deterministic_repeats_and_restores() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    drawn = []
    for _ in range(2):
        with deterministic(1, CPU):
            assert torch.are_deterministic_algorithms_enabled()
            drawn.append(torch.rand(4))
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


def test_deterministic_restores_after_an_error() -> None:
    with pytest.raises(RuntimeError, match="stop"), deterministic(1, CPU):
        raise RuntimeError("stop")
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_stored_state_goes_on() -> None:
    with deterministic(1, CPU):
        state = get_rng_state(CPU)
        first = torch.rand(3)
        set_rng_state(state, CPU)
        assert torch.equal(torch.rand(3), first)
