"""Presets: named sets of parameters that expand into DVC's own ``-S key=value``."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from geocore.config.load import leaves, read_yaml
from geocore.errors import UserError

__all__ = ["checked_override", "overrides", "read_presets"]


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


def checked_override(root: Path, change: str) -> str:
    """``change`` if it reads ``key=value`` with a key of ``params.yaml``; else a ``UserError``."""
    key, equals, _ = change.partition("=")
    known = list(leaves(read_yaml(root / "params.yaml")))
    if not equals:
        raise UserError(f"-S {change}: holds no '='; expected key=value, as in train.lr=0.001")
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "expected a key of params.yaml"
        raise UserError(f"-S {change}: {key} is an unknown key; {hint}")
    return change
