"""Presets: named sets of parameters that expand into DVC's own ``-S key=value``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from geocore.config.load import leaves, read_yaml
from geocore.errors import UserError

__all__ = ["overrides", "read_presets"]


def read_presets(root: Path) -> dict[str, dict[str, Any]]:
    """``presets.yaml``: preset -> ``{"train.epochs": 3, ...}``. No flow reads this file."""
    presets = read_yaml(root / "presets.yaml")
    for name, value in presets.items():
        if not isinstance(value, dict):
            raise UserError(f"presets.yaml: {name} is {value!r}; expected a mapping of sections")
    return {str(name): leaves(value) for name, value in presets.items()}


def overrides(root: Path, preset: str) -> list[str]:
    """The preset as arguments of ``dvc exp run``: ``["-S", "train.epochs=3", ...]``."""
    presets = read_presets(root)
    if preset not in presets:
        raise UserError(f"preset {preset!r} is unknown; expected one of {', '.join(presets)}")
    return [
        argument
        for key, value in presets[preset].items()
        for argument in ("-S", f"{key}={value if isinstance(value, str) else json.dumps(value)}")
    ]
