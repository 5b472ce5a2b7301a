"""Deterministic kernels from the first thread that begins to the last that ends."""

from __future__ import annotations

import pytest
import torch

from geocore.pipeline.deterministic_pieces import deterministic_together


def test_the_first_that_leaves_changes_nothing_for_the_others() -> None:
    cpu = torch.device("cpu")
    before = torch.are_deterministic_algorithms_enabled()
    first, second = deterministic_together(0, cpu), deterministic_together(1, cpu)
    with pytest.raises(KeyboardInterrupt), second:
        first.__enter__()
        assert torch.are_deterministic_algorithms_enabled()
        first.__exit__(None, None, None)
        assert torch.are_deterministic_algorithms_enabled()
        raise KeyboardInterrupt
    assert torch.are_deterministic_algorithms_enabled() == before
    with deterministic_together(0, cpu):
        assert torch.are_deterministic_algorithms_enabled(), "it can be entered again"
    assert torch.are_deterministic_algorithms_enabled() == before
