"""A small canvas for charts on Pillow: equal drawings give equal bytes, on every machine.

Lengths are in points of the chart; a point is two pixels of the picture, drawn twice as fine
again and averaged. Pillow's own font is used, so no system font matters. Needs Pillow (``pip
install geocore[data]``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["INK", "Axis", "Canvas", "Frame", "Picture", "Point"]

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
Point = tuple[float, float]

_PIXELS, _OVERSAMPLING = 2, 2
INK: Colour = (45, 45, 50)
_GRID: Colour = (228, 228, 232)


class Canvas:
    """White paper of ``width`` times ``height`` points; y runs downwards."""

    def __init__(self, width: float, height: float) -> None:
        from PIL import Image, ImageDraw

        self._scale = _PIXELS * _OVERSAMPLING
        size = (round(width * self._scale), round(height * self._scale))
        self._image = Image.new("RGB", size, (255, 255, 255))
        self._pen = ImageDraw.Draw(self._image)
        self.width, self.height = width, height

    def picture(self) -> Picture:
        """The drawing, ``(2 height, 2 width, 3)``."""
        return np.asarray(self._image.reduce(_OVERSAMPLING))

    def rectangle(self, first: Point, second: Point, fill: Colour) -> None:
        """A filled rectangle between two opposite corners."""
        (left, right), (top, bottom) = (
            sorted(self._scaled(pair)) for pair in zip(first, second, strict=True)
        )
        self._pen.rectangle([left, top, max(left, right - 1), max(top, bottom - 1)], fill=fill)

    def line(
        self, points: Sequence[Point], colour: Colour, width: float = 1.0, dash: float = 0.0
    ) -> None:
        """A line through the points; with ``dash`` in strokes and gaps of that length."""
        runs = [points] if not dash else _dashes(points, dash)
        for run in runs:
            flat = [tuple(self._scaled(point)) for point in run]
            self._pen.line(flat, fill=colour, width=round(width * self._scale), joint="curve")

    def dot(self, centre: Point, radius: float, colour: Colour) -> None:
        """A filled circle."""
        x, y = self._scaled(centre)
        r = radius * self._scale
        self._pen.ellipse([x - r, y - r, x + r, y + r], fill=colour)

    def text(
        self,
        at: Point,
        words: str,
        size: float = 10.0,
        colour: Colour = INK,
        anchor: str = "mm",
        angle: float = 0.0,
    ) -> None:
        """Words at a point. ``anchor`` as in Pillow; with an ``angle`` (degrees, anticlockwise)
        the middle of the words' end, ``"rm"``, or the middle of the words, ``"mm"``.
        """
        font = self._font(size)
        if not angle:
            x, y = self._scaled(at)
            self._pen.text((x, y), words, colour, font, anchor)
            return
        from PIL import Image, ImageDraw

        _, _, width, height = (math.ceil(side) for side in font.getbbox(words, anchor="lt"))
        # Turned about the middle of a sheet that has room for it whichever way it lies.
        side = 2 * (width + height)
        sheet = Image.new("L", (side, side), 0)
        ImageDraw.Draw(sheet).text((side / 2, side / 2), words, 255, font, anchor)
        turned = sheet.rotate(angle, Image.Resampling.BICUBIC)
        x, y = self._scaled(at)
        corner = (round(x - side / 2), round(y - side / 2))
        self._image.paste(Image.new("RGB", (side, side), colour), corner, turned)

    def text_width(self, words: str, size: float = 10.0) -> float:
        """How wide the words are."""
        return float(self._font(size).getlength(words)) / self._scale

    def _font(self, size: float) -> Any:
        from PIL import ImageFont

        return ImageFont.load_default(size * self._scale)

    def _scaled(self, values: Sequence[float]) -> list[int]:
        return [round(value * self._scale) for value in values]


@dataclass(frozen=True)
class Axis:
    """From ``low`` to ``high``, by decades if ``log``; ``ticks`` are (value, words)."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]] = ()
    label: str = ""
    log: bool = False

    def part(self, value: float) -> float:
        """Where a value lies, 0 at ``low`` and 1 at ``high``."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, self.low))
        return (value - low) / (high - low)


@dataclass(frozen=True)
class Frame:
    """A chart's area on a canvas, its corners in points, with an axis each way."""

    canvas: Canvas
    left: float
    top: float
    right: float
    bottom: float
    x: Axis
    y: Axis

    def at(self, x: float, y: float) -> Point:
        """Where a pair of values lies on the canvas."""
        return (
            self.left + self.x.part(x) * (self.right - self.left),
            self.bottom - self.y.part(y) * (self.bottom - self.top),
        )

    def draw(self, *, slanted: bool = False) -> None:
        """Grid lines, ticks and labels; ``slanted`` words under the x axis."""
        for value, words in self.y.ticks:
            _, y = self.at(self.x.low, value)
            self.canvas.line([(self.left, y), (self.right, y)], _GRID, 0.8)
            self.canvas.text((self.left - 6, y), words, 9, anchor="rm")
        for value, words in self.x.ticks:
            x, _ = self.at(value, self.y.low)
            self.canvas.line([(x, self.bottom), (x, self.bottom + 3)], INK, 0.8)
            if slanted:
                self.canvas.text((x + 2, self.bottom + 8), words, 9, anchor="rm", angle=40)
            else:
                self.canvas.text((x, self.bottom + 6), words, 9, anchor="mt")
        self.canvas.line([(self.left, self.bottom), (self.right, self.bottom)], INK, 0.8)
        middle = (self.left + self.right) / 2
        self.canvas.text((middle, self.canvas.height - 12), self.x.label, 10)
        self.canvas.text((13, (self.top + self.bottom) / 2), self.y.label, 10, angle=90)


def _dashes(points: Sequence[Point], dash: float) -> list[list[Point]]:
    """Strokes of length ``dash`` along the points, as long gaps between them."""
    runs: list[list[Point]] = []
    for (x0, y0), (x1, y1) in pairwise(points):
        length = math.hypot(x1 - x0, y1 - y0)
        for start in np.arange(0.0, length, 2 * dash):
            ends = (start / length, min(start + dash, length) / length)
            runs.append([(x0 + t * (x1 - x0), y0 + t * (y1 - y0)) for t in ends])
    return runs
