"""Pictures of cells in rows, with words about each row's sample, heads above and a legend below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geocore.healpix.draw import Picture

__all__ = ["bar", "sheet"]

Row = tuple[str, Sequence[Picture]]

_INK, _SOFT, _PAPER = (45, 45, 50), (105, 105, 112), (255, 255, 255)
_GAP, _HEAD, _WORDS, _TEXT = 10, 30, 30, 15


def sheet(
    heads: Sequence[str], rows: Sequence[Row], legend: Mapping[str, Picture | tuple[int, int, int]]
) -> Picture:
    """Rows of pictures under their ``heads``; a row has words above it, if they are not empty.

    The pictures of one row are equally large, and all as wide. ``legend`` has words and a colour,
    or a picture of a scale. Needs Pillow (``pip install geocore[data]``).
    """
    from PIL import Image, ImageDraw, ImageFont

    columns, cell = len(heads), rows[0][1][0].shape[1]
    width = columns * (cell + _GAP) + _GAP
    font, small = ImageFont.load_default(_TEXT), ImageFont.load_default(_TEXT - 2)
    lines = _lines(legend, width - 2 * _GAP, small)
    tall = sum(pictures[0].shape[0] + _GAP + _WORDS * bool(words) for words, pictures in rows)
    image = Image.new("RGB", (width, _HEAD + tall + 26 * len(lines) + _GAP), _PAPER)
    pen = ImageDraw.Draw(image)
    for column, head in enumerate(heads):
        at = (_GAP + column * (cell + _GAP) + cell / 2, _HEAD / 2)
        pen.text(at, head, _INK, font, anchor="mm")
    top = _HEAD
    for words, pictures in rows:
        if words:
            pen.text((_GAP, top + _WORDS / 2), words, _SOFT, font, anchor="lm")
            top += _WORDS
        for column, picture in enumerate(pictures):
            image.paste(Image.fromarray(picture), (_GAP + column * (cell + _GAP), top))
        top += pictures[0].shape[0] + _GAP
    for number, line in enumerate(lines):
        y = top + 26 * number + 13
        for x, words, key in line:
            wide = _sample(image, pen, x, y, key)
            pen.text((x + wide + 6, y), words, _INK, small, anchor="lm")
    return np.asarray(image)


def bar(low: tuple[int, int, int], *others: tuple[int, int, int]) -> Picture:
    """A scale of colours from left to right, ``(14, 140, 3)``."""
    stops = np.array([low, *others], dtype=np.float64)
    places = np.linspace(0, len(stops) - 1, 140)
    line = np.stack(
        [np.interp(places, np.arange(len(stops)), stops[:, channel]) for channel in range(3)], -1
    )
    return np.broadcast_to(line.round().astype(np.uint8), (14, 140, 3)).copy()


def _sample(image: Any, pen: Any, x: float, y: float, key: Any) -> int:
    """Draw the sign that a legend's words explain; its width."""
    from PIL import Image

    if isinstance(key, np.ndarray):
        image.paste(Image.fromarray(key), (round(x), round(y - key.shape[0] / 2)))
        return int(key.shape[1])
    pen.rectangle([x, y - 7, x + 13, y + 6], fill=tuple(key), outline=_SOFT)
    return 14


def _lines(
    legend: Mapping[str, Any], width: float, font: Any
) -> list[list[tuple[float, str, Any]]]:
    """The entries of the legend in lines that fit: where each begins, its words, its sign."""
    lines: list[list[tuple[float, str, Any]]] = []
    x = width + 1.0
    for words, key in legend.items():
        wide = (key.shape[1] if isinstance(key, np.ndarray) else 14) + 6 + font.getlength(words)
        if x + wide > width:
            lines.append([])
            x = float(_GAP)
        lines[-1].append((x, words, key))
        x += wide + 22
    return lines
