"""Tiny settings of each task of stage ``orbits``, for tests."""

from __future__ import annotations

from typing import Any

from geocore.config.orbits import CommonOrbits, OrbitsParams

__all__ = ["params"]

_COMMON: dict[str, Any] = {
    "width": 8, "depth": 1, "members": 6, "chunk": 4, "train": 8, "test": 5, "batch_size": 4,
    "times": [0, 3, 5], "lr": 0.01, "optimiser": "adamw", "seed": 1, "closed_max": 1e-12,
}  # fmt: skip
_IMAGES: dict[str, Any] = {"network": "mlp", "image_size": 8}
_TASKS: dict[str, dict[str, Any]] = {
    "ising": {"side": 3},
    "digits": {**_IMAGES, "order": 8, "angles": 16, "source": "digits", "other": "textures"},
    "texture": {
        **_IMAGES, "network": "cnn", "depth": 2, "width": 2, "order": 4, "angles": None,
        "source": "generated", "path": None,
    },
    "vector": {"rotations": 3},
    "healpix": {"nside": 2},
}  # fmt: skip


def params(task: str, **changes: Any) -> CommonOrbits:
    """Tiny settings of a task, with ``changes``."""
    found = OrbitsParams.of({"task": task}).read(
        {"task": task, **_COMMON, **_TASKS[task], **changes}
    )
    assert isinstance(found, CommonOrbits)
    return found
