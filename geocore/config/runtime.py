"""The machine."""

from __future__ import annotations

from typing import ClassVar, Literal

from geocore.config.section import Section, untracked

__all__ = ["RuntimeParams"]


class RuntimeParams(Section):
    """``runtime``: only the device class belongs to a result; the rest may differ freely."""

    title: ClassVar[str] = "runtime"

    device: Literal["cpu", "cuda"]
    threads: int = untracked(ge=0, le=1024, description="0: as many as this process may use")
    checkpoint_every: int = untracked(ge=1, description="optimiser steps between checkpoints")
    progress: bool = untracked(description="progress bars on a terminal, lines elsewhere")
