"""``project``: where each planar image lies on the sphere, recorded and not yet interpolated."""

from __future__ import annotations

import dataclasses

import numpy as np

from geocore.config.project import ProjectParams
from geocore.data.table import Columns, Table
from geocore.data.tabletype import Camera
from geocore.errors import UserError
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.streamed import outputs_whole, row_spans, stream_table
from geocore.pipeline.types import planar_images

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Copy the samples and set ``rotation``, which takes the camera frame to the sphere's.

    It is ``random * base * pose``: the camera's own pose, where the source knows it and it is not
    ignored; then the upright camera that looks at the given point; then a rotation of the sphere
    that depends on ``project.seed`` and the sample's number alone.
    """
    # Here, so that `geocore check` reads this declaration without importing torch.
    import torch

    from geocore.camera.pose import look_at
    from geocore.so3.rotation import compose
    from geocore.so3.sampling import random_rotations

    params = job.section(ProjectParams)
    raw = Table.open(job.input("raw"), planar_images(job.sections), verify=True)
    posed = params.pose == "known" and "rotation" in raw.columns
    info = dataclasses.replace(raw.info, camera=_camera(params, raw, posed, job.params_file))
    base = look_at(params.colatitude, params.longitude)
    poses = torch.from_numpy(raw.column("rotation")) if posed else None
    copied = {name: raw.column(name) for name in ("sample", "split", "view") if name in raw.columns}

    def part(start: int, stop: int) -> Columns:
        rows = slice(start, stop)
        columns: dict[str, np.ndarray] = {name: column[rows] for name, column in copied.items()}
        random = random_rotations(params.rotation, params.seed, columns["sample"])
        columns["image"] = raw.images(rows).numpy()
        upright = base.expand(len(random), 4)
        own = upright if poses is None else compose(upright, poses[rows])
        columns["rotation"] = compose(random, own).numpy()
        if "label" in raw.columns:
            columns["label"] = np.asarray(raw.labels(rows).numpy())
        if "valid" in raw.columns:
            columns["valid"] = raw.valid(rows).numpy()
        if "depth" in raw.columns:
            columns["depth"] = raw.depths(rows).numpy()
        return columns

    spans = row_spans(info.type, len(raw))
    return {"projected": stream_table(job, "projected", info, spans, part, "project")}


def _camera(params: ProjectParams, raw: Table, posed: bool, where: str) -> Camera:
    """What the table will say of its camera; the model itself where predictions need it."""
    from geocore.camera.record import camera_to_dict
    from geocore.data.tablecamera import flat_camera, table_camera

    kind = raw.info.type
    if params.angle_of_view is None:
        if raw.info.camera is None:
            raise UserError(
                f"{where}: project.projection is source, but data.source {raw.info.source} names "
                "no camera; expected gnomonic or stereographic"
            )
        model = camera_to_dict(table_camera(raw))
        return Camera("source", None, params.rotation, model, posed)
    camera = flat_camera(params.projection, params.angle_of_view, kind.height or 0, kind.width or 0)
    own = camera_to_dict(camera) if kind.label_kind == "mask" else None
    return Camera(params.projection, params.angle_of_view, params.rotation, own, posed)


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
