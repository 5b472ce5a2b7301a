"""``fetch``: a source of images becomes a typed table, its held-out split with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from geocore.config.data import DataParams
from geocore.config.section import Section
from geocore.data.sources.base import Samples
from geocore.data.sources.home import data_home, locate
from geocore.data.sources.opening import open_source
from geocore.data.split import kept_rows, make_split
from geocore.data.table import Columns, rows_per_part
from geocore.data.tabletype import Camera, TableInfo, TableType
from geocore.errors import UserError
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.streamed import outputs_whole, row_spans, stream_table

__all__ = ["STAGE"]

_SIDES = {"digits": 8, "mnist": 28, "fashion_mnist": 28}  # grey and square; others vary
_COLOUR_SIDES = {"svhn": 32, "svhn_extra": 32, "street_digits": 32}
_OWN_FILES = ("woodscape", "camvid", "cityscapes")  # known by name, but the files are the user's


def raw_type(sections: Mapping[str, Section]) -> TableType:
    """What is known of the table before the source is opened."""
    data = sections[DataParams.title]
    if not isinstance(data, DataParams):
        raise TypeError(f"section data is {type(data).__name__}; expected DataParams")
    if data.dense:
        return TableType(
            grid="planar",
            height=data.height,
            width=data.width,
            channels=1 if data.source == "canvas" else 3,
            dtype="uint8",
            label_kind="mask",
        )
    side = data.image_size or (_SIDES | _COLOUR_SIDES).get(data.source)
    return TableType(
        grid="planar",
        height=side,
        width=side,
        channels=1 if data.source in _SIDES else 3 if data.source in _COLOUR_SIDES else None,
        dtype="uint8",
        label_kind="class",
    )


def make(job: Job) -> Manifest:
    """Stream the source into ``data/raw``: ``sample``, ``image``, ``label``, ``split`` and more.

    Sources with a class a pixel give ``valid``, ``depth``, ``rotation`` (the camera's pose) and
    ``view`` too, as far as they know them.
    """
    data = job.section(DataParams)
    source = open_source(data, job.root, data_home(), job.progress.say)
    _say_if_unseen(job, data)
    rows = kept_rows(source.strata, source.splits, data.limit, data.seed)
    split = _split(source, data, rows)
    known = source.known(rows)
    info = _info(source, "rotation" in known)
    stream = _Stream(source, rows, rows_per_part(info.type))

    def part(start: int, stop: int) -> Columns:
        chosen = slice(start, stop)
        columns = {"sample": rows[chosen], **stream.part(start)}
        columns |= {name: column[chosen] for name, column in known.items()}
        return {**columns, "split": split[chosen]}

    raw = stream_table(
        job,
        "raw",
        info,
        row_spans(info.type, len(rows)),
        part,
        f"fetch {source.name}",
        made_from=source.digest,
    )
    return {"raw": {**raw, "classes": list(source.classes), "source_digest": source.digest}}


def _info(source: Samples, posed: bool) -> TableInfo:
    height, width, channels = source.shape
    kind = TableType(
        grid="planar",
        height=height,
        width=width,
        channels=channels,
        dtype="uint8",
        label_kind=source.label_kind,
    )
    camera = None
    if source.camera is not None:
        camera = Camera("source", None, "none", source.camera, posed)
    return TableInfo(
        type=kind, source=source.name, classes=source.classes, camera=camera, views=source.views
    )


def write(job: Job, manifest: Manifest) -> None:
    """Nothing is left to write: ``make`` moved the table into place."""
    del job, manifest


def whole(job: Job, manifest: Manifest) -> bool:
    """Whether the table is undamaged, and one's own data are still those it was made from."""
    if not outputs_whole(job, manifest):
        return False
    data = job.section(DataParams)
    if data.path is None and data.source not in _OWN_FILES:  # these sources never change
        return True
    try:
        source = open_source(data, job.root, data_home(), job.progress.say)
    except UserError:
        return False
    return bool(source.digest == manifest["raw"]["source_digest"])


class _Stream:
    """Parts of a source that can only be read forwards, from wherever the first is asked for."""

    def __init__(self, source: Samples, rows: np.ndarray, size: int) -> None:
        self._source, self._rows, self._size = source, rows, size
        self._pieces: Iterator[dict[str, np.ndarray]] = iter(())
        self._next = -1

    def part(self, start: int) -> dict[str, np.ndarray]:
        if start != self._next:
            self._pieces = self._source.pieces(self._rows[start:], self._size)
        self._next = start + self._size
        return next(self._pieces)


def _say_if_unseen(job: Job, data: DataParams) -> None:
    """Say where DVC cannot know that own data changed: it hashes ``data/own`` alone."""
    if data.path is None and data.source not in _OWN_FILES:
        return
    own = (job.root / "data" / "own").resolve()
    if data.path is None or not locate(
        data.path, data.source, job.root, data_home()
    ).resolve().is_relative_to(own):
        job.progress.say(
            f"fetch: {data.path or data.source} lies outside data/own, where DVC sees no change; "
            "after one: dvc repro -f fetch"
        )


def _split(source: Samples, data: DataParams, rows: np.ndarray) -> np.ndarray:
    try:
        return make_split(
            source.strata[rows],
            None if source.splits is None else source.splits[rows],
            val_fraction=data.val_fraction,
            test_fraction=data.test_fraction,
            seed=data.seed,
            classes=source.stratum_names,
        )
    except UserError as error:
        if len(rows) == len(source):
            raise
        kept = f"data.limit keeps {len(rows)} of {len(source)} samples"
        raise UserError(*(f"{line} ({kept})" for line in error.lines)) from None


STAGE = Stage(
    name="fetch",
    summary="get the images, check them, and make the held-out split once",
    sections=(DataParams,),
    takes={},
    gives={"raw": Port("data/raw", "table", type=raw_type)},
    code=("geocore.pipeline.fetch",),
    make=make,
    write=write,
    whole=whole,
)
