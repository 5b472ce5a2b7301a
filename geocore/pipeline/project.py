"""``project``: where each planar image lies on the sphere, recorded and not yet interpolated."""

from __future__ import annotations

import numpy as np

from geocore.config.project import ProjectParams
from geocore.data.table import Columns, Table
from geocore.data.tabletype import Camera, TableInfo
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.streamed import outputs_whole, row_spans, stream_table
from geocore.pipeline.types import planar_images

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Copy the samples and add ``rotation``, which takes the camera frame to the sphere's.

    It is ``random * base``: the upright camera that looks at the given point, then a rotation of
    the sphere that depends on ``project.seed`` and the sample's number alone.
    """
    # Here, so that `geocore check` reads this declaration without importing torch.
    from geocore.camera.planar import PlanarCamera, look_at
    from geocore.so3.rotation import compose
    from geocore.so3.sampling import random_rotations

    params = job.section(ProjectParams)
    raw = Table.open(job.input("raw"), planar_images(job.sections), verify=True)
    kind = raw.info.type
    PlanarCamera(params.projection, params.angle_of_view, kind.height or 0, kind.width or 0)
    info = TableInfo(
        type=kind,
        source=raw.info.source,
        classes=raw.info.classes,
        camera=Camera(params.projection, params.angle_of_view, params.rotation),
        normaliser=raw.info.normaliser,
    )
    base = look_at(params.colatitude, params.longitude)
    copied = {name: raw.column(name) for name in ("sample", "split")}

    def part(start: int, stop: int) -> Columns:
        rows = slice(start, stop)
        columns = {name: column[rows] for name, column in copied.items()}
        random = random_rotations(params.rotation, params.seed, columns["sample"])
        columns["image"] = raw.images(rows).numpy()
        columns["rotation"] = compose(random, base.expand(len(random), 4)).numpy()
        if "label" in raw.columns:
            columns["label"] = np.asarray(raw.labels(rows).numpy())
        return columns

    spans = row_spans(kind, len(raw))
    return {"projected": stream_table(job, "projected", info, spans, part, "project")}


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
