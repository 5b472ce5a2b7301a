"""One IDX file, gzipped or not: checked once as a whole, then read forwards.

The format (LeCun, MNIST's page): four magic bytes ``0 0 type dimensions``, type 8 being unsigned
bytes, then each dimension as a big-endian 32-bit integer, then the values, last index fastest.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from geocore.errors import UserError

__all__ = ["IdxFile", "check_idx"]

_UBYTE = 8
_CHUNK = 2**20


@dataclass(frozen=True)
class IdxFile:
    """A whole IDX file of unsigned bytes: where it is, its shape, the md5 of what it unpacks to."""

    path: Path
    shape: tuple[int, ...]
    md5: str

    def read(self, rows: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.uint8]]:
        """Entries at the rising ``rows`` of the first axis, in arrays of about a MiB at most."""
        start, item = 4 + 4 * len(self.shape), int(np.prod(self.shape[1:], dtype=np.int64))
        most = max(1, _CHUNK // max(1, item))
        ends = np.flatnonzero(np.diff(rows) != 1) + 1  # rows that follow one another: one read
        with _unpacked(self.path) as stream:
            for run in np.split(rows, ends):
                for first in range(0, len(run), most):
                    count = len(run[first : first + most])
                    stream.seek(start + int(run[first]) * item)
                    found = np.frombuffer(stream.read(count * item), np.uint8)
                    yield found.reshape(count, *self.shape[1:])


def check_idx(path: Path, dimensions: int, md5: str | None) -> IdxFile:
    """Read the file through: magic, size and checksum must be right, or a ``UserError`` says so.

    ``md5`` is that of the decompressed bytes, so an archive may have been packed anew; None skips
    the comparison.
    """
    digest, length, header = hashlib.md5(usedforsecurity=False), 0, b""
    wanted_header = 4 + 4 * dimensions
    with _unpacked(path) as stream:
        while chunk := _read(path, stream, length):
            header += chunk[: max(0, wanted_header - len(header))]
            digest.update(chunk)
            length += len(chunk)
    magic = bytes((0, 0, _UBYTE, dimensions))
    if header[:4] != magic[: len(header)] or not header:
        found = header[:4].hex() or "none, it is empty"
        raise UserError(f"{path}: IDX magic is {found}; expected {magic.hex()}")
    if length < wanted_header:
        raise UserError(f"{path}: truncated, {length} bytes; expected at least {wanted_header}")
    shape = struct.unpack(f">{dimensions}I", header[4:])
    expected = wanted_header + int(np.prod(shape, dtype=object))
    if length != expected:
        state = "truncated, " if length < expected else ""
        raise UserError(f"{path}: {state}{length} bytes decompressed; expected {expected}")
    if md5 is not None and digest.hexdigest() != md5:
        raise UserError(
            f"{path}: md5 of the decompressed bytes is {digest.hexdigest()}; expected {md5}"
        )
    return IdxFile(path, shape, digest.hexdigest())


def _read(path: Path, stream: BinaryIO, length: int) -> bytes:
    try:
        return stream.read(_CHUNK)
    except EOFError:
        raise UserError(
            f"{path}: truncated, the gzip stream ends within its data; expected a whole file"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        reason = str(error)
        raise UserError(
            f"{path}: damaged gzip after {length} bytes ({reason}); expected a whole file"
        ) from None


@contextmanager
def _unpacked(path: Path) -> Iterator[BinaryIO]:
    """The file's content; gzip is told by its magic bytes, not by the name."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not packed:
            yield raw
            return
        with gzip.open(raw) as stream:
            yield cast(BinaryIO, stream)
