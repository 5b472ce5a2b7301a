"""The machine."""

from __future__ import annotations

from typing import ClassVar, Literal

from geocore.config.section import Section, untracked

__all__ = ["RuntimeParams"]


class RuntimeParams(Section):
    """``runtime``: how to run. DVC tracks the device class alone.

    Sums are ordered by the number of threads, so equal bytes need an equal ``threads``; a result
    is the same up to rounding, and a training may drift from there.
    """

    title: ClassVar[str] = "runtime"

    device: Literal["cpu", "cuda"]
    threads: int = untracked(ge=0, le=1024, description="0: as many as this process may use")
    checkpoint_every: int = untracked(ge=1, description="optimiser steps between checkpoints")
    progress: bool = untracked(description="progress bars on a terminal, lines elsewhere")
