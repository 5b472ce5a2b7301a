"""Deterministic kernels for as long as any thread of this process works on a piece."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from types import TracebackType
from typing import ClassVar

import torch

from geocore.train.randomness import deterministic

__all__ = ["Deterministic"]


class Deterministic:
    """``deterministic(seed, device)`` from the first thread that enters to the last that leaves.

    The flags are the process's own: a thread that put them back when it is done would change the
    kernels of the others in the middle of their work. What is worked on must draw no numbers.
    """

    _lock: ClassVar[threading.Lock] = threading.Lock()
    _inside: ClassVar[int] = 0
    _held: ClassVar[ExitStack] = ExitStack()

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed, self._device = seed, device

    def __enter__(self) -> None:
        with self._lock:
            if Deterministic._inside == 0:
                self._held.enter_context(deterministic(self._seed, self._device))
            Deterministic._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            Deterministic._inside -= 1
            if Deterministic._inside == 0:
                self._held.close()
