"""Images and planes at another size, edges where they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from geocore.data.sources.base import Images

__all__ = ["area_mean", "containing"]


def area_mean(image: Images, height: int, width: int) -> Images:
    """Each new pixel is the mean of the old ones over its own area, parts of pixels as parts.

    ``(h, w, channels)`` -> ``(height, width, channels)``, rounded. Along each axis the mean over
    ``[a, b]`` is ``(S(b) - S(a)) / (b - a)`` with ``S`` the integral of the image from its edge.
    """
    if image.shape[:2] == (height, width):
        return image
    mean = _axis_mean(_axis_mean(image, height, 0), width, 1)
    return np.rint(mean).astype(np.uint8)


def containing(plane: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
    """The value of the old pixel that holds each new pixel's centre, ``(h, w)`` -> new size."""
    rows, columns = (
        (2 * np.arange(new, dtype=np.int64) + 1) * old // (2 * new)
        for new, old in ((height, plane.shape[0]), (width, plane.shape[1]))
    )
    return np.asarray(plane[rows[:, None], columns])


def _axis_mean(values: npt.NDArray[Any], size: int, axis: int) -> npt.NDArray[np.float64]:
    values = np.moveaxis(values, axis, 0)
    length = len(values)
    exact = np.int64 if values.dtype.kind in "iu" else np.float64
    total = np.zeros((length + 1, *values.shape[1:]), exact)
    np.cumsum(values, axis=0, out=total[1:])
    edges = np.arange(size + 1, dtype=np.int64) * length
    whole, part = edges // size, (edges % size) / size
    following = values[np.minimum(whole, length - 1)]
    integral = total[whole] + part.reshape(-1, *[1] * (values.ndim - 1)) * following
    return np.moveaxis(np.diff(integral, axis=0) * (size / length), 0, axis)
