"""Presets: named sets of parameters that expand into DVC's own ``-S key=value``.

The root's ``presets.yaml`` is ``preset -> section -> key -> value``. That of a study has the folder
of the ``params.yaml`` in front, ``preset -> folder -> section -> key -> value``: ``.`` is its own,
``depth/swin`` that of a study below it.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from geocore.config.foreign_json import shown
from geocore.config.load import leaves, read_yaml
from geocore.errors import UserError

__all__ = ["checked_override", "overrides", "read_presets"]


def read_presets(root: Path) -> dict[str, dict[str, Any]]:
    """``presets.yaml``: preset -> ``{"train.epochs": 3, ...}``. No flow reads this file."""
    return {name: leaves(value) for name, value in _sets(root, "").items()}


def overrides(root: Path, preset: str, study: str = "") -> list[str]:
    """The preset as arguments of ``dvc exp run``: ``["-S", "train.epochs=3", ...]``.

    ``study`` is the folder from the root whose presets are meant; then each key has its file in
    front. Raises ``UserError`` for an unknown preset and for a key that its file does not have.
    """
    presets = _sets(root, study)
    if preset not in presets:
        raise UserError(f"preset {preset!r} is unknown; expected one of {', '.join(presets)}")
    if not study:
        return _arguments("", leaves(presets[preset]))
    found: list[str] = []
    for folder, sections in presets[preset].items():
        if not isinstance(sections, dict):
            where = f"{study}/presets.yaml: {preset}.{folder}"
            raise UserError(f"{where} is {shown(sections)}; expected a mapping of sections")
        for change in _arguments(f"{folder}:", leaves(sections))[1::2]:
            found += ["-S", checked_override(root, change, study)]
    return found


def checked_override(root: Path, change: str, study: str = "") -> str:
    """``change`` if it reads ``key=value`` with a key of ``params.yaml``; else a ``UserError``.

    With ``study`` it may begin with the folder of a study below that one, ``depth/swin:``; what
    comes back has the file from the root in front, as DVC takes it.
    """
    key, equals, value = change.partition("=")
    folder, colon, inner = key.rpartition(":") if study else ("", "", key)
    where = Path(study) / (folder if colon else "")
    file = where / "params.yaml"
    if not (root / file).is_file():
        raise UserError(f"-S {change}: no {file.as_posix()}; expected the folder of a study")
    known = list(leaves(read_yaml(root / file)))
    if not equals:
        raise UserError(f"-S {change}: holds no '='; expected key=value, as in train.lr=0.001")
    if inner not in known:
        near = difflib.get_close_matches(inner, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected a key of {file.as_posix()}"
        raise UserError(f"-S {change}: {inner} is an unknown key; {hint}")
    return f"{file.as_posix()}:{inner}={value}" if study else change


def _sets(root: Path, study: str) -> dict[str, dict[str, Any]]:
    presets = read_yaml(root / study / "presets.yaml")
    file = (Path(study) / "presets.yaml").as_posix()
    for name, value in presets.items():
        if not isinstance(value, dict):
            raise UserError(f"{file}: {name} is {shown(value)}; expected a mapping of sections")
    return {str(name): value for name, value in presets.items()}


def _arguments(before: str, values: dict[str, Any]) -> list[str]:
    return [
        argument
        for key, value in values.items()
        for argument in ("-S", f"{before}{key}={_written(key, value)}")
    ]


def _written(key: str, value: Any) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except (TypeError, ValueError, RecursionError):  # sets, bytes, and what contains itself
        raise UserError(
            f"presets.yaml: {key} holds what JSON does not; expected numbers, strings, true, "
            "false, null, or lists of these"
        ) from None
