"""The file of a run's spheres: what the stage ``spheres`` writes and a page reads.

One uncompressed Arrow IPC file with a row a map: ``sample``, ``view``, ``what``, ``angle``,
``exact``, ``error``, ``codes``, ``values``. Maps are nested, one face after the other, the last
axis the channels; classes are ``codes`` (uint8, ``UNKNOWN`` where there is none) and everything
else is ``values`` (float32, NaN where nothing is known). What holds for all rows is JSON in the
metadata.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = [
    "SPECTRA", "UNKNOWN", "SphereSample", "Spheres", "Turned", "read_spheres", "spheres_bytes",
]  # fmt: skip

Array = npt.NDArray[Any]
Task = Literal["classification", "segmentation", "depth"]

UNKNOWN = 255  # code of a pixel without a class
SPECTRA = ("input", "label", "prediction", "error")
_TASKS = ("classification", "segmentation", "depth")
_KEY = b"geocore"
_VERSION = 1
_END = b"\0\0\0\0ARROW1"  # the footer's length, and the magic
_DAMAGED = (
    pa.ArrowException, OSError, LookupError, TypeError, RecursionError, struct.error,
)  # fmt: skip
_ROWS = 100_000
_SCHEMA = pa.schema(
    {
        "sample": pa.int64(),
        "view": pa.string(),
        "what": pa.string(),
        "angle": pa.float64(),
        "exact": pa.bool_(),
        "error": pa.float64(),
        "codes": pa.list_(pa.uint8()),
        "values": pa.list_(pa.float32()),
    }
)


@dataclass(frozen=True)
class Turned:
    """A sample turned by ``angle`` degrees: ``found = f(R x)`` beside ``expected = R f(x)``.

    ``exact``: R moves pixels to pixels, and nothing was interpolated. ``error`` is ``||f(R x) -
    R f(x)|| / ||R f(x)||`` of the network's outputs, NaN where nothing can be compared;
    ``difference`` how far apart both are, a pixel: half the sum of ``|p - q|`` over classes, or
    metres.
    """

    angle: float
    exact: bool
    error: float
    found: Array
    expected: Array
    difference: Array


@dataclass(frozen=True)
class SphereSample:
    """A sample, in the ``view`` of that name if it has several, and what is said of it.

    ``input (npix, channels)`` float32. Of a dense task ``label``, ``prediction (npix,)`` are
    uint8 codes or float32 metres and ``uncertainty (npix,)`` the entropy in nats or a deviation in
    metres, None where the network tells none. Of a classification ``label (1,)`` is a code,
    ``prediction (classes,)`` probabilities and ``uncertainty (1,)`` their entropy. ``spectra`` are
    angular power spectra ``C_l``, l from 0, by the names of ``SPECTRA``.
    """

    sample: int
    view: str
    input: Array
    label: Array
    prediction: Array
    uncertainty: Array | None
    turns: tuple[Turned, ...]
    spectra: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Spheres:
    """The spheres of one run.

    ``source`` says in words which grid the network reads; ``axis`` names that of the turns;
    ``sky`` is the part of the sphere that spectra were taken on: below 1 they are pseudo-C_l.
    ``colours`` are ``#rrggbb``, one a class.
    """

    task: Task
    nside: int
    faces: tuple[int, ...]
    classes: tuple[str, ...]
    colours: tuple[str, ...]
    source: str
    axis: str
    sky: float
    samples: tuple[SphereSample, ...]

    @property
    def pixels(self) -> int:
        """Pixels of a map."""
        return len(self.faces) * self.nside**2


def spheres_bytes(spheres: Spheres) -> bytes:
    """The file's bytes, the same for equal spheres."""
    rows = [row for one in spheres.samples for row in _rows_about(one)]
    about = {
        "version": _VERSION, "task": spheres.task, "nside": spheres.nside, "ordering": "nested",
        "faces": list(spheres.faces), "classes": list(spheres.classes),
        "colours": list(spheres.colours), "source": spheres.source, "axis": spheres.axis,
        "sky": spheres.sky,
    }  # fmt: skip
    told = json.dumps(about, sort_keys=True, allow_nan=False).encode()
    schema = _SCHEMA.with_metadata({_KEY: told})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    return bytes(sink.getvalue())


