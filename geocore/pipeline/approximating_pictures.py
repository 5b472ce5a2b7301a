"""Pictures of ensembles beside a posterior: figures over groups of inputs, maps of entropy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geocore.healpix.draw import write_png
from geocore.pipeline.approximating_mixtures import Mixed
from geocore.report.axes import Scale
from geocore.report.canvas import INK, Axis, Canvas, Frame, Picture
from geocore.report.charts import COLOURS

__all__ = ["Curve", "draw_groups", "draw_maps"]

_COLOURS = (*COLOURS, (86, 180, 233), (120, 94, 240))  # series beyond them begin anew
_WIDTH, _LEFT, _HEIGHT = 640.0, 64.0, 260.0  # points
_ROW, _COLUMNS = 18.0, 3  # of the legend
_SIDE = 180  # pixels of a map's longer side, at least
_DARK, _MIDDLE, _BRIGHT = (13, 8, 60), (200, 60, 90), (255, 245, 180)


@dataclass(frozen=True)
class Curve:
    """``points[group]`` is a mean and a standard deviation, of those groups where there is one."""

    name: str
    points: Mapping[str, tuple[float, float]]
    dashed: bool = False


def draw_groups(path: Path, groups: Sequence[str], curves: Sequence[Curve], upwards: str) -> None:
    """A mark for each curve and group, in the order of ``groups``; bars are deviations."""
    rows = math.ceil(len(curves) / _COLUMNS)
    slanted = len(groups) > 8
    top = 20 + _ROW * rows
    bottom = top + _HEIGHT
    canvas = Canvas(_WIDTH, bottom + (110 if slanted else 44))
    ends = [m + sign * sd for c in curves for m, sd in c.points.values() for sign in (-1, 1)]
    scale = Scale.roomy(ends, bottom, top)
    # The scale gives points of the canvas already; the frame draws its ticks there.
    upward = Axis(bottom, top, [(tick.at, tick.label) for tick in scale.ticks()], upwards)
    names = [(float(place), name.replace("_", " ")) for place, name in enumerate(groups)]
    along = Axis(-0.4, len(groups) - 0.6, names)
    frame = Frame(canvas, _LEFT, top, _WIDTH - 24, bottom, along, upward)
    frame.draw(slanted=slanted)
    colours = iter(_COLOURS * len(curves))
    for number, curve in enumerate(curves):
        colour = INK if curve.dashed else next(colours)
        dash = 4.0 if curve.dashed else 0.0
        row, column = divmod(number, _COLUMNS)
        x, y = _LEFT + column * 190, 14 + _ROW * row
        canvas.line([(x, y), (x + 22, y)], colour, 1.8, dash)
        canvas.text((x + 28, y), curve.name.replace("none", "deep ensemble"), 9.5, anchor="lm")
        marks = []
        for place, group in enumerate(groups):
            if group not in curve.points:
                continue
            mean, deviation = curve.points[group]
            at = frame.at(place, scale.at(mean))
            low, high = (frame.at(place, scale.at(mean + sign * deviation))[1] for sign in (-1, 1))
            canvas.line([(at[0], low), (at[0], high)], colour, 1.0)
            canvas.dot(at, 2.6, colour)
            marks.append(at)
        if len(marks) > 1:
            canvas.line(marks, colour, 1.6, dash)
    write_png(path, canvas.picture())


def draw_maps(path: Path, maps: Mapping[str, Mixed], shape: tuple[int, int]) -> None:
    """Entropy (above) and mutual information (below) of each on the lattice of that shape.

    From dark, 0, to bright, ``log 2``, the same in all.
    """
    zoom = max(1, math.ceil(_SIDE / max(shape)))
    height, width = (zoom * side for side in shape)
    gap, head, foot = 12, 26, 20
    canvas = Canvas((len(maps) * (width + gap) + gap) / 2, (2 * (height + gap) + head + foot) / 2)
    for place, name in enumerate(maps):
        middle = (gap + place * (width + gap) + width / 2) / 2
        canvas.text((middle, head / 4), name.replace("none", "deep ensemble"), 8)
    told = "above: entropy, below: mutual information, from 0 (dark) to log 2"
    canvas.text((canvas.width / 2, canvas.height - foot / 4 - 2), told, 7)
    sheet = canvas.picture().copy()
    for place, mixed in enumerate(maps.values()):
        left = gap + place * (width + gap)
        for row, values in enumerate((mixed.entropy, mixed.mutual_information)):
            top = head + row * (height + gap)
            picture = _coloured(values.view(shape).numpy() / math.log(2))
            enlarged = picture.repeat(zoom, axis=0).repeat(zoom, axis=1)
            sheet[top : top + height, left : left + width] = enlarged
    write_png(path, sheet)


def _coloured(part: np.ndarray) -> Picture:
    """Values from 0 to 1 as colours, by way of a middle one."""
    stops = np.array([_DARK, _MIDDLE, _BRIGHT], float)
    at = np.clip(part, 0, 1)
    channels = [np.interp(at, (0, 0.5, 1), stops[:, channel]) for channel in range(3)]
    picture: Picture = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return picture
