"""Deterministic kernels for as long as any thread of this process works on a piece."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch

from geocore.train.randomness import deterministic

__all__ = ["deterministic_together"]


@dataclass
class _Process:
    """Of this process: how many are inside, and what the first of them has set."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    inside: int = 0
    held: ExitStack = field(default_factory=ExitStack)


_PROCESS = _Process()


@contextmanager
def deterministic_together(seed: int, device: torch.device) -> Iterator[None]:
    """``deterministic(seed, device)`` from the first thread that enters to the last that leaves.

    The flags are the process's own: a thread that put them back when it is done would change the
    kernels of the others in the middle of their work. What is worked on must draw no numbers.
    """
    with _PROCESS.lock:
        if _PROCESS.inside == 0:
            _PROCESS.held.enter_context(deterministic(seed, device))
        _PROCESS.inside += 1
    try:
        yield
    finally:
        with _PROCESS.lock:
            _PROCESS.inside -= 1
            if _PROCESS.inside == 0:
                _PROCESS.held.close()
