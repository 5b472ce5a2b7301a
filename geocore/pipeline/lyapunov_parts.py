"""The parts of ``lyapunov`` in the store: trained networks, and tensors that are measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from geocore.config.runtime import RuntimeParams
from geocore.ensembles.engine import Samples
from geocore.pipeline.long_part import make_long_part
from geocore.pipeline.lyapunov_training import Recipe, fit
from geocore.pipeline.piece import make_part
from geocore.pipeline.stage import Job
from geocore.runs.digest import digest_bytes, digest_json
from geocore.runs.slots import Slots
from geocore.runs.store import Piece
from geocore.train.device import resolve

__all__ = ["measured", "trained"]

_FILE = "measured.safetensors"


def trained(
    job: Job,
    recipe: Recipe,
    samples: Samples,
    tell: Callable[[int], None],
) -> Piece:
    """Networks of that recipe, found or trained; a killed training goes on from a checkpoint.

    The samples are an input by their numbers, so that code that only makes data trains nothing.
    """
    runtime = job.section(RuntimeParams)

    def fill(folder: Path, slots: Slots) -> None:
        fit(
            folder, recipe, samples, resolve(runtime.device),
            slots=slots, checkpoint_every=runtime.checkpoint_every, tell=tell,
        )  # fmt: skip

    return make_long_part(
        job, "lyapunov-networks", fill,
        parameters=recipe.about(), inputs={"samples": _digest(samples)},
        code=["geocore.pipeline.lyapunov_training"], device=runtime.device,
    )  # fmt: skip


def measured(
    job: Job,
    verb: str,
    work: Callable[[], dict[str, Tensor]],
    *,
    parameters: dict[str, Any],
    inputs: dict[str, str],
    code: str,
) -> tuple[dict[str, Tensor], Piece]:
    """What ``work()`` gives, or gave, on the CPU: a function of the module ``code``."""

    def fill(folder: Path) -> None:
        save_file({name: one.contiguous() for name, one in work().items()}, folder / _FILE)

    piece = make_part(job, verb, fill, parameters=parameters, inputs=inputs, code=[code])
    return load_file(piece.file(_FILE)), piece


def _digest(samples: Samples) -> str:
    held = samples.inputs, samples.targets
    return digest_json([digest_bytes(one.contiguous().numpy().tobytes()) for one in held])
