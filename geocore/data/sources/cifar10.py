"""CIFAR-10: 50,000 + 10,000 photographs of ten classes, 32 x 32 (Krizhevsky, 2009)."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from geocore.data.sources.base import Images, Rows, Source, gathered
from geocore.data.sources.download import download
from geocore.data.sources.parquet_images import ParquetImages
from geocore.errors import UserError
from geocore.runs.digest import digest_bytes

__all__ = ["CLASSES", "Cifar10", "open_cifar10"]

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_ARCHIVE, _MD5 = "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"
_ORIGIN = f"https://www.cs.toronto.edu/~kriz/{_ARCHIVE}"
_FILES = (*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin")
_PIXELS = 3 * 32 * 32  # of an image; its label stands before it


def open_cifar10(
    downloads: Path, home: Path | None, say: Callable[[str], None] = lambda line: None
) -> Source:
    """CIFAR-10 as it lies at hand, training images first; else downloaded.

    ``home/cifar10`` may hold Parquet files with images and labels (``train*.parquet``,
    ``test*.parquet``) or the authors' binary archive, ``downloads/cifar10`` the archive. Raises
    ``UserError`` for files that are missing or altered.
    """
    if home is not None and any((home / "cifar10").glob("*.parquet")):
        return ParquetImages(home / "cifar10")
    folders = [*([] if home is None else [home / "cifar10"]), downloads / "cifar10"]
    for folder in folders:
        if (folder / _ARCHIVE).is_file():
            return Cifar10(folder / _ARCHIVE)
    target = folders[-1] / _ARCHIVE
    failures = download([_ORIGIN], target, check=_check, say=say)
    if target.is_file():
        return Cifar10(target)
    looked = " nor ".join(str(folder) for folder in folders)
    unset = ", GEOCORE_DATA is not set" if home is None else ""
    raise UserError(
        f"cifar10: no {_ARCHIVE} in {looked}{unset}, and no download ({'; '.join(failures)}); "
        f"expected the file there: set GEOCORE_DATA to the folder that holds cifar10/"
    )


class Cifar10(Source):
    """The authors' archive: five files of training images, one of test images.

    A row is a byte of label and 3072 of red, green and blue planes. The archive is read as a whole,
    180 MB, and checked by ``md5`` (None: by its structure alone). Raises ``UserError`` for an
    archive that is altered or incomplete.
    """

    name = "cifar10"
    classes = CLASSES
    shape = (32, 32, 3)

    def __init__(self, archive: Path, md5: str | None = _MD5) -> None:
        if md5 is not None:
            _check(archive, md5)
        parts = _parts(archive)
        rows = np.concatenate(parts)
        self.labels = rows[:, 0].astype(np.int64)
        if len(wrong := np.flatnonzero(self.labels >= len(CLASSES))):
            found = self.labels[wrong[0]]
            raise UserError(f"{archive}: label {wrong[0]} is {found}; expected 0 to 9")
        self._planes = rows[:, 1:].reshape(-1, 3, 32, 32)
        counts = [sum(map(len, parts[:-1])), len(parts[-1])]
        self.splits = np.repeat(np.array((0, 2), np.uint8), counts)
        self.digest = digest_bytes(rows.tobytes())

    def images(self, rows: Rows, size: int) -> Iterator[Images]:
        return gathered((self._planes[row].transpose(1, 2, 0)[None] for row in rows), size)


def _parts(archive: Path) -> list[np.ndarray]:
    """Each file's rows ``(n, 3073)``, the test file's last."""
    found: dict[str, np.ndarray] = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                stream = tar.extractfile(member) if name in _FILES else None
                if stream is None:
                    continue
                data = np.frombuffer(stream.read(), np.uint8)
                if len(data) == 0 or len(data) % (1 + _PIXELS):
                    raise UserError(
                        f"{archive}: {name} has {len(data)} bytes; "
                        f"expected a multiple of {1 + _PIXELS}"
                    )
                found[name] = data.reshape(-1, 1 + _PIXELS)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{archive}: {error}; expected the archive of CIFAR-10") from None
    if lacking := [name for name in _FILES if name not in found]:
        raise UserError(f"{archive}: no {', '.join(lacking)}; expected {len(_FILES)} files")
    return [found[name] for name in _FILES]


def _check(archive: Path, md5: str = _MD5) -> None:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != md5:
        raise UserError(f"{archive}: its md5 is {found}; expected {md5}")