def read_spheres(content: bytes) -> Spheres:
    """The spheres of a file's bytes; one ``ValueError`` for any that ``spheres`` did not write.

    Compressed columns are refused unread: what lies in memory is not more than the file.
    """
    try:
        if _compressed(content):
            _fault("with compressed columns")
        with pa.ipc.open_file(pa.BufferReader(content)) as reader:
            if reader.schema.metadata is None or reader.schema.remove_metadata() != _SCHEMA:
                _fault("other columns")
            about = json.loads(reader.schema.metadata[_KEY])
            batches = [reader.get_batch(place) for place in range(reader.num_record_batches)]
        for batch in batches:
            batch.validate(full=True)
        rows = [row for batch in batches for row in _rows_of(batch)]
        return _spheres(about, rows)
    except ValueError as error:
        if str(error).startswith("spheres: "):
            raise
        raise ValueError(_told(f"damaged ({' '.join(str(error).split())[:80]})")) from None
    except _DAMAGED as error:
        raise ValueError(_told(f"damaged ({type(error).__name__})")) from None


def _compressed(content: bytes) -> bool:
    """Whether a batch that the footer names has a compression, told before Arrow unpacks it.

    Of Arrow's File.fbs Footer { version, schema, dictionaries, recordBatches }, a vector of Block
    { offset, metaDataLength, bodyLength }, and of Message.fbs Message { version, header_type,
    header, ... } with RecordBatch { length, nodes, buffers, compression, ... }.
    """
    end = len(content) - len(_END)
    footer = content[end - _offset(content, end) : end]
    blocks = _target(footer, _offset(footer, 0), 3)
    if blocks is None:
        return False
    for number in range(_offset(footer, blocks)):
        (offset,) = struct.unpack_from("<q", footer, blocks + 4 + 24 * number)
        metadata = content[offset + 8 :]  # behind a marker and its length
        header = _target(metadata, _offset(metadata, 0), 2)
        if header is None or _field(metadata, header, 3) is not None:
            return True
    return False


def _target(buffer: bytes, table: int, number: int) -> int | None:
    """Where that lies which field ``number`` points at."""
    place = _field(buffer, table, number)
    return None if place is None else place + _offset(buffer, place)


def _field(metadata: bytes, table: int, number: int) -> int | None:
    """Where field ``number`` of the flatbuffer table at ``table`` lies, None for one left out."""
    (back,) = struct.unpack_from("<i", metadata, table)
    directory = table - back
    (size,) = struct.unpack_from("<H", metadata, directory)
    entry = 4 + 2 * number
    if entry + 2 > size:
        return None
    (place,) = struct.unpack_from("<H", metadata, directory + entry)
    return table + place if place else None


def _offset(metadata: bytes, place: int) -> int:
    (found,) = struct.unpack_from("<I", metadata, place)
    return int(found)


def _rows_about(one: SphereSample) -> list[dict[str, Any]]:
    maps: list[tuple[str, Array, dict[str, Any]]] = [
        ("input", one.input, {}), ("label", one.label, {}), ("prediction", one.prediction, {}),
    ]  # fmt: skip
    if one.uncertainty is not None:
        maps.append(("uncertainty", one.uncertainty, {}))
    maps += [(f"spectrum of {name}", found, {}) for name, found in one.spectra.items()]
    for turn in one.turns:
        error = turn.error if np.isfinite(turn.error) else None
        about = {"angle": turn.angle, "exact": turn.exact, "error": error}
        maps.append(("f(Rx)", turn.found, about))
        maps.append(("R f(x)", turn.expected, about))
        maps.append(("difference", turn.difference, about))
    return [
        {
            "sample": one.sample,
            "view": one.view,
            "what": what,
            "codes" if values.dtype == np.uint8 else "values": values.reshape(-1),
            **about,
        }
        for what, values, about in maps
    ]


