"""A stage whose result is one piece: made once through the store, its files copied to the outs.

What is expensive inside a stage is a part: a piece of its own, that a killed stage finds again and
that another setting of the stage may share.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from geocore.errors import UserError
from geocore.pipeline.code import deciding_code
from geocore.pipeline.stage import Job, Manifest
from geocore.runs.atomic import replacing
from geocore.runs.environment import library_versions
from geocore.runs.store import Piece, piece_key

__all__ = ["copy_outputs", "make_part", "make_piece"]


def make_piece(job: Job, build: Callable[[Path], Manifest]) -> Manifest:
    """Fill the piece of ``job.key`` by ``build(folder)``, or find it; return its values."""
    piece, made = job.store.make(
        job.key,
        build,
        verb=job.stage.name,
        parameters=job.values,
        on_wait=job.progress.say,
    )
    job.note(pieces={job.key: "made" if made else "found"})
    return piece.values


def make_part(
    job: Job,
    verb: str,
    build: Callable[[Path], Mapping[str, Any] | None],
    *,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, str],
    code: Collection[str],
    dtype: str = "float32",
    device: str = "cpu",
) -> Piece:
    """A piece inside the stage: found in the store, or filled by ``build(folder)``.

    Its key stands for ``parameters``, ``inputs`` (name -> digest), the closure of the modules
    ``code`` and the versions of the stage's libraries, and for nothing else of the job: what is
    left out here is shared between settings that differ in it. The ledger notes each part as made
    or found.
    """
    key = piece_key(
        verb,
        parameters=parameters,
        inputs=inputs,
        code=deciding_code(code),
        libraries=library_versions(*job.stage.libraries),
        dtype=dtype,
        device=device,
    )
    piece, made = job.store.make(
        key, build, verb=verb, parameters=parameters, on_wait=job.progress.say
    )
    job.note(pieces={key: "made" if made else "found"})
    return piece


def copy_outputs(job: Job, *, but: Collection[str] = ()) -> Path:
    """Copy the piece's files to the outputs of the same file name; return the piece's folder.

    Outputs named in ``but`` are left to the caller. Raises ``UserError`` if the piece was removed
    or damaged since it was made.
    """
    piece = job.store.find(job.key, on_damage=job.progress.say)
    if piece is None:
        raise UserError(
            f"piece {job.key} of {job.stage.name}: gone or damaged since it was made; run it again"
        )
    with ExitStack() as all_or_none:  # a full disk at the third leaves the first two old as well
        for name, port in job.stage.outputs(job.sections).items():
            if name in but:
                continue
            source = piece.folder / Path(port.path).name
            temporary = all_or_none.enter_context(replacing(job.output(name)))
            if source.is_dir():
                shutil.copytree(source, temporary)
            else:
                shutil.copyfile(source, temporary)
    return piece.folder
