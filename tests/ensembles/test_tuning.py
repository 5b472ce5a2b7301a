"""The time of an ensemble by its chunk: the rounds of its processes, and steps that are taken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from geocore.config.ensemble import EnsembleParams
from geocore.config.runtime import RuntimeParams
from geocore.data.table import Table
from geocore.ensembles.engine import Samples
from geocore.ensembles.losses import SquaredError
from geocore.ensembles.plan import Plan
from geocore.ensembles.tuning import (
    chunk_sizes,
    ensemble_seconds,
    measure,
    suggested,
    tune,
)
from tests.models.encoders import model_params
from tests.pipeline.test_train import write_table
from tests.train.scenes import CPU, train_params


def build(seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(generator=generator)
    return model


def data(count: int = 16) -> Samples:
    x = torch.linspace(-1, 1, 2 * count).view(count, 2)
    return Samples(x, x.sum(dim=1, keepdim=True))


PLAN = Plan(epochs=1, batch_size=4, lr=1e-3, patience=1)


@pytest.mark.parametrize(
    ("members", "sizes"), [(1, [1]), (2, [1, 2]), (5, [1, 2, 4, 5]), (8, [1, 2, 4, 8])]
)
def test_sizes_double_up_to_all_members(members: int, sizes: list[int]) -> None:
    assert chunk_sizes(members) == sizes


@pytest.mark.parametrize(
    ("chunk", "members", "processes", "rounds"),
    [
        (1, 8, 1, 8),
        (2, 8, 2, 4),
        (8, 8, 2, 8),  # one chunk: the other process has nothing to do
        (3, 8, 2, 5),  # 3 and 3, then 2
        (3, 8, 3, 3),  # 3, 3 and 2 at once
        (2, 7, 2, 4),  # 2 and 2, then 2 and 1
    ],
)
def test_a_round_lasts_as_long_as_its_largest_chunk(
    chunk: int, members: int, processes: int, rounds: int
) -> None:
    # ``rounds``: how many members the busiest process trains, at 10 steps of half a second.
    assert ensemble_seconds(0.5, chunk, members, 10, processes) == rounds * 5.0


def test_each_round_starts_its_processes() -> None:
    assert ensemble_seconds(0.5, 3, 8, 10, 2, start=2.0) == 25.0 + 2 * 2.0
    assert ensemble_seconds(0.5, 4, 8, 10, 2, start=2.0) == 20.0 + 2.0


def test_the_smallest_of_equal_chunks_is_suggested() -> None:
    assert suggested({1: 10.0, 2: 6.0, 4: 4.1, 8: 4.0}) == 4, "4 is within 5 %"
    assert suggested({1: 10.0, 2: 6.0, 4: 4.3, 8: 4.0}) == 8
    with pytest.raises(ValueError, match=r"^seconds are none; expected one a size$"):
        suggested({})


def test_steps_are_taken_and_memory_is_that_of_the_stack() -> None:
    found = measure(build, range(4), PLAN, data(), SquaredError(), CPU, 1.5)
    assert [own.chunk for own in found] == [1, 2, 4]
    assert all(0 < own.step < 1.5 for own in found)
    # Six numbers of the first weight and three of the last are 16 each in the stack, the decaying
    # ones; three biases and one likewise: 64. Weights, gradient, two moments, best: five of each.
    assert [own.held for own in found] == [5 * 64 * 4] * 3


def test_a_size_that_would_take_too_long_is_left_out() -> None:
    found = measure(build, range(64), PLAN, data(), SquaredError(), CPU, 1e-6)
    assert [own.chunk for own in found] == [1]
    with pytest.raises(ValueError, match=r"^seconds is 0; expected above 0$"):
        measure(build, range(2), PLAN, data(), SquaredError(), CPU, 0)


def test_the_stage_s_own_ensemble_is_measured(tmp_path: Path) -> None:
    write_table(tmp_path)
    before = torch.get_rng_state()
    found = tune(
        model_params(depths=(1, 1), heads=(1, 2)),
        train_params(epochs=7),
        EnsembleParams(members=3, chunk=1, seed=0),
        RuntimeParams(device="cpu", threads=1, workers=1, checkpoint_every=50, progress=False),
        Table.open(tmp_path / "data/healpix"),
        1.0,
    )
    assert (found.members, found.steps) == (3, 7 * 3), "20 samples in batches of 8"
    sizes = [own.chunk for own in found.measured]
    assert sizes == [1, 2, 3][: len(sizes)] and sizes, "as many as a second allows"
    assert found.processes == dict.fromkeys(sizes, 1)
    for own in found.measured:
        assert found.seconds[own.chunk] == pytest.approx(3 * 21 * own.step)
    assert found.suggested == (suggested(found.seconds) if len(sizes) > 1 else None)
    assert torch.equal(torch.get_rng_state(), before)
