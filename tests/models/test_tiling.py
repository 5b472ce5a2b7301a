"""Tokens go to slots and back; windows with labels stand last, whatever the plan's order."""

from __future__ import annotations

import pytest
import torch

from geocore.healpix.shifts import shift_plan
from geocore.models.pairs import window_pairs
from geocore.models.tiling import Windows, offset_pairs
from tests.models.swins import plan


def test_windows_of_a_plan() -> None:
    given = plan()
    windows = Windows(32, 4, given)
    x = torch.arange(32.0)[None, :, None]
    slots = windows.to_slots(x)
    assert torch.equal(windows.to_tokens(slots), x)
    runs = slots.reshape(8, 4)
    expected = x[0, given.permutation, 0].reshape(8, 4)
    assert torch.equal(runs[[6, 7]], expected[given.masked])
    assert torch.equal(runs[:6], expected[[0, 1, 3, 4, 5, 6]])
    assert windows.labels is not None and torch.equal(windows.labels, given.labels)
    assert windows.masked == 2


def test_windows_without_a_plan_copy_nothing() -> None:
    windows, x = Windows(32, 4), torch.rand(1, 32, 2)
    assert windows.to_slots(x) is x and windows.to_tokens(x) is x
    assert windows.masked == 0 and not list(windows.state_dict())


def test_every_pair_of_a_real_plan_keeps_its_permission() -> None:
    given = shift_plan(8, (0, 1, 5), 16, "grid")
    windows = Windows(192, 16, given)
    assert windows.order is not None and windows.labels is not None

    def allowed(order: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        may = torch.zeros(192, 192, dtype=torch.bool)
        every = torch.zeros(len(order) // 16, 16, dtype=torch.int64)
        every[rows] = labels.long()
        for run, mine in zip(order.reshape(-1, 16), every, strict=True):
            may[run[:, None], run[None, :]] = mine[:, None] == mine[None, :]
        return may

    last = torch.arange(12 - windows.masked, 12)
    found = allowed(windows.order, windows.labels, last)
    assert torch.equal(found, allowed(given.permutation, given.labels, given.masked))


def test_a_smaller_window_reads_the_middle_of_the_table() -> None:
    pairs, entries = offset_pairs(4, 16)
    assert entries == 49
    small, _ = window_pairs(4)
    # (dx, dy) from -1 to 1 stands at (dx + 3) * 7 + dy + 3 of the large table.
    dx, dy = small // 3 - 1, small % 3 - 1
    assert torch.equal(pairs, (dx + 3) * 7 + dy + 3)
    assert torch.equal(offset_pairs(16, 16)[0], window_pairs(16)[0])


def test_a_plan_of_other_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match=r"32 tokens in windows of 4; expected 64 in windows of 4"):
        Windows(64, 4, plan())
    with pytest.raises(ValueError, match="tokens is 30; expected a multiple of window, 4"):
        Windows(30, 4)
