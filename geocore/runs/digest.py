"""Digests of bytes, files, JSON values and folders: BLAKE2b with 128 bits, 32 hex characters.

128 bits are plenty against chance (2^64 pieces for an even bet on one collision); they are not
meant against somebody who forges files.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from geocore.runs.canonical import canonical_json

__all__ = [
    "DIGEST_LENGTH",
    "digest_bytes",
    "digest_file",
    "digest_json",
    "digest_path",
    "digest_tree",
]

DIGEST_LENGTH = 32


def _blake() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=DIGEST_LENGTH // 2)


def digest_bytes(data: bytes) -> str:
    """BLAKE2b-128 of ``data``, in hex."""
    blake = _blake()
    blake.update(data)
    return blake.hexdigest()


def digest_file(path: Path) -> str:
    """``digest_bytes`` of the file's content, streamed: memory stays flat whatever its size."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, _blake).hexdigest()


def digest_json(value: Any) -> str:
    """Digest of the value's canonical JSON: equal values, equal digests, in whatever key order.

    Raises ``ValueError`` for NaN and infinities, ``TypeError`` for what JSON does not hold.
    """
    return digest_bytes(canonical_json(value).encode("utf-8", "surrogatepass"))


def digest_tree(folder: Path) -> str:
    """Digest of the folder's files: their relative names and contents.

    Links are followed (a cache may have linked the files in); empty folders, modes and times do
    not count, since no version control brings them back. Raises ``NotADirectoryError``.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    files = {
        path.relative_to(folder).as_posix(): digest_file(path)
        for parent, _, names in os.walk(folder, followlinks=True)
        for path in (Path(parent, name) for name in names)
    }
    return digest_json(files)


def digest_path(path: Path) -> str:
    """``digest_tree`` of a folder, ``digest_file`` of a file."""
    return digest_tree(path) if Path(path).is_dir() else digest_file(path)
