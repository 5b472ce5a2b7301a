"""``resample``: images on the sphere, interpolated once, at the points of its grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from geocore.config.resample import ResampleParams
from geocore.config.section import Section
from geocore.data.table import Columns, Table
from geocore.data.tabletype import TableInfo, TableType
from geocore.errors import UserError
from geocore.pipeline.on_cluster import rows_of
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.streamed import outputs_whole, row_spans, stream_table
from geocore.pipeline.types import planar_images
from geocore.runs.digest import digest_tree

__all__ = ["STAGE"]

_LEVELS = 255.0


Sections = Mapping[str, Section]


def maps_type(sections: Sections) -> TableType:
    """The maps of ``resample``'s parameters; channels and labels follow the images."""
    params = _params(sections)
    if params.bandlimit is not None:
        side = 2 * params.bandlimit
        return TableType(grid="driscoll-healy", height=side, width=side, dtype=params.dtype)
    return TableType(
        grid="healpix",
        nside=params.nside,
        ordering=params.ordering,
        faces=params.faces,
        dtype=params.dtype,
    )


def _params(sections: Sections) -> ResampleParams:
    params = sections[ResampleParams.title]
    if not isinstance(params, ResampleParams):
        raise TypeError(f"section resample is {type(params).__name__}; expected ResampleParams")
    return params


def _to_healpix(sections: Sections) -> bool:
    return _params(sections).grid == "healpix"


def _to_driscoll_healy(sections: Sections) -> bool:
    return _params(sections).grid == "driscoll-healy"


def make(job: Job) -> Manifest:
    """Stream ``data/projected`` onto the sphere, part by part, and draw a few of the maps.

    Images are bilinear, mask labels and depths those of the containing pixel, and ``valid`` says
    which points lie in one that sees something: elsewhere 0 is no value and no depth, and masks
    say that the pixel is ignored.
    """
    # Here, so that `geocore check` reads this declaration without importing torch.
    from geocore.pipeline.sphere_pictures import draw_samples

    projected = Table.open(job.input("projected"), planar_images(job.sections), verify=True)
    projected.require_finite()
    params = job.section(ResampleParams)
    info = _info(job, projected)
    spans = row_spans(info.type, len(projected))
    output = params.grid.replace("-", "_")
    finest = f"nside {params.nside}" if params.bandlimit is None else f"b {params.bandlimit}"
    part, written = rows_of(job, rows, output, info, spans)
    label = f"resample {finest}"
    table = stream_table(job, output, info, spans, part, label, written=written)
    draw_samples(Table.open(job.output(output)), job.output("pictures"))
    return {output: table, "pictures": {"digest": digest_tree(job.output("pictures"))}}


def rows(job: Job) -> Callable[[int, int], Columns]:
    """``columns(start, stop)`` of the maps, of a table of images that was verified before."""
    from geocore.pipeline.onto_sphere import OntoSphere

    projected = Table.open(job.input("projected"), planar_images(job.sections))
    resampler = OntoSphere(projected, _info(job, projected))
    names = ("sample", "split", "rotation", "view")
    copied = {name: projected.column(name) for name in names if name in projected.columns}

    def part(start: int, stop: int) -> Columns:
        there = slice(start, stop)
        return {name: column[there] for name, column in copied.items()} | resampler.columns(there)

    return part


def write(job: Job, manifest: Manifest) -> None:
    """Nothing is left to write: ``make`` moved the table and the pictures into place."""
    del job, manifest


def _info(job: Job, projected: Table) -> TableInfo:
    """What the maps' table will say of itself; 8-bit images become floats in [0, 1]."""
    given, params = projected.info, job.section(ResampleParams)
    if given.camera is None or "rotation" not in projected.columns:
        raise UserError(f"{projected.folder}: no camera; expected a table that project wrote")
    to_float = params.dtype == "float32" and given.type.dtype == "uint8"
    if params.dtype == "uint8" and given.type.dtype != "uint8":
        raise UserError(
            f"params.yaml: resample.dtype is uint8, but {projected.folder} holds "
            f"{given.type.dtype} images; expected float32"
        )
    kind = dataclasses.replace(
        maps_type(job.sections), channels=given.type.channels, label_kind=given.type.label_kind
    )
    return TableInfo(
        type=kind,
        source=given.source,
        classes=given.classes,
        camera=given.camera,
        normaliser=given.normaliser * (_LEVELS if to_float else 1.0),
        views=given.views,
    )


STAGE = Stage(
    name="resample",
    summary="interpolate the images at the points of a grid on the sphere",
    sections=(ResampleParams,),
    takes={"projected": Port("data/projected", "table", type=planar_images)},
    gives={
        "healpix": Port("data/healpix", "table", type=maps_type, needed=_to_healpix),
        "driscoll_healy": Port(
            "data/driscoll_healy", "table", type=maps_type, needed=_to_driscoll_healy
        ),
        "pictures": Port("results/resample", "pictures"),
    },
    code=("geocore.pipeline.resample",),
    make=make,
    write=write,
    whole=outputs_whole,
)
