"""A training's state as files: ``state.safetensors`` and ``state.json`` in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from geocore.train.state import TrainState

__all__ = ["read_checkpoint", "write_checkpoint"]


def write_checkpoint(folder: Path, state: TrainState) -> None:
    """Write the state into an existing folder. Equal states give equal bytes.

    Floats of the JSON are written by ``repr``, so they come back equal.
    """
    save_file(state.tensors(), folder / "state.safetensors")
    text = json.dumps(state.numbers(), sort_keys=True, allow_nan=False, indent=2)
    (folder / "state.json").write_text(text + "\n", encoding="utf-8")


def read_checkpoint(folder: Path, state: TrainState) -> None:
    """Take over the state that ``folder`` holds: training goes on as if it had not stopped.

    Raises ``ValueError`` for files that are missing, damaged, or of another network; ``state`` may
    then have been changed in part and must be started anew.
    """
    try:
        numbers: dict[str, Any] = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "state.safetensors")
    except (OSError, SafetensorError, ValueError) as error:
        raise ValueError(f"{folder}: {error}; expected a checkpoint") from error
    try:
        state.restore(tensors, numbers)
    except KeyError as error:
        raise ValueError(f"{folder}: {error} is missing; expected a checkpoint") from error
