"""Jobs of the stages ``laws`` and ``timings`` on a few constructions, in small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geocore.config.laws import LawsParams
from geocore.config.timings import TimingsParams
from geocore.pipeline.constructions import Construction, constructions
from geocore.pipeline.progress import Progress
from geocore.pipeline.stage import Job, Stage
from geocore.runs.store import Store
from tests.pipeline.stages import RUNTIME

FEW = ("group convolution C4", "SO(3) convolution", "silu on SO(3), oversampled twice")


def few() -> tuple[Construction, ...]:
    return tuple(row for row in constructions() if row.name in FEW)


def job(
    root: Path, stage: Stage, notes: dict[str, Any] | None = None, error_max: float = 1e-11
) -> Job:
    noted: dict[str, Any] = {} if notes is None else notes
    sections = {
        "laws": LawsParams(image_size=13, bandlimit=4, elements=1, seed=0, error_max=error_max),
        "timings": TimingsParams(batch=2, repeats=1),
        "runtime": RUNTIME,
    }
    return Job(
        stage=stage,
        root=root,
        sections=sections,
        values={},
        inputs={},
        store=Store(root / "store"),
        work=root / "work",
        key="0" * 32,
        code="code",
        progress=Progress(False),
        study="studies/mine",
        note=lambda **values: noted.update(values),
    )
