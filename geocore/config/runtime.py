"""The machine."""

from __future__ import annotations

import os
from typing import ClassVar, Literal

from geocore.config.section import Section, untracked

__all__ = ["RuntimeParams", "usable_cores"]


class RuntimeParams(Section):
    """``runtime``: how to run. DVC tracks the device class alone.

    ``runner`` is the one key of all sections that a file may leave out: it came after many files
    were written, and decides no byte.

    Sums are ordered by the number of threads, so equal bytes need an equal ``threads``; a result
    is the same up to rounding, and a training may drift from there.
    """

    title: ClassVar[str] = "runtime"

    device: Literal["cpu", "cuda"]
    threads: int = untracked(ge=0, le=1024, description="0: as many as this process may use")
    workers: int = untracked(
        ge=0, le=1024, description="processes for parts that do not need each other; 0: as cores"
    )
    runner: Literal["threads", "dask"] = untracked(
        default="threads", description="who works on them: this machine, or a Dask cluster"
    )
    checkpoint_every: int = untracked(ge=1, description="optimiser steps between checkpoints")
    progress: bool = untracked(description="progress bars on a terminal, lines elsewhere")

    def processes(self, parts: int) -> int:
        """How many processes work on ``parts`` that do not need each other, at least 1.

        As many as ``workers`` says; for 0 one for each ``threads`` of the cores that this process
        may use, and one alone on a GPU or where ``threads`` takes all cores.
        """
        wanted = self.workers
        if not wanted and self.threads and self.device == "cpu":
            wanted = usable_cores() // self.threads
        return max(1, min(wanted, parts))


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
