"""Streams of random numbers that follow from a seed alone, and kernels that repeat their sums."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["deterministic", "epoch_order", "get_rng_state", "set_rng_state"]

_ORDER, _DROPOUT = 1, 2  # one stream for each use of a seed


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """The order of ``count`` samples in an epoch, ``(count,)`` int64: a permutation of its own.

    It depends on ``(count, seed, epoch)`` alone, so a resumed epoch goes on in the same order.
    """
    generator = np.random.default_rng([_ORDER, seed, epoch])
    return torch.from_numpy(generator.permutation(count))


@contextmanager
def deterministic(seed: int, device: torch.device) -> Iterator[None]:
    """Deterministic kernels and torch's random state from ``seed``; both are put back at the end.

    An operation that has no deterministic kernel on the device raises ``RuntimeError``.
    """
    # cuBLAS reads it when it is first used; without it, it may split its sums as it likes.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    debugging: Any = torch.utils.deterministic
    fill = debugging.fill_uninitialized_memory
    benchmark = torch.backends.cudnn.benchmark
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.use_deterministic_algorithms(True)
        debugging.fill_uninitialized_memory = False  # it costs, and finds nothing here
        torch.backends.cudnn.benchmark = False
        torch.manual_seed(int(np.random.SeedSequence([_DROPOUT, seed]).generate_state(1)[0]))
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=warn_only)
            debugging.fill_uninitialized_memory = fill
            torch.backends.cudnn.benchmark = benchmark


def get_rng_state(device: torch.device) -> dict[str, Tensor]:
    """The states that dropout draws from, uint8 tensors by device class."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_rng_state(states: dict[str, Tensor], device: torch.device) -> None:
    """The inverse of ``get_rng_state``."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
