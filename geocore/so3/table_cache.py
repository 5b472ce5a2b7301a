"""Tables of Wigner's small d on disk: what is slow to build is built once for all processes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from geocore.errors import UserError
from geocore.runs.atomic import replacing

__all__ = ["cache_folder", "cached_table"]

# Reading and checking a file only beats the recursion where that has left the processor's caches:
# measured at bandlimit 48 0.34 s either way, at 64 (256 MiB) 0.75 s against 1.5 s.
WORTH_KEEPING = 2**24
_DIGEST = hashlib.sha256().digest_size
_FORMAT = "wigner-table-1"  # another recursion, another name


def cached_table(
    beta: Tensor, shape: tuple[int, ...], build: Callable[[], Tensor], least: int = WORTH_KEEPING
) -> Tensor:
    """``build()``, or the same numbers from disk if the table has ``least`` of them or more.

    A file is the SHA-256 of the key and the numbers, then the numbers, float64. The key holds
    shape, colatitudes bit by bit and torch's version. A file that is damaged, cut off or another
    table's is built again and replaced. Files appear whole, by renaming, so processes may race. A
    folder that cannot be read or written only means that there is no cache. Where
    derivatives in ``beta`` are asked for there is none.
    """
    if int(np.prod(shape)) < least or beta.requires_grad:
        return build()
    key = _key(beta, shape)
    folder = cache_folder()
    path = None if folder is None else folder / f"wigner-{key.hex()[:32]}.f64"
    if path is not None and (found := _read(path, key, shape)) is not None:
        return found
    table = build()
    if path is not None:
        # Full or read-only: what was asked for is the table, and it is there.
        with suppress(OSError, UserError):
            _write(path, key, table)
    return table


def cache_folder() -> Path | None:
    """``$GEOCORE_CACHE``, else ``geocore`` in ``$XDG_CACHE_HOME``, else ``~/.cache/geocore``.

    None where there is no home.
    """
    if named := os.environ.get("GEOCORE_CACHE"):
        return Path(named)
    if (shared := os.environ.get("XDG_CACHE_HOME")) and Path(shared).is_absolute():
        return Path(shared) / "geocore"
    try:
        return Path.home() / ".cache" / "geocore"
    except RuntimeError:
        return None


def _key(beta: Tensor, shape: tuple[int, ...]) -> bytes:
    angles = beta.detach().cpu().to(torch.float64).contiguous().numpy().astype("<f8")
    about = f"{_FORMAT} {shape} torch {torch.__version__} "
    return hashlib.sha256(about.encode() + angles.tobytes()).digest()


def _read(path: Path, key: bytes, shape: tuple[int, ...]) -> Tensor | None:
    size = _DIGEST + 8 * int(np.prod(shape))
    try:
        # The size first: a foreign file may be of any length.
        if not path.is_file() or path.stat().st_size != size:
            return None
        raw = np.fromfile(path, dtype=np.uint8)
    except OSError:
        return None
    if raw.size != size or raw[:_DIGEST].tobytes() != _digest(key, raw[_DIGEST:]):
        return None
    return torch.from_numpy(raw[_DIGEST:].view("<f8")).view(shape)


def _write(path: Path, key: bytes, table: Tensor) -> None:
    numbers = table.contiguous().numpy().astype("<f8", copy=False).reshape(-1).view(np.uint8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(_digest(key, numbers))
        file.write(numbers.data)


def _digest(key: bytes, numbers: np.ndarray) -> bytes:
    digest = hashlib.sha256(key)
    digest.update(numbers.data)
    return digest.digest()
