"""A part of a stage that takes long: killed inside it, a run goes on from its last checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from geocore.pipeline.code import deciding_code
from geocore.pipeline.piece import make_part
from geocore.pipeline.stage import Job
from geocore.runs.environment import library_versions
from geocore.runs.slots import Slots
from geocore.runs.store import Piece, piece_key

__all__ = ["make_long_part"]


def make_long_part(
    job: Job,
    verb: str,
    build: Callable[[Path, Slots], Mapping[str, Any] | None],
    *,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, str],
    code: Collection[str],
    dtype: str = "float32",
    device: str = "cpu",
) -> Piece:
    """``make_part``, of which ``build`` may leave checkpoints and go on from them.

    They go once the part is whole.
    """
    key = piece_key(
        f"checkpoints of {verb}",
        parameters=parameters,
        inputs=inputs,
        code=deciding_code(code),
        libraries=library_versions(*job.stage.libraries),
        dtype=dtype,
        device=device,
    )
    slots = Slots(job.store, key)

    def fill(folder: Path) -> Mapping[str, Any] | None:
        job.note(pieces=dict.fromkeys(slots.keys, "used"))  # so that gc keeps what it may need
        return build(folder, slots)

    piece = make_part(
        job, verb, fill,
        parameters=parameters, inputs=inputs, code=code, dtype=dtype, device=device,
    )  # fmt: skip
    slots.remove()
    return piece