def _rows_of(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    if batch.num_rows > _ROWS:
        _fault(f"{batch.num_rows} rows")
    columns = {name: batch.column(name) for name in batch.schema.names}
    plain = ("sample", "view", "what", "angle", "exact", "error")
    rows = [
        dict(zip(plain, row, strict=True))
        for row in zip(*(columns[name].to_pylist() for name in plain), strict=True)
    ]
    for place, row in enumerate(rows):
        found = [columns[name][place] for name in ("codes", "values")]
        valid = [scalar for scalar in found if scalar.is_valid]
        if len(valid) != 1 or valid[0].values.null_count:
            _fault(f"row {place} without one map")
        row["map"] = valid[0].values.to_numpy(zero_copy_only=False)
    return rows


def _spheres(about: Any, rows: Sequence[Mapping[str, Any]]) -> Spheres:
    if not isinstance(about, dict) or about.get("version") != _VERSION:
        _fault("of another version")
    found = Spheres(
        task=about["task"],
        nside=about["nside"],
        faces=tuple(about["faces"]),
        classes=tuple(about["classes"]),
        colours=tuple(about["colours"]),
        source=about["source"],
        axis=about["axis"],
        sky=about["sky"],
        samples=(),
    )
    nside, faces = found.nside, found.faces
    words = (*found.classes, *found.colours, found.source, found.axis)
    if (
        found.task not in _TASKS
        or type(nside) is not int or not 1 <= nside <= 8192 or nside & (nside - 1)
        or any(type(face) is not int or not 0 <= face < 12 for face in faces)
        or not faces or sorted({*faces}) != sorted(faces)
        or any(type(word) is not str for word in words)
        or any(not _is_colour(colour) for colour in found.colours)
        or len(found.colours) != len(found.classes) or len(found.classes) >= UNKNOWN
        or type(found.sky) not in (int, float) or not 0 <= found.sky <= 1
        or about["ordering"] != "nested"
    ):  # fmt: skip
        _fault("of no such grid, task or classes")
    grouped: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if None in (row["sample"], row["view"], row["what"]):
            _fault("without a sample's number or a name")
        grouped.setdefault((row["sample"], row["view"]), []).append(row)
    samples = tuple(_sample(found, *of, mine) for of, mine in grouped.items())
    if not samples:
        _fault("without samples")
    return Spheres(**{**vars(found), "samples": samples})


def _sample(
    about: Spheres, number: int, view: str, rows: Sequence[Mapping[str, Any]]
) -> SphereSample:
    plain = {row["what"]: row["map"] for row in rows if row["angle"] is None}
    turned: dict[float, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        if row["angle"] is not None:
            if not np.isfinite(row["angle"]) or type(row["exact"]) is not bool:
                _fault("with a turn by no angle")
            turned.setdefault(row["angle"], {})[row["what"]] = row
    dense, said = about.task != "classification", np.float32
    size = about.pixels if dense else 1
    if about.task == "segmentation":
        said = np.uint8  # type: ignore[assignment]
    width = size if dense else len(about.classes)
    label_kind = np.float32 if about.task == "depth" else np.uint8
    values = plain["input"]
    if values.dtype != np.float32 or values.size == 0 or values.size % about.pixels:
        _fault(f"with an input of {values.size} numbers")
    codes = len(about.classes) if about.task != "depth" else 0
    turns = []
    for angle, of in turned.items():
        error = of["f(Rx)"]["error"]
        turns.append(
            Turned(
                angle=angle,
                exact=of["f(Rx)"]["exact"],
                error=np.nan if error is None else error,
                found=_map(of["f(Rx)"]["map"], width, said, codes),
                expected=_map(of["R f(x)"]["map"], width, said, codes),
                difference=_map(of["difference"]["map"], size, np.float32),
            )
        )
    spectra = {name: plain.get(f"spectrum of {name}") for name in SPECTRA}
    return SphereSample(
        sample=number,
        view=view,
        input=values.reshape(about.pixels, -1),
        label=_map(plain["label"], size, label_kind, codes),
        prediction=_map(plain["prediction"], width, said, codes),
        uncertainty=(
            _map(plain["uncertainty"], size, np.float32) if "uncertainty" in plain else None
        ),
        turns=tuple(turns),
        spectra={
            name: _map(found, found.size, np.float32)
            for name, found in spectra.items()
            if found is not None
        },
    )


def _map(values: Array, size: int, kind: Any, codes: int = 0) -> Array:
    """``values`` if they are ``size`` of that kind, and codes below ``codes`` or ``UNKNOWN``."""
    if values.dtype != kind or values.size != size:
        _fault(f"with a map of {values.size} {values.dtype}; {size} {np.dtype(kind)} were due")
    if kind == np.uint8 and bool(((values >= codes) & (values != UNKNOWN)).any()):
        _fault(f"with a code beyond {codes} classes")
    return values


def _is_colour(text: str) -> bool:
    return len(text) == 7 and text[0] == "#" and all(c in "0123456789abcdef" for c in text[1:])


def _told(found: str) -> str:
    return f"spheres: the file is {found}; expected what the stage spheres writes"


def _fault(found: str) -> NoReturn:
    raise ValueError(_told(found))
