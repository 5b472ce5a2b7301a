"""``project``: where each planar image lies on the sphere, recorded and not yet interpolated."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from geocore.config.project import ProjectParams
from geocore.data.table import SPLITS, Columns, Table
from geocore.data.tabletype import Camera
from geocore.errors import UserError
from geocore.pipeline.on_cluster import rows_of
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.streamed import outputs_whole, row_spans, stream_table
from geocore.pipeline.types import planar_images

__all__ = ["STAGE", "VIEWS"]

VIEWS = {"none": "upright", "z": "turned", "so3": "rotated"}
"""What the views of ``project.views`` are called in a table, by the rotation that is drawn."""


def make(job: Job) -> Manifest:
    """Copy the samples and set ``rotation``, which takes the camera frame to the sphere's.

    It is ``random * base * pose``: the camera's own pose, where the source knows it and it is not
    ignored; then the upright camera that looks at the given point; then a rotation of the sphere
    that depends on ``project.seed`` and the sample's number alone. Training samples are there
    ``project.copies`` times, test samples once for each of ``project.views``.
    """
    raw = Table.open(job.input("raw"), planar_images(job.sections), verify=True)
    params = job.section(ProjectParams)
    seen = _Seen.of(params, raw, job.params_file)
    camera = _camera(params, raw, _posed(params, raw), job.params_file)
    info = dataclasses.replace(raw.info, camera=camera, views=raw.info.views or seen.views)
    spans = row_spans(info.type, len(seen.rows))
    part, written = rows_of(job, rows, "projected", info, spans)
    table = stream_table(job, "projected", info, spans, part, "project", written=written)
    return {"projected": table}


def rows(job: Job) -> Callable[[int, int], Columns]:
    """``columns(start, stop)`` of the projected table, of a table that was verified before."""
    # Here, so that `geocore check` reads this declaration without importing torch.
    import torch

    from geocore.camera.pose import look_at
    from geocore.so3.rotation import compose
    from geocore.so3.sampling import random_rotations

    params = job.section(ProjectParams)
    raw = Table.open(job.input("raw"), planar_images(job.sections))
    seen = _Seen.of(params, raw, job.params_file)
    base = look_at(params.colatitude, params.longitude)
    poses = torch.from_numpy(raw.column("rotation")) if _posed(params, raw) else None
    splits = raw.column("split")

    def part(start: int, stop: int) -> Columns:
        there = seen.rows[start:stop]
        columns: dict[str, np.ndarray] = {
            "sample": seen.samples[start:stop],
            "split": splits[there],
        }
        random = torch.empty(len(there), 4, dtype=torch.float64)
        for kind in set(seen.rotations[start:stop].tolist()):
            turned = seen.rotations[start:stop] == kind
            random[torch.from_numpy(turned)] = random_rotations(
                kind, params.seed, columns["sample"][turned]
            )
        columns["image"] = raw.images(there).numpy()
        upright = base.expand(len(random), 4)
        own = upright if poses is None else compose(upright, poses[torch.from_numpy(there)])
        columns["rotation"] = compose(random, own).numpy()
        if "view" in raw.columns:
            columns["view"] = raw.column("view")[there]
        elif seen.views:
            names = [VIEWS[kind] for kind in seen.rotations[start:stop].tolist()]
            columns["view"] = np.array([seen.views.index(name) for name in names], np.uint8)
        if "label" in raw.columns:
            columns["label"] = np.asarray(raw.labels(there).numpy())
        if "valid" in raw.columns:
            columns["valid"] = raw.valid(there).numpy()
        if "depth" in raw.columns:
            columns["depth"] = raw.depths(there).numpy()
        return columns

    return part


def _posed(params: ProjectParams, raw: Table) -> bool:
    """Whether the camera's own pose is known and meant."""
    return params.pose == "known" and "rotation" in raw.columns


@dataclass(frozen=True)
class _Seen:
    """The rows that are written: which ``rows`` of the source, as what ``samples``, how rotated.

    A copy of sample ``n`` is sample ``n + copy * stride`` with one stride above all samples, so
    that each has a number, and a rotation, of its own. ``views`` are the names that tell several
    ways of seeing a test sample apart; none where there is one.
    """

    rows: np.ndarray
    samples: np.ndarray
    rotations: np.ndarray
    views: tuple[str, ...]

    @classmethod
    def of(cls, params: ProjectParams, raw: Table, where: str) -> _Seen:
        if params.views is not None and raw.info.views:
            raise UserError(
                f"{where}: project.views is {list(params.views)}, but {raw.info.source} has views "
                f"of its own, {', '.join(raw.info.views)}; expected null"
            )
        tested = (params.rotation,) if params.views is None else params.views
        split, number = raw.column("split"), raw.column("sample")
        stride = int(number.max()) + 1
        rows, samples, rotations = [], [], []
        for copy in range(max(params.copies, len(tested))):
            ways = {
                "train": params.rotation if copy < params.copies else None,
                "val": params.rotation if copy == 0 else None,
                "test": tested[copy] if copy < len(tested) else None,
            }
            way = np.array([ways[name] or "" for name in SPLITS])[split]
            there = np.flatnonzero(way != "")
            rows.append(there)
            samples.append(number[there] + copy * stride)
            rotations.append(way[there])
        views: tuple[str, ...] = ()
        if params.views is not None:
            views = tuple(VIEWS[kind] for kind in dict.fromkeys((*tested, params.rotation)))
        return cls(np.concatenate(rows), np.concatenate(samples), np.concatenate(rotations), views)


def _camera(params: ProjectParams, raw: Table, posed: bool, where: str) -> Camera:
    """What the table will say of its camera; the model itself where predictions need it."""
    from geocore.camera.record import camera_to_dict
    from geocore.data.tablecamera import flat_camera, table_camera

    kind = raw.info.type
    drawn = [params.rotation, *(params.views or ())]
    groups: tuple[Literal["so3", "z"], ...] = ("so3", "z")
    rotation: Literal["so3", "z", "none"]
    rotation = next((one for one in groups if one in drawn), "none")
    if params.angle_of_view is None:
        if raw.info.camera is None:
            raise UserError(
                f"{where}: project.projection is source, but data.source {raw.info.source} names "
                "no camera; expected gnomonic or stereographic"
            )
        model = camera_to_dict(table_camera(raw))
        return Camera("source", None, rotation, model, posed)
    camera = flat_camera(params.projection, params.angle_of_view, kind.height or 0, kind.width or 0)
    own = camera_to_dict(camera) if kind.label_kind == "mask" else None
    return Camera(params.projection, params.angle_of_view, rotation, own, posed)


def write(job: Job, manifest: Manifest) -> None:
    """Nothing is left to write: ``make`` moved the table into place."""
    del job, manifest


STAGE = Stage(
    name="project",
    summary="say where each image lies on the sphere",
    sections=(ProjectParams,),
    takes={"raw": Port("data/raw", "table", type=planar_images)},
    gives={"projected": Port("data/projected", "table", type=planar_images)},
    code=("geocore.pipeline.project",),
    make=make,
    write=write,
    whole=outputs_whole,
)
