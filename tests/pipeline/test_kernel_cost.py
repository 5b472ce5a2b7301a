"""What is counted of a task, and what is predicted from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from geocore.kernels.composed import serial
from geocore.kernels.cost import BlockCost
from geocore.kernels.layers import Dense, Relu
from geocore.pipeline.kernel_cost import KernelTask, StoreCost, predicted, probe_store, probe_task

NETWORK = serial(Dense(), Relu(), Dense())
FREE = StoreCost(0.0, 0.0)


def task(rows: int, columns: int | None, block: int | None) -> KernelTask:
    other = None if columns is None else torch.rand(columns, 3)
    return KernelTask("mine", NETWORK, torch.rand(rows, 3), other, block)


def cost(workers: int = 1) -> BlockCost:
    """A second a pair, and 100 bytes."""
    return BlockCost(0.0, 0.0, 1.0, 0.0, 100.0, workers, (), ())


@pytest.mark.parametrize(
    ("rows", "columns", "block"), [(7, None, 3), (7, 5, 3), (1, None, 1), (4, 9, 20), (6, None, 6)]
)
def test_every_pair_is_counted_once(rows: int, columns: int | None, block: int) -> None:
    found = task(rows, columns, block)
    pairs = rows * (rows + 1) // 2 if columns is None else rows * columns
    told = predicted(found, cost(), FREE)
    assert (told.pairs, told.blocks) == (pairs, found.blocks)
    assert told.seconds == pytest.approx(pairs)


def test_disk_holds_the_blocks_and_the_whole() -> None:
    told = predicted(task(7, 5, 3), cost(), FREE)
    assert told.disk == 2 * (2 * 8 * 7 * 5)
    told = predicted(task(6, None, 3), cost(), FREE)
    assert told.disk == 2 * 8 * (3 * 9 + 36)  # three blocks of four


def test_memory_is_that_of_the_blocks_at_work() -> None:
    assert predicted(task(6, 6, 3), cost(2), FREE).memory == 2 * 900
    assert predicted(task(3, 3, 3), cost(2), FREE).memory == 900


def test_blocks_are_handed_to_whoever_is_free() -> None:
    told = predicted(task(6, 3, 3), cost(2), FREE)
    assert told.seconds == 9
    # Three blocks of 9 on two: one waits.
    assert predicted(task(9, 3, 3), cost(2), FREE).seconds == 18
    assert predicted(task(9, 3, 3), cost(2), FREE, [(0, 0)]).seconds == 9
    assert predicted(task(9, 3, 3), cost(2), FREE, []).seconds == 0


def test_what_the_store_takes() -> None:
    """A piece a block and one for the whole, which is written and read."""
    told = predicted(task(6, 3, 3), cost(), StoreCost(100.0, 1.0))
    assert told.seconds == 18 + 3 * 100 + 2 * (2 * 8 * 9) + 2 * (2 * 8 * 18)


def test_the_default_block_is_that_of_the_matrix() -> None:
    assert task(5000, None, None).size == 1024
    assert task(500, None, None).size == 500
    assert task(5000, 30, 64).size == 30


def test_the_disk_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    found = probe_store(tmp_path / "not there yet")
    assert found.piece > 0 and found.byte >= 0
    assert list(tmp_path.iterdir()) == []


def test_a_task_is_tried_in_its_own_type(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        "geocore.pipeline.kernel_cost.probe", lambda kernel, x, *_, **__: seen.append(x.dtype)
    )
    probe_task(task(4, None, 2), 1, 0.1)
    assert seen == [torch.float64]
