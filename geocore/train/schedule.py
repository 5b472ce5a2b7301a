"""The learning rate of each step."""

from __future__ import annotations

import math

__all__ = ["learning_rate"]


def learning_rate(step: int, *, peak: float, warmup: int, total: int) -> float:
    """Linear warm-up, then cosine decay to zero: step ``t`` of ``total``, from 0.

    ``peak (t + 1) / warmup`` for ``t < warmup``, then
    ``peak / 2 (1 + cos(pi (t - warmup) / (total - warmup)))``.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak / 2 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
