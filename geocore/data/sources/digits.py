"""The 1,797 handwritten digits, 8 x 8, that ship inside scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from geocore.data.sources.base import Images, Rows, Source, gathered
from geocore.errors import UserError
from geocore.runs.digest import digest_bytes

__all__ = ["Digits"]


class Digits(Source):
    """``load_digits`` with its levels 0..16 spread over 0..255: ``round(v * 255 / 16)``.

    The test set of Optical Recognition of Handwritten Digits (Alpaydin & Kaynak, 1998); it has no
    splits of its own.
    """

    name = "digits"
    classes = tuple("0123456789")
    shape = (8, 8, 1)
    splits = None

    def __init__(self) -> None:
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            raise UserError(
                "data.source digits ships inside scikit-learn, which is not installed; "
                "expected it: pip install scikit-learn"
            ) from None
        values, labels = load_digits(return_X_y=True)
        self.labels = labels.astype(np.int64)
        self._images = np.rint(values * (255 / 16)).astype(np.uint8).reshape(-1, *self.shape)
        self.digest = digest_bytes(self._images.tobytes() + self.labels.astype("<i8").tobytes())

    def images(self, rows: Rows, size: int) -> Iterator[Images]:
        return gathered([self._images[rows]], size)
