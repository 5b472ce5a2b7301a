"""Tiny settings of each task of stage ``lyapunov``, for tests."""

from __future__ import annotations

from typing import Any

from geocore.config.lyapunov import CommonLyapunov, LyapunovParams

__all__ = ["params"]

_COMMON: dict[str, Any] = {
    "members": 2, "train": 80, "epochs": 2, "batch_size": 20, "lr": 0.05, "seed": 1, "size": 21,
}  # fmt: skip
_TASKS: dict[str, dict[str, Any]] = {
    "circle": {
        "depths": [1, 2], "widths": [4, 6], "linear_widths": [2, 3], "linear_depth": 5,
        "linear_networks": 30, "contrast_min": -9.0, "alignment_min": 0.0, "auc_min": 0.0,
        "linear_errors_max": 4.0,
    },
    "images": {
        "source": "digits", "test": 60, "width": 6, "before": 1, "after": 2, "ensembles": 2,
        "groups": 4, "rise_errors_min": 0.0,
    },
}  # fmt: skip


def params(task: str, **changes: Any) -> CommonLyapunov:
    """Tiny settings of a task, with ``changes``."""
    found = LyapunovParams.of({"task": task}).read(
        {"task": task, **_COMMON, **_TASKS[task], **changes}
    )
    assert isinstance(found, CommonLyapunov)
    return found
