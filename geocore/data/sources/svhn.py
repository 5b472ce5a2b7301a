"""SVHN: 73,257 + 26,032 house-number digits of street views, 32 x 32 (Netzer et al., 2011).

The cropped digits ("format 2"), whose neighbours stand at the sides, and 531,131 easier ones more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from geocore.data.sources.base import Images, Rows, Source, gathered
from geocore.data.sources.download import download
from geocore.errors import UserError
from geocore.runs.digest import digest_json

__all__ = ["MD5", "Svhn", "open_svhn"]

MD5: Mapping[str, str] = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
    "extra_32x32.mat": "a93ce644f1a588dc4d68dda5feec44a7",
}
_ORIGIN = "http://ufldl.stanford.edu/housenumbers/"
_CODES = {"train": 0, "extra": 0, "test": 2}
_SIDE = 32


def open_svhn(
    downloads: Path,
    home: Path | None,
    say: Callable[[str], None] = lambda line: None,
    *,
    extra: bool = False,
) -> Source:
    """SVHN's training and test images; with ``extra`` the easier ones between them.

    Each file is looked for in ``home/svhn``, then in ``downloads/svhn``, and downloaded to the
    latter if it is in neither (182, 64 and 1,330 MB). Raises ``UserError`` for files that are
    missing or altered.
    """
    parts = [part for part in _CODES if extra or part != "extra"]
    return Svhn([_find(f"{part}_32x32.mat", downloads, home, say) for part in parts])


class Svhn(Source):
    """``files`` of the authors, ``NAME_32x32.mat`` with ``train``, ``extra`` or ``test`` for NAME.

    A MATLAB 5 file holds ``X (32, 32, 3, n)`` uint8 and ``y (n, 1)`` with 1 to 9 for these digits
    and 10 for 0; its images are held, 3 KB each. Reading one runs nothing that is in it. ``md5``
    are the files' checksums by name (None: they are checked by structure alone). ``train`` and
    ``extra`` are official training images, ``test`` test images. Raises ``UserError`` for a file
    that is altered, truncated or laid out otherwise.
    """

    name = "svhn"
    classes = tuple("0123456789")
    shape = (_SIDE, _SIDE, 3)

    def __init__(self, files: list[Path], md5: Mapping[str, str] | None = MD5) -> None:
        digests = [_digest(path) for path in files]
        for path, found in zip(files, digests, strict=True):
            if md5 is not None:
                _require(path, found, md5[path.name])
        parts = [_read(path) for path in files]
        self._planes = [planes for planes, _ in parts]
        self.labels = np.concatenate([labels for _, labels in parts])
        counts = [len(planes) for planes in self._planes]
        codes = [_CODES[path.name.removesuffix("_32x32.mat")] for path in files]
        self.splits = np.repeat(np.array(codes, np.uint8), counts)
        self._starts = np.cumsum([0, *counts])
        self.digest = digest_json(digests)

    def images(self, rows: Rows, size: int) -> Iterator[Images]:
        return gathered(self._pieces(rows), size)

    def _pieces(self, rows: Rows) -> Iterator[Images]:
        for start, planes in zip(self._starts, self._planes, strict=False):
            inside = rows[(rows >= start) & (rows < start + len(planes))] - start
            for some in range(0, len(inside), 1024):
                # (n, channels, columns, rows), as MATLAB has them in memory.
                yield planes[inside[some : some + 1024]].transpose(0, 3, 2, 1)


def _read(path: Path) -> tuple[Images, Rows]:
    """``(n, 3, 32, 32)`` channels, columns, rows, and the digits ``(n,)``."""
    try:
        from scipy.io import loadmat
    except ImportError:
        raise UserError(
            "data.source svhn is read with scipy, which is not installed; "
            "expected it: pip install scipy"
        ) from None
    try:
        held = loadmat(path, variable_names=("X", "y"))
    except Exception as error:  # a reader meets damage with whatever it then stumbles over
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise UserError(f"{path}: broken ({reason}); expected a MATLAB 5 file") from None
    for name, wanted in (("X", f"({_SIDE}, {_SIDE}, 3, n) of uint8"), ("y", "(n, 1) of digits")):
        if name not in held:
            raise UserError(f"{path}: holds no {name}; expected {name} {wanted}")
    images, answers = held["X"], held["y"]
    if images.ndim != 4 or images.shape[:3] != (_SIDE, _SIDE, 3) or images.dtype != np.uint8:
        raise UserError(
            f"{path}: X is {images.shape} of {images.dtype}; "
            f"expected ({_SIDE}, {_SIDE}, 3, n) of uint8"
        )
    count = images.shape[3]
    if answers.shape != (count, 1) or answers.dtype.kind not in "iuf":
        raise UserError(
            f"{path}: y is {answers.shape} of {answers.dtype}; "
            f"expected ({count}, 1), a digit for each image of X"
        )
    wrong = np.flatnonzero(~np.isin(answers, np.arange(1, 11)))
    if len(wrong):
        raise UserError(
            f"{path}: label {wrong[0]} is {answers.flat[wrong[0]]}; expected 1 to 9, or 10 for 0"
        )
    return images.T, answers[:, 0].astype(np.int64) % 10


def _find(name: str, downloads: Path, home: Path | None, say: Callable[[str], None]) -> Path:
    folders = [*([] if home is None else [home / "svhn"]), downloads / "svhn"]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    target = folders[-1] / name

    def check(path: Path) -> None:
        _require(path, _digest(path), MD5[name])

    failures = download([f"{_ORIGIN}{name}"], target, check=check, say=say)
    if target.is_file():
        return target
    looked = " nor ".join(str(folder) for folder in folders)
    unset = ", GEOCORE_DATA is not set" if home is None else ""
    raise UserError(
        f"svhn: no {name} in {looked}{unset}, and no download ({'; '.join(failures)}); "
        f"expected the file there: set GEOCORE_DATA to the folder that holds svhn/"
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _require(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise UserError(f"{path}: its md5 is {found}; expected {expected}")
