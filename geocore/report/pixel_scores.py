"""What a network that answers pixel by pixel is judged by: scores by view and grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PIXEL_MEASURES", "PixelScores", "pixel_scores"]

# Of segmentation and of depth -> the name on a page.
PIXEL_MEASURES = {
    "miou": "mean IoU", "miou_without": "mean IoU without invalid classes",
    "rmse": "RMSE, metres", "absrel": "mean relative error", "silog": "SILog",
    "delta_1": "within a factor of 1.25", "chamfer": "Chamfer distance, metres",
    "accuracy": "pixel accuracy", "nll": "negative log-likelihood", "ece": "calibration error",
}  # fmt: skip
_GRIDS = {
    "plane": "in the image plane",
    "shared": "there, on pixels that the sphere's table has too",
    "sphere": "on the sphere",
}
_PREFIX = "evaluate.test."


@dataclass(frozen=True)
class PixelScores:
    """The test split's scores of one view on one grid, for some of ``PIXEL_MEASURES``."""

    view: str
    grid: str
    values: Mapping[str, float | None]


def pixel_scores(metrics: Mapping[str, float | None]) -> list[PixelScores]:
    """Those of all views together first, then of each, in the order of their names.

    From a pipeline's metrics by name, ``evaluate.test.VIEW.GRID.MEASURE``; empty where there are
    none. ``miou_without`` is left out where it is ``miou`` throughout.
    """
    found: dict[tuple[str, str], dict[str, float | None]] = {}
    for name, value in metrics.items():
        if not name.startswith(_PREFIX) or name.count(".") < 4:
            continue
        view, grid, measure = name.removeprefix(_PREFIX).rsplit(".", 2)
        if grid in _GRIDS and measure in PIXEL_MEASURES:
            found.setdefault((view, grid), {})[measure] = value
    if all(values.get("miou") == values.get("miou_without") for values in found.values()):
        for values in found.values():
            values.pop("miou_without", None)
    order = sorted(found, key=lambda place: (place[0] != "all", *place))
    return [PixelScores(view, _GRIDS[grid], found[view, grid]) for view, grid in order]
