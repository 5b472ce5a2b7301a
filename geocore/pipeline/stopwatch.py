"""How long work takes, and on what machine."""

from __future__ import annotations

import math
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

__all__ = ["machine", "seconds"]

_CPU, _CPUINFO = torch.device("cpu"), Path("/proc/cpuinfo")


def seconds(
    work: Callable[[], None],
    repeats: int,
    *,
    at_least: float = 0.05,
    at_most: int = 1000,
    device: torch.device = _CPU,
) -> float:
    """Seconds that ``work()`` takes, the median of ``repeats`` timings.

    The first two calls are not timed: they build tables and ask for memory. A timing is the mean
    over as many calls as last ``at_least`` seconds together, so that the clock's grain does not
    matter, but over ``at_most``. Raises ``ValueError`` for less than one repeat.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; expected at least 1")
    work()
    once = max(_timed(work, 1, device), 1e-9)
    calls = max(1, min(at_most, math.ceil(at_least / once)))
    return statistics.median(_timed(work, calls, device) for _ in range(repeats))


def machine(device: torch.device = _CPU) -> dict[str, str | int]:
    """What times depend on beside the work: ``name`` of the processor, ``threads``, ``torch``."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {"name": name, "threads": torch.get_num_threads(), "torch": torch.__version__}


def _timed(work: Callable[[], None], calls: int, device: torch.device) -> float:
    _finish(device)
    began = time.perf_counter()
    for _ in range(calls):
        work()
    _finish(device)
    return (time.perf_counter() - began) / calls


def _finish(device: torch.device) -> None:
    """Wait for what a GPU was asked for: a call only queues it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _processor() -> str:
    """The processor's name, as Linux tells it, else as Python does."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
