"""A stage whose result is one piece: made once through the store, its files copied to the outs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path

from geocore.errors import UserError
from geocore.pipeline.stage import Job, Manifest
from geocore.runs.atomic import replacing

__all__ = ["copy_outputs", "make_piece"]


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
        for name, port in job.stage.gives.items():
            if name in but:
                continue
            source = piece.folder / Path(port.path).name
            temporary = all_or_none.enter_context(replacing(job.output(name)))
            if source.is_dir():
                shutil.copytree(source, temporary)
            else:
                shutil.copyfile(source, temporary)
    return piece.folder
