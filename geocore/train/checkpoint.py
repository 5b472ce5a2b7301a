"""A training's state as files: ``state.safetensors`` and ``state.json`` in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from geocore.config.foreign_json import parse_json

__all__ = ["Resumable", "read_checkpoint", "write_checkpoint"]

_SHOWN = 80  # characters of a value that a line repeats


class Resumable(Protocol):
    """Where a training stands: of one network, or of the members of an ensemble.

    ``optimiser`` holds all that is learned. ``tensors`` and ``numbers`` are the state in parts that
    safetensors and JSON hold exactly; ``restore`` is the inverse of the pair.
    """

    @property
    def optimiser(self) -> torch.optim.Optimizer: ...

    def tensors(self) -> dict[str, Tensor]: ...

    def numbers(self) -> dict[str, Any]: ...

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None: ...


def write_checkpoint(folder: Path, state: Resumable) -> None:
    """Write the state into an existing folder. Equal states give equal bytes.

    Floats of the JSON are written by ``repr``, so they come back equal. Raises
    ``FloatingPointError`` and writes nothing if a weight, a moment or a number is not finite, or
    anything else (running statistics, best weights) is NaN: from there no training goes on, and
    ``Slots.save`` keeps what it has. A mask of a model's own may hold infinities.
    """
    if not _learned_is_finite(state.optimiser):
        raise FloatingPointError(f"{folder}: a weight or a moment is not finite")
    tensors = state.tensors()
    for name, value in tensors.items():
        if bool(value.isnan().any()):
            raise FloatingPointError(f"{folder}: {name} holds NaN")
    try:
        text = json.dumps(state.numbers(), sort_keys=True, allow_nan=False, indent=2)
    except ValueError:
        raise FloatingPointError(f"{folder}: a loss or a score is not finite") from None
    save_file(tensors, folder / "state.safetensors")
    (folder / "state.json").write_text(text + "\n", encoding="utf-8")


def read_checkpoint(folder: Path, state: Resumable) -> None:
    """Take over the state that ``folder`` holds: training goes on as if it had not stopped.

    Raises ``ValueError`` for files that are missing, damaged, or of another training; ``state`` may
    then have been changed in part and must be started anew.
    """
    try:
        numbers = parse_json((folder / "state.json").read_bytes())
        tensors = load_file(folder / "state.safetensors")
    except (OSError, SafetensorError, ValueError) as error:
        raise ValueError(f"{folder}: {error}; expected a checkpoint") from error
    _require_kinds(folder, numbers, state.numbers())
    try:
        state.restore(tensors, numbers)
    except KeyError as error:
        raise ValueError(f"{folder}: {error} is missing; expected a checkpoint") from error


def _learned_is_finite(optimiser: torch.optim.Optimizer) -> bool:
    learned = [value for group in optimiser.param_groups for value in group["params"]]
    for moments in optimiser.state.values():
        learned += [value for value in moments.values() if isinstance(value, Tensor)]
    return all(bool(value.isfinite().all()) for value in learned)


def _require_kinds(folder: Path, numbers: Any, own: Mapping[str, Any]) -> None:
    """Counters are counters and lists are lists, as in the numbers that a state has itself."""
    if not isinstance(numbers, dict):
        raise ValueError(f"{folder}: state.json holds no mapping; expected a checkpoint")
    for name, like in own.items():
        found = numbers.get(name, like)  # one that is missing is named by who asks for it
        kind = (int, float) if isinstance(like, float) else type(like)
        if like is not None and (isinstance(found, bool) or not isinstance(found, kind)):
            shown = repr(found)[:_SHOWN]
            raise ValueError(f"{folder}: {name} is {shown}; expected a checkpoint's")
