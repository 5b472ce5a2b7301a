"""What ``lyapunov`` writes of the circle: figures by depth and width, their laws, pictures."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from geocore.config.lyapunov import CircleLyapunov
from geocore.explain.circle import RADIUS, CircleFigures
from geocore.healpix.draw import write_png
from geocore.pipeline.lyapunov_circle import CircleNetwork, network_figures, ridges_of
from geocore.pipeline.lyapunov_linear import LinearLaw
from geocore.report.field_chart import Panel, field_chart
from geocore.report.line_chart import Mark, line_chart

__all__ = ["CircleResults"]

_FIGURES = [each.name for each in fields(CircleNetwork)]
_STROKES = 140  # of a panel, at most
_STROKE = 0.05  # half of its length, the square being 2 wide


@dataclass
class CircleResults:
    """Networks by ``(depth, width)``, each of all seeds, and the law of linear ones by width."""

    params: CircleLyapunov
    networks: dict[tuple[int, int], list[CircleNetwork]] = field(default_factory=dict)
    deepest: dict[int, CircleFigures] = field(default_factory=dict)
    linear: dict[int, LinearLaw] = field(default_factory=dict)

    def add(self, depth: int, width: int, figures: CircleFigures) -> None:
        """Of the deepest ones the fields are kept, for pictures."""
        count = len(figures.ridge)
        self.networks[depth, width] = [network_figures(figures, place) for place in range(count)]
        if depth == self.params.depths[-1]:
            self.deepest[width] = figures

    def document(self) -> dict[str, Any]:
        """What ``metrics.json`` holds.

        ``judged``: the figures that have a bound, of the deepest and narrowest networks.
        ``networks`` by depth and width: mean and standard deviation of each figure over networks.
        ``rise`` by width: the slope of the mean contrast against depth, a layer. ``linear``.
        """
        depths, widths = self.params.depths, self.params.widths
        judged = {
            name: _told(_mean([getattr(one, name) for one in self._judged]))
            for name in ("contrast", "alignment", "auc", "accuracy")
        }
        return {
            "judged": {"depth": depths[-1], "width": widths[0], **judged},
            "networks": {
                str(depth): {
                    str(width): {
                        name: _spread([getattr(one, name) for one in self.networks[depth, width]])
                        for name in _FIGURES
                    }
                    for width in widths
                }
                for depth in depths
            },
            "rise": {str(width): _told(self._rise(width)) for width in widths},
            "linear": {
                str(width): {
                    "law": _told(one.law, 6),
                    "growth": _told(one.growth, 6),
                    "error": _told(one.error),
                    "errors_off": _told(one.errors_off),
                    "largest": _told(one.largest, 6),
                }
                for width, one in self.linear.items()
            },
        }

    def table(self) -> str:
        """A row a network."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["depth", "width", "network", *_FIGURES])
        for (depth, width), several in self.networks.items():
            for place, one in enumerate(several):
                told = [_told(getattr(one, name)) for name in _FIGURES]
                cells = ["" if value is None else value for value in told]
                writer.writerow([depth, width, place, *cells])
        return stream.getvalue()

    def draw(self, folder: Path) -> None:
        """``fields.png``, ``ridges.png``, ``depth.png``, ``width.png``."""
        widths, depth = self.params.widths, self.params.depths[-1]
        circle = [
            (RADIUS * math.cos(angle), RADIUS * math.sin(angle))
            for angle in torch.linspace(0, 2 * math.pi, 181, dtype=torch.float64).tolist()
        ]
        plain, ridged = [], []
        for width in widths:
            found = self.deepest[width]
            ridges = ridges_of(found, 0)
            # In the order of their angles, so that the strokes that are drawn lie evenly.
            round_about = torch.atan2(ridges.position[:, 1], ridges.position[:, 0]).argsort()
            chosen = round_about[:: math.ceil(max(1, len(round_about)) / _STROKES)]
            at, along = ridges.position[chosen], _STROKE * ridges.direction[chosen]
            strokes = torch.stack([at - along, at + along], dim=1)
            values, title = found.exponent[0], f"width {width}"
            plain.append(Panel(title, values, 1.0, outline=circle))
            ridged.append(Panel(title, values, 1.0, strokes=strokes, dots=ridges.position))
        words = f"L lambda of one network of {depth} layers"
        write_png(folder / "fields.png", field_chart(plain, f"{words}; the boundary", "L lambda"))
        told = f"{words}; its ridges and stretching directions"
        write_png(folder / "ridges.png", field_chart(ridged, told, "L lambda"))
        against_depth = {
            f"{name}, width {width}": [
                self._mark(deep, (deep, width), name) for deep in self.params.depths
            ]
            for name in ("ridge", "centre")
            for width in widths
        }
        told = "L lambda at the boundary's ridge and at the centre"
        write_png(
            folder / "depth.png", line_chart(against_depth, told, "hidden layers", "L lambda")
        )
        against_width = {
            f"{deep} layers": [self._mark(width, (deep, width), "contrast") for width in widths]
            for deep in self.params.depths
        }
        told = "Ridge less centre of L lambda"
        write_png(folder / "width.png", line_chart(against_width, told, "width", "contrast"))

    def broken(self) -> list[str]:
        """A line for each figure out of its bound, or that is no number."""
        params = self.params
        kind = f"{params.depths[-1]} layers of {params.widths[0]}"
        lines = [
            f"lyapunov: {name} of {kind} is {value:.4g}; expected at least {least:g} "
            f"(lyapunov.{name}_min)"
            for name, least in (
                ("contrast", params.contrast_min),
                ("alignment", params.alignment_min),
                ("auc", params.auc_min),
            )
            if not (value := _mean([getattr(one, name) for one in self._judged])) >= least
        ]
        contrasts = {
            width: _mean([one.contrast for one in self.networks[params.depths[-1], width]])
            for width in params.widths
        }
        for narrow, wide in pairwise(params.widths):
            if not contrasts[wide] < contrasts[narrow]:
                lines.append(
                    f"lyapunov: contrast of width {wide} is {contrasts[wide]:.4g}; "
                    f"expected less than the {contrasts[narrow]:.4g} of width {narrow}"
                )
        lines += [
            f"lyapunov: linear networks of width {width} are {one.errors_off:.3g} standard errors "
            f"off their law; expected at most {params.linear_errors_max:g} "
            "(lyapunov.linear_errors_max)"
            for width, one in self.linear.items()
            if not one.errors_off <= params.linear_errors_max
        ]
        return lines

    @property
    def _judged(self) -> list[CircleNetwork]:
        return self.networks[self.params.depths[-1], self.params.widths[0]]

    def _mark(self, x: float, kind: tuple[int, int], name: str) -> Mark:
        values = [getattr(one, name) for one in self.networks[kind]]
        return Mark(x, _mean(values), _deviation(values))

    def _rise(self, width: int) -> float:
        """Least squares of the mean contrast against depth; NaN of one depth."""
        depths = torch.tensor(self.params.depths, dtype=torch.float64)
        means = torch.tensor(
            [_mean([one.contrast for one in self.networks[d, width]]) for d in self.params.depths],
            dtype=torch.float64,
        )
        off = depths - depths.mean()
        return float((off * means).sum() / off.square().sum()) if len(depths) > 1 else math.nan


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _deviation(values: Sequence[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).std())


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": _told(_mean(values)), "sd": _told(_deviation(values))}


def _told(value: float, digits: int = 4) -> float | None:
    """So many digits; None for what is no number."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None
