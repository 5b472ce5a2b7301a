"""Tiny settings of each task of stage ``limit``, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geocore.config.limit import LimitParams
from geocore.pipeline.limit import STAGE
from geocore.pipeline.stage import Job
from tests.pipeline.stages import study_job

__all__ = ["job", "params"]

_CURVE: dict[str, Any] = {
    "pool": 16, "sizes": [4, 8], "test": 8, "runs": 3, "depth": 1, "ridge": 1e-5, "block": 10,
    "dtype": "float64", "gain_min": -1.0, "source": "digits",
}  # fmt: skip
_TASKS: dict[str, dict[str, Any]] = {
    "accuracy": {**_CURVE, "path": None, "image_size": None, "order": 4},
    "sphere": {**_CURVE, "nside": 4, "bandlimit": 4, "sampling": 6, "ridge": 1e-3},
    "width": {"widths": [2, 8], "draws": 4, "inputs": 2, "image_size": 4},
    "theorem": {
        "source": "ising", "side": 3, "train": 4, "test": 3, "depth": 1, "law_max": 1e-8,
    },
    "ensemble": {
        "side": 3, "train": 4, "test": 3, "width": 8, "depth": 1, "members": 5, "chunk": 4,
        "steps": [0, 3], "lr": 0.5, "law_max": 1e-8,
    },
}  # fmt: skip


def params(task: str, **changes: Any) -> LimitParams:
    """Tiny settings of a task, with ``changes``."""
    found = LimitParams.of({"task": task}).read(
        {"task": task, "seed": 1, **_TASKS[task], **changes}
    )
    assert isinstance(found, LimitParams)
    return found


def job(root: Path, task: str, notes: dict[str, Any] | None = None, **changes: Any) -> Job:
    """What the stage is handed for them."""
    return study_job(STAGE, root, params(task, **changes), notes=notes)
