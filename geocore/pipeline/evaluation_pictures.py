"""Pictures of an evaluation: confusion, reliability, error by layer, the least certain samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from geocore.data.table import Table
from geocore.healpix.draw import Picture, mollweide, montage, orthographic, write_png
from geocore.measure.calibration import Reliability
from geocore.measure.uncertainty import entropy
from geocore.pipeline.drawn_pixels import DrawnPixels
from geocore.pipeline.predictions import Predictions
from geocore.pipeline.symmetry_errors import SymmetryErrors
from geocore.report.charts import Curve, confusion_chart, layer_chart, reliability_chart
from geocore.so3.rotation import quaternion_to_matrix

__all__ = ["draw", "layers_picture"]

_SHOWN, _COLUMNS = 10, 5
_DISC_SIZE, _MOLLWEIDE_WIDTH = 280, 360
_GROUPS: tuple[tuple[Literal["quarter_turn", "z", "so3"], str], ...] = (
    ("quarter_turn", "90° about z"), ("z", "sampled about z"), ("so3", "sampled in SO(3)")
)  # fmt: skip


def draw(
    folder: Path,
    table: Table,
    classes: Sequence[str],
    found: Predictions,
    reliability: Reliability,
    errors: SymmetryErrors,
) -> None:
    """Write the pictures of the test split into ``folder``. Equal results give equal bytes."""
    on = f"{len(found.labels):,} test samples"
    accuracy = found.headline()["accuracy"]
    pictures = {
        "confusion": confusion_chart(
            found.confusion(), classes, f"Confusion on {on}, accuracy {accuracy:.3f}"
        ),
        "reliability": reliability_chart(
            reliability, f"Reliability on {on}, calibration error {reliability.error:.3f}"
        ),
        "equivariance": layers_picture(errors),
        "uncertain": _uncertain(table, classes, found),
    }
    for name, picture in pictures.items():
        write_png(folder / f"{name}.png", picture)


def layers_picture(errors: SymmetryErrors) -> Picture:
    """The mean errors by layer, a curve a group, with the interpolation's own dashed."""
    curves: list[Curve] = []
    for dashed in (False, True):
        for colour, (group, words) in enumerate(_GROUPS):
            summary = errors.summary(group)
            values = [row.get("floor" if dashed else "mean") for row in summary.values()]
            if group != "quarter_turn" and not dashed:
                values[0] = None  # the input against itself is 0 by its definition
            if any(value is not None for value in values):
                name = f"interpolation, {words.removeprefix('sampled ')}" if dashed else words
                curves.append(Curve(name, values, colour, dashed))
    title = f"Equivariance error by layer, mean over {len(errors.samples):,} test samples"
    label = "||f(Rx) - R f(x)|| / ||R f(x)||"
    return layer_chart(errors.layers, curves, title, label)


def _uncertain(table: Table, classes: Sequence[str], found: Predictions) -> Picture:
    """The samples of the largest entropy, each seen along its camera's axis."""
    spread = entropy(found.probabilities)
    places = spread.argsort(descending=True, stable=True)[:_SHOWN]
    captions = []
    for place in places.tolist():
        actual, taken = int(found.labels[place]), int(found.predicted[place])
        share = f"{float(found.probabilities[place, taken]):.0%}"
        wrong = f"{classes[actual]} taken for {classes[taken]}"
        right = f"{classes[actual]} recognised"
        captions.append(f"{right if actual == taken else wrong}, {share}")
    rows = table.rows_of("test")[places.numpy()]
    return montage(_maps(table, rows), captions, _COLUMNS)


def _maps(table: Table, rows: npt.NDArray[np.int64]) -> list[Picture]:
    kind = table.info.type
    pixels = DrawnPixels.of(kind)
    images = table.images(rows).double() / (255.0 if kind.dtype == "uint8" else 1.0)
    images = images.reshape(len(images), kind.pixels, -1)
    valid = table.valid(rows) if "valid" in table.columns else [None] * len(images)
    bounded = kind.dtype == "uint8" or table.info.normaliser == 255.0
    limits = (0.0, 1.0) if bounded else None
    if "rotation" in table.columns:
        quaternions = torch.from_numpy(table.column("rotation")[rows])
        axes = quaternion_to_matrix(quaternions)[..., 2]
        theta = torch.rad2deg(torch.acos(axes[:, 2].clamp(-1, 1))).tolist()
        phi = torch.rad2deg(torch.atan2(axes[:, 1], axes[:, 0])).tolist()
        seen = {
            (a, b): orthographic(pixels.nside, colatitude=a, longitude=b, size=_DISC_SIZE)
            for a, b in set(zip(theta, phi, strict=True))
        }
        views = [seen[direction] for direction in zip(theta, phi, strict=True)]
    else:
        views = [mollweide(pixels.nside, width=_MOLLWEIDE_WIDTH)] * len(images)
    return [
        view.paint(
            pixels.take(image if kind.channels == 3 else image[:, :1]),
            pixels.faces,
            pixels.ordering,
            None if known is None else pixels.take(known),
            limits,
        )
        for view, image, known in zip(views, images, valid, strict=True)
    ]
