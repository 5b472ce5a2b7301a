"""Pictures of a dense evaluation: samples done well, middling and badly, and charts of scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from geocore.healpix.draw import Picture, View, colours, write_png
from geocore.pipeline.companions import SHARES
from geocore.pipeline.dense_cells import OFF, Cells, Viewpoint, depth_limits
from geocore.pipeline.dense_grids import Grid
from geocore.pipeline.dense_sheet import bar, sheet
from geocore.pipeline.dense_tally import ALL, DepthTally, Panel, SegmentationTally, Shown, Tally
from geocore.pipeline.depth_scores import RANGES
from geocore.pipeline.evaluation_pictures import layers_picture
from geocore.pipeline.palette import class_colours
from geocore.pipeline.symmetry_errors import SymmetryErrors
from geocore.report.bar_chart import bar_chart
from geocore.report.charts import confusion_chart, kept_chart, reliability_chart
from geocore.so3.rotation import quaternion_to_matrix

__all__ = ["draw"]

_GRIDS = {"plane": "in the image plane", "sphere": "on the sphere"}
_CLOUD, _POINTS = 320, 3000  # pixels of a picture from above, points of each cloud on it
_TRUE, _PREDICTED = (0, 114, 178), (213, 94, 0)


def draw(folder: Path, tally: Tally, errors: SymmetryErrors, shown: Sequence[Shown]) -> None:
    """Write the pictures of the test split into ``folder``. Equal results give equal bytes.

    A sheet of samples for each view, named as it is (``samples`` where there are none), and
    charts; of equivariance only where there are ``errors``.
    """
    viewpoint = _viewpoint(shown)
    if isinstance(tally, SegmentationTally):
        pictures = {**_label_sheets(tally, shown, viewpoint), **_label_charts(tally)}
    elif isinstance(tally, DepthTally):
        pictures = {**_depth_sheets(tally, shown, viewpoint), **_depth_charts(tally)}
    if errors.layers:
        pictures["equivariance"] = layers_picture(errors)
    for name, picture in pictures.items():
        write_png(folder / f"{name}.png", picture)


def _viewpoint(shown: Sequence[Shown]) -> Viewpoint:
    if not shown:
        return Viewpoint(90.0, 0.0)
    return Viewpoint.of(shown[0].panels[0].split.rotations)


def _by_view(shown: Sequence[Shown]) -> dict[str, list[Shown]]:
    found: dict[str, list[Shown]] = {}
    for sample in shown:
        found.setdefault("samples" if sample.view == ALL else sample.view, []).append(sample)
    return found


def _label_sheets(
    tally: SegmentationTally, shown: Sequence[Shown], viewpoint: Viewpoint
) -> dict[str, Picture]:
    colour = 255 * class_colours(tally.kinds)
    legend: dict[str, Picture | tuple[int, int, int]] = {
        name: _rgb(row) for name, row in zip(tally.kinds, colour.tolist(), strict=True)
    }
    legend |= {"right": (236, 236, 238), "wrong": (213, 94, 0), "does not count": (205, 205, 205)}
    sheets, views = {}, dict[int, View]()
    for name, samples in _by_view(shown).items():
        rows = [
            (_words(tally, sample, number), Cells(panel, viewpoint, views).of_labels(colour))
            for sample in samples
            for number, panel in enumerate(_plane_first(sample))
        ]
        sheets[name] = sheet(("input", "label", "prediction", "error"), rows, legend)
    return sheets


def _depth_sheets(
    tally: DepthTally, shown: Sequence[Shown], viewpoint: Viewpoint
) -> dict[str, Picture]:
    limits = depth_limits([panel for sample in shown for panel in sample.panels])
    stops = [_rgb(row) for row in colours(torch.linspace(0, 1, 17)).tolist()]
    legend: dict[str, Picture | tuple[int, int, int]] = {
        f"{limits[0]:.3g} to {limits[1]:.3g} m, logarithmic": bar(*stops),
        f"0 to {OFF:.0%} of the depth off": bar(*stops),
        "no depth": (205, 205, 205),
    }
    sheets, views = {}, dict[int, View]()
    for name, samples in _by_view(shown).items():
        rows = [
            (_words(tally, sample, number), Cells(panel, viewpoint, views).of_depths(limits))
            for sample in samples
            for number, panel in enumerate(_plane_first(sample))
        ]
        sheets[name] = sheet(("input", "depth", "prediction", "relative error"), rows, legend)
    if shown:
        sheets["clouds"] = _clouds(tally, shown, viewpoint)
    return sheets


def _plane_first(sample: Shown) -> list[Panel]:
    panels = [panel for panel in sample.panels if panel.grid != "shared"]
    return sorted(panels, key=lambda panel: panel.grid)


def _words(tally: Tally, sample: Shown, number: int) -> str:
    """About a sample, above the first of its rows."""
    if number:
        return ""
    told = [
        f"{_score(tally, sample, panel)} {_GRIDS[panel.grid]}" for panel in _plane_first(sample)
    ]
    return f"sample {sample.sample}: {', '.join(told)}"


def _score(tally: Tally, sample: Shown, panel: Panel) -> str:
    own = next(
        row[tally.better]
        for row in tally.rows
        if (row["sample"], row["split"], row["grid"]) == (sample.sample, "test", panel.grid)
    )
    if own is None:
        return "nothing known"
    return f"mean IoU {own:.3f}" if tally.better == "miou" else f"RMSE {own:.2f} m"


def _label_charts(tally: SegmentationTally) -> dict[str, Picture]:
    summary = tally.tested().summary()
    grid = _GRIDS[tally.grids[0]]
    groups = {}
    for view in _told_apart(tally):
        for place in _places(tally):
            found = tally.found["test"][view][place].summary()
            name = ", ".join(filter(None, ["" if view == ALL else view, place]))
            groups[name] = [found["miou"], *found["iou"].values()]
    counts = tally.tested().counts.confusion
    shares = (100 * counts.double() / counts.sum(dim=1, keepdim=True).clamp(min=1)).round().long()
    return {
        "iou": bar_chart(
            ["mean", *tally.kinds], groups, "Intersection over union by class", "IoU", most=1.0
        ),
        "confusion": confusion_chart(
            shares, tally.kinds, f"Percent of each class's pixels, {grid}"
        ),
        "reliability": reliability_chart(
            tally.reliability(),
            f"Reliability of pixels, calibration error {_figure(summary['ece'])}",
            unit="pixels",
        ),
        **_kept_chart(tally, "Accuracy of the surest pixels", "the least entropy first"),
    }


def _depth_charts(tally: DepthTally) -> dict[str, Picture]:
    summary = tally.tested().summary()
    groups = {
        ", ".join(filter(None, ["" if view == ALL else view, place])): [
            entry["absrel"]
            for entry in tally.found["test"][view][place].summary()["by_range"].values()
        ]
        for view in _told_apart(tally)
        for place in _places(tally)
    }
    counts = tally.tested().counts.confusion
    shares = (100 * counts.double() / counts.sum(dim=1, keepdim=True).clamp(min=1)).round().long()
    names = [name.replace("_", " ").removesuffix("m") + " m" for name in RANGES]
    there = [
        place for place in range(len(names)) if any(v[place] is not None for v in groups.values())
    ] or [0]
    groups = {name: [values[place] for place in there] for name, values in groups.items()}
    return {
        "ranges": bar_chart(
            [names[place] for place in there],
            groups,
            "Relative error by depth",
            "mean of |p - t| / t",
        ),
        "confusion": confusion_chart(shares, names, "Percent of each range's pixels"),
        "reliability": reliability_chart(
            tally.reliability(),
            f"Central intervals, calibration error {_figure(summary['ece'])}",
            unit="pixels",
            across="probability of the interval",
            upwards="share of depths within",
        ),
        **_kept_chart(tally, "Depths within 25 % among the surest", "the least uncertain first"),
    }


def _kept_chart(tally: Tally, title: str, order: str) -> dict[str, Picture]:
    curves = {name: found["accuracy"] for name, found in tally.kept().items()}
    curves = {name: values for name, values in curves.items() if np.isfinite(values).all()}
    if not curves:
        return {}
    label = f"share of pixels kept, {order}"
    return {"kept": kept_chart(SHARES.tolist(), curves, title, label)}


def _told_apart(tally: Tally) -> list[str]:
    """The views, without ``all`` where there are several."""
    return tally.views if len(tally.views) == 1 else tally.views[1:]


def _places(tally: Tally) -> list[Grid]:
    return [grid for grid in tally.grids if grid != "shared"]


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _clouds(tally: DepthTally, shown: Sequence[Shown], viewpoint: Viewpoint) -> Picture:
    """The point clouds of the samples from above, a row a view."""
    rows = []
    for name, samples in _by_view(shown).items():
        errors = ", ".join(_score(tally, sample, sample.panels[0]) for sample in samples)
        seen = [_from_above(tally, sample.panels[0], viewpoint) for sample in samples]
        rows.append((f"{name}, seen from above: {errors}", seen))
    most = max(len(pictures) for _, pictures in rows)
    heads = ("done well", "middling", "badly") if most == 3 else ("",) * most
    return sheet(heads, rows, {"true": _TRUE, "predicted": _PREDICTED})


def _from_above(tally: DepthTally, panel: Panel, viewpoint: Viewpoint) -> Picture:
    """The true and the predicted points around the camera; ahead is up, the rings are thirds."""
    from PIL import Image, ImageDraw, ImageFont

    counted = ((panel.targets > 0) & panel.known).nonzero()[:, 0]
    counted = counted[:: max(1, len(counted) // _POINTS)]
    directions = tally.directions[panel.split.place][counted].double()
    if panel.split.place == "plane":  # to the sphere's frame, as the others
        rotation = panel.split.rotations[panel.position].double()
        directions = directions @ quaternion_to_matrix(rotation).T
    flat = (directions @ viewpoint.frame.T)[:, [0, 2]]
    true, found = panel.targets[counted].double(), panel.values[counted, 0].double()
    far = flat.norm(dim=1) * true
    reach = max(float(torch.quantile(far, 0.9)), 1.0) if len(far) else 1.0
    fine, scale = 2 * _CLOUD, 1.5 * _CLOUD / reach
    image = Image.new("RGB", (fine, fine), (250, 250, 251))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(22)
    x, y = fine / 2, 0.8 * fine
    for part in (1 / 3, 2 / 3, 1):
        r = part * reach * scale
        pen.ellipse([x - r, y - r, x + r, y + r], outline=(215, 215, 222), width=2)
    for metres, colour in ((found, _PREDICTED), (true, _TRUE)):
        for across, ahead in (flat * metres[:, None] * scale).tolist():
            at = (x + across, y - ahead)
            pen.ellipse([at[0] - 2, at[1] - 2, at[0] + 2, at[1] + 2], fill=colour)
    for part in (1 / 3, 2 / 3, 1):
        at = (x + 6, y - part * reach * scale + 4)
        pen.text(
            at, f"{part * reach:.0f} m", (90, 90, 96), font, stroke_width=3, stroke_fill="white"
        )
    return np.asarray(image.reduce(2))


def _rgb(values: Sequence[float]) -> tuple[int, int, int]:
    r, g, b = (round(value) for value in values)
    return r, g, b
