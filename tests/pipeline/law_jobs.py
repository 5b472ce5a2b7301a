"""Jobs of the stages ``laws`` and ``timings`` on a few constructions, in small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geocore.config.laws import LawsParams
from geocore.config.timings import TimingsParams
from geocore.pipeline.constructions import Construction, constructions
from geocore.pipeline.stage import Job, Stage
from tests.pipeline.stages import study_job

FEW = ("group convolution C4", "SO(3) convolution", "silu on SO(3), oversampled twice")


def few() -> tuple[Construction, ...]:
    return tuple(row for row in constructions() if row.name in FEW)


def job(
    root: Path, stage: Stage, notes: dict[str, Any] | None = None, error_max: float = 1e-11
) -> Job:
    laws = LawsParams(image_size=13, bandlimit=4, elements=1, seed=0, error_max=error_max)
    return study_job(stage, root, laws, TimingsParams(batch=2, repeats=1), notes=notes)
