"""``resample``: images on the sphere, interpolated once, at the HEALPix centres."""

from __future__ import annotations

from collections.abc import Mapping

from geocore.config.resample import ResampleParams
from geocore.config.section import Section
from geocore.data.table import Columns, Table
from geocore.data.tabletype import TableInfo, TableType
from geocore.errors import UserError
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.streamed import outputs_whole, row_spans, stream_table
from geocore.pipeline.types import planar_images
from geocore.runs.digest import digest_tree

__all__ = ["STAGE"]

_LEVELS = 255.0


def healpix_type(sections: Mapping[str, Section]) -> TableType:
    """The maps of ``resample``'s parameters; channels and labels follow the images."""
    params = sections[ResampleParams.title]
    if not isinstance(params, ResampleParams):
        raise TypeError(f"section resample is {type(params).__name__}; expected ResampleParams")
    return TableType(
        grid="healpix",
        nside=params.nside,
        ordering=params.ordering,
        faces=params.faces,
        dtype=params.dtype,
    )


def make(job: Job) -> Manifest:
    """Stream ``data/projected`` onto HEALPix, part by part, and draw a few of the maps.

    Images are bilinear, mask labels and depths those of the containing pixel, and ``valid`` says
    which centres lie in one that sees something: elsewhere 0 is no value and no depth, and masks
    say that the pixel is ignored.
    """
    # Here, so that `geocore check` reads this declaration without importing torch.
    from geocore.pipeline.onto_healpix import OntoHealpix
    from geocore.pipeline.sphere_pictures import draw_samples

    projected = Table.open(job.input("projected"), planar_images(job.sections), verify=True)
    projected.require_finite()
    info = _info(job.section(ResampleParams), projected)
    resampler = OntoHealpix(projected, info)
    names = ("sample", "split", "rotation", "view")
    copied = {name: projected.column(name) for name in names if name in projected.columns}

    def part(start: int, stop: int) -> Columns:
        rows = slice(start, stop)
        return {name: column[rows] for name, column in copied.items()} | resampler.columns(rows)

    spans = row_spans(info.type, len(projected))
    table = stream_table(job, "healpix", info, spans, part, f"resample nside {info.type.nside}")
    draw_samples(Table.open(job.output("healpix")), job.output("pictures"))
    return {"healpix": table, "pictures": {"digest": digest_tree(job.output("pictures"))}}


def write(job: Job, manifest: Manifest) -> None:
    """Nothing is left to write: ``make`` moved the table and the pictures into place."""
    del job, manifest


def _info(params: ResampleParams, projected: Table) -> TableInfo:
    """What the maps' table will say of itself; 8-bit images become floats in [0, 1]."""
    given = projected.info
    if given.camera is None or "rotation" not in projected.columns:
        raise UserError(f"{projected.folder}: no camera; expected a table that project wrote")
    to_float = params.dtype == "float32" and given.type.dtype == "uint8"
    if params.dtype == "uint8" and given.type.dtype != "uint8":
        raise UserError(
            f"params.yaml: resample.dtype is uint8, but {projected.folder} holds "
            f"{given.type.dtype} images; expected float32"
        )
    kind = TableType(
        grid="healpix",
        nside=params.nside,
        ordering=params.ordering,
        faces=params.faces,
        channels=given.type.channels,
        dtype=params.dtype,
        label_kind=given.type.label_kind,
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
    summary="interpolate the images at the centres of a HEALPix grid",
    sections=(ResampleParams,),
    takes={"projected": Port("data/projected", "table", type=planar_images)},
    gives={
        "healpix": Port("data/healpix", "table", type=healpix_type),
        "pictures": Port("results/resample", "pictures"),
    },
    code=("geocore.pipeline.resample",),
    make=make,
    write=write,
    whole=outputs_whole,
)
