"""A data stage run on a small table, without DVC or Prefect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geocore.config.project import ProjectParams
from geocore.config.resample import ResampleParams
from geocore.config.runtime import RuntimeParams
from geocore.config.section import Section
from geocore.data.table import TableWriter
from geocore.data.tabletype import TableInfo, TableType
from geocore.pipeline.inputs import located
from geocore.pipeline.progress import Progress
from geocore.pipeline.stage import Job, Manifest, Stage
from geocore.runs.store import Store

__all__ = ["blobs", "results_of", "run_stage", "stage_job", "study_job", "write_raw"]

PROJECT = {
    "projection": "stereographic", "angle_of_view": 100.0, "colatitude": 90.0, "longitude": 45.0,
    "pose": "known", "rotation": "none", "copies": 1, "views": None, "seed": 0,
}  # fmt: skip
RESAMPLE = {
    "grid": "healpix", "nside": 8, "ordering": "nested", "faces": tuple(range(12)),
    "bandlimit": None, "dtype": "float32",
}  # fmt: skip
RUNTIME = RuntimeParams(device="cpu", threads=1, workers=1, checkpoint_every=50, progress=False)


def stage_job(stage: Stage, root: Path, **changes: Any) -> Job:
    """What ``stage`` is handed in ``root``; ``changes`` are keys of its own section."""
    defaults: dict[str, Any] = {"project": PROJECT, "resample": RESAMPLE}[stage.name]
    kinds = {"project": ProjectParams, "resample": ResampleParams}
    section: Section = kinds[stage.name](**(defaults | changes))
    return Job(
        stage=stage,
        root=root,
        sections={stage.name: section, "runtime": RUNTIME},
        values={},
        inputs={},
        store=Store(root / "store"),
        work=root / "work" / stage.name,
        key="key",
        code="code",
        progress=Progress(False),
    )


def study_job(
    stage: Stage,
    root: Path,
    *sections: Section,
    deps: Sequence[str] = (),
    notes: dict[str, Any] | None = None,
) -> Job:
    """What ``stage`` is handed in ``root/studies/mine``, whose deps list ``deps``.

    What the job notes goes to ``notes``.
    """
    noted: dict[str, Any] = {} if notes is None else notes
    named = {section.title: section for section in (*sections, RUNTIME)}
    return Job(
        stage=stage,
        root=root,
        sections=named,
        values={},
        inputs={},
        store=Store(root / "store"),
        work=root / "work",
        key="0" * 32,
        code="code",
        progress=Progress(False),
        study="studies/mine",
        places=located(stage.takes, "studies/mine", deps, named),
        note=lambda **values: noted.update(values),
    )


def run_stage(stage: Stage, root: Path, **changes: Any) -> Manifest:
    """Make and write ``stage`` in ``root``, and see that what it wrote counts as whole."""
    job = stage_job(stage, root, **changes)
    manifest = stage.make(job)
    stage.write(job, manifest)
    assert stage.whole is None or stage.whole(job, manifest)
    return manifest


def results_of(job: Job) -> dict[str, bytes]:
    """Make and write the job's stage: every file below ``results/STAGE``, by its path there."""
    job.stage.write(job, job.stage.make(job))
    folder = job.root / "results" / job.stage.name
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def blobs(rows: int, height: int, width: int, channels: int = 1) -> np.ndarray:
    """Smooth 8-bit images, ``(rows, height, width, channels)``."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    phase = generator.uniform(0, 6, (4, rows, 1, 1, channels))
    waves = np.sin(phase[0] + x[..., None] * phase[1] / 4) + np.sin(
        phase[2] + y[..., None] * phase[3] / 4
    )
    return np.asarray(np.round(255 * (waves + 2) / 4), np.uint8)


def write_raw(
    folder: Path,
    images: np.ndarray,
    label_kind: str = "class",
    rows_per_part: int = 1000,
    views: tuple[str, ...] = (),
    **columns: np.ndarray,
) -> TableInfo:
    """A planar table of ``images``, in several parts."""
    rows, height, width, channels = images.shape
    kind = TableType(
        grid="planar",
        height=height,
        width=width,
        channels=channels,
        dtype=str(images.dtype),  # type: ignore[arg-type]
        label_kind=label_kind,  # type: ignore[arg-type]
    )
    names = ("nought", "one", "two") if label_kind == "class" else ()
    info = TableInfo(type=kind, source="test", classes=names, views=views)
    whole: dict[str, np.ndarray] = {
        "sample": np.arange(rows, dtype=np.int64),
        "image": images,
        "split": (np.arange(rows) % 3).astype(np.uint8),
    }
    if label_kind == "class":
        whole["label"] = np.arange(rows, dtype=np.int64) % 3
    if views:
        whole["view"] = np.zeros(rows, np.uint8)
    whole |= columns
    folder.mkdir(parents=True)
    writer = TableWriter(info)
    for number, start in enumerate(range(0, rows, rows_per_part)):
        part = {name: value[start : start + rows_per_part] for name, value in whole.items()}
        writer.write_part(folder / f"part-{number:05d}.arrow", part)
    writer.seal(folder)
    return info
