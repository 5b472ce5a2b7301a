"""The scores of dense predictions by split, view and grid, and the files that they make."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from geocore.config.evaluate import EvaluateParams
from geocore.data.table import Table
from geocore.data.tablecamera import table_camera
from geocore.healpix.grid import pixel_centres
from geocore.measure.calibration import Reliability
from geocore.pipeline.companions import SHARES
from geocore.pipeline.dense_grids import DenseSplit, Grid, Place, place_of
from geocore.pipeline.depth_scores import RANGES, DepthScores, ranged
from geocore.pipeline.segmentation_scores import SegmentationScores, labelled
from geocore.so3.driscoll_healy import driscoll_healy_directions
from geocore.train.depth import Depth

__all__ = ["ALL", "DepthTally", "Panel", "SegmentationTally", "Shown", "Tally"]

ALL = "all"  # the view that holds all samples
Scores = SegmentationScores | DepthScores
Rows = tuple[tuple[str, ...], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Panel:
    """What is said and what is true of one sample on one grid.

    ``grid`` is that of the split, or ``shared``. ``values (pixels, channels)`` are logits, or
    metres and perhaps their deviation, where they are ``known (pixels,)``; ``targets (pixels,)``
    are marked where a pixel does not count.
    """

    grid: Grid
    split: DenseSplit
    position: int
    values: Tensor
    known: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Shown:
    """What is said of a sample, on the network's own grid first."""

    sample: int
    view: str
    panels: tuple[Panel, ...]


class Tally(ABC):
    """Scores of samples that are added one by one, of the view ``all`` and of their own view.

    ``grids`` has that of the network first. A row for each sample and grid is kept.
    """

    better: str  # the score that ranks samples
    sign: int  # 1 where a larger one is better, -1 where it is worse
    columns: tuple[str, ...]
    judged: tuple[str, ...]

    def __init__(self, grids: Sequence[Grid]) -> None:
        self.grids = tuple(grids)
        self.found: dict[str, dict[str, dict[Grid, Any]]] = {}
        self.rows: list[dict[str, Any]] = []
        self._split = ""

    @abstractmethod
    def told(self, outputs: Tensor) -> Tensor:
        """What raw outputs ``(..., outputs)`` say, in a form that can be interpolated."""

    @abstractmethod
    def new_scores(self, grid: Grid) -> Any:
        """Scores without samples."""

    @abstractmethod
    def score(self, scores: Sequence[Any], panel: Panel, sample: int) -> dict[str, Any]:
        """Add a sample to all of ``scores``; its own."""

    @property
    @abstractmethod
    def kinds(self) -> tuple[str, ...]:
        """Names of the rows and columns of the confusion counts."""

    def begin(self, split: str) -> None:
        """What is added from now on belongs to ``split``."""
        self._split = split
        self.found[split] = {ALL: {grid: self.new_scores(grid) for grid in self.grids}}

    def add(self, answer: Shown) -> None:
        """Take in a sample on each of its grids."""
        views = self.found[self._split]
        if answer.view not in views:
            views[answer.view] = {grid: self.new_scores(grid) for grid in self.grids}
        for panel in answer.panels:
            scores = [views[view][panel.grid] for view in dict.fromkeys((ALL, answer.view))]
            own = self.score(scores, panel, answer.sample)
            about = {"sample": answer.sample, "split": self._split, "view": answer.view}
            self.rows.append({**about, "grid": panel.grid, **own})

    def metrics(self) -> dict[str, Any]:
        """Scores by split, view and grid, and the ``headline``: the test split's, of all views, on
        the network's own grid.
        """
        found: dict[str, Any] = {
            split: {
                view: {grid: scores.summary() for grid, scores in grids.items()}
                for view, grids in views.items()
            }
            for split, views in self.found.items()
        }
        return {**found, "headline": self.headline()}

    def table(self) -> pa.Table:
        """A row a sample and grid: ``sample, split, view, grid``, its own scores, and ``n``."""
        names = {name: pa.string() for name in ("split", "view", "grid")}
        fields = [("sample", pa.int64()), *names.items()]
        fields += [(name, pa.float64()) for name in self.columns] + [("n", pa.int64())]
        return pa.Table.from_pylist(self.rows, pa.schema(fields))

    def ranked(self, view: str) -> list[int]:
        """Test samples of a view by their own score on the network's grid, the best first."""
        mine = [
            (-self.sign * row[self.better], row["sample"])
            for row in self.rows
            if (row["split"], row["view"], row["grid"]) == ("test", view, self.grids[0])
            and row[self.better] is not None
        ]
        return [sample for _, sample in sorted(mine)]

    def tested(self, view: str = ALL) -> Any:
        """The test split's scores of a view, on the network's own grid."""
        return self.found["test"][view][self.grids[0]]

    @property
    def views(self) -> list[str]:
        """The test split's views, ``all`` first."""
        return list(self.found["test"])

    def reliability(self) -> Reliability:
        """Of all test samples, on the network's own grid."""
        found: Reliability = self.tested().reliability()
        return found

    def confusion_rows(self) -> Rows:
        """A row a pair of actual and predicted: how many pixels, and which part of the actual."""
        counts = self.tested().counts.confusion
        rows = [
            (actual, predicted, count, count / total)
            for actual, total, line in zip(
                self.kinds, counts.sum(dim=1).tolist(), counts.tolist(), strict=True
            )
            for predicted, count in zip(self.kinds, line, strict=True)
            if total
        ]
        return ("actual", "predicted", "count", "share"), rows

    def kept(self) -> dict[str, dict[str, list[float]]]:
        """The curves of the surest pixels by who predicts, each view beside all."""
        return {
            "network" if view == ALL else view: self.tested(view).kept(SHARES)
            for view in self.views
        }

    def kept_rows(self) -> Rows:
        """A row a curve and share of pixels that are kept."""
        curves = self.kept()
        names = tuple(next(iter(curves.values())))
        rows = [
            (model, share, *(number if math.isfinite(number) else "" for number in values))
            for model, curve in curves.items()
            for share, *values in zip(SHARES.tolist(), *curve.values(), strict=True)
        ]
        return ("model", "kept", *names), rows

    def headline(self) -> dict[str, Any]:
        """The few numbers that the network is judged by."""
        found = self.tested().summary()
        return {name: found[name] for name in self.judged}


class SegmentationTally(Tally):
    """Scores of labelled pixels."""

    better, sign = "miou", 1
    columns = ("miou", "miou_without", "accuracy", "nll")
    judged = ("miou", "miou_without", "accuracy", "nll", "ece")

    def __init__(
        self, grids: Sequence[Grid], classes: Sequence[str], without: Sequence[int], bins: int
    ) -> None:
        super().__init__(grids)
        self._classes, self._without, self._bins = tuple(classes), tuple(without), bins

    @property
    def kinds(self) -> tuple[str, ...]:
        return self._classes

    def told(self, outputs: Tensor) -> Tensor:
        return outputs

    def new_scores(self, grid: Grid) -> SegmentationScores:
        del grid
        return SegmentationScores(self._classes, self._without, self._bins)

    def score(self, scores: Sequence[Any], panel: Panel, sample: int) -> dict[str, Any]:
        del sample
        pixels = labelled(panel.values, panel.targets, panel.known, panel.split.areas)
        own: dict[str, Any] = {}
        for mine in scores:
            own = mine.add(pixels)
        return own


class DepthTally(Tally):
    """Scores of depths; the pixels of ``tables``, one a place, look along ``directions``.

    What the network predicts no deviation for is calibrated with the RMSE of the validation split.
    """

    better, sign = "rmse", -1
    columns = (
        "mse", "rmse", "mae", "absrel", "silog", "delta_1", "delta_2", "delta_3", "chamfer",
        "chamfer_squared", "nll",
    )  # fmt: skip
    judged = ("rmse", "absrel", "silog", "chamfer", "nll", "ece")

    def __init__(
        self,
        grids: Sequence[Grid],
        objective: Depth,
        tables: Sequence[Table],
        params: EvaluateParams,
    ) -> None:
        super().__init__(grids)
        self._objective, self._params = objective, params
        self.directions: dict[Place, Tensor] = {
            place_of(table.info.type): _directions(table) for table in tables
        }

    @property
    def kinds(self) -> tuple[str, ...]:
        return RANGES

    def told(self, outputs: Tensor) -> Tensor:
        """Metres, and the deviation in metres; on a logarithmic scale that to first order."""
        metres = self._objective.metres(outputs)
        if outputs.shape[-1] == 1:
            return metres[..., None]
        deviation = self._objective.std * (outputs[..., 1] / 2).exp()
        if self._objective.scale == "log":
            deviation = deviation * metres
        return torch.stack([metres, deviation], dim=-1)

    def new_scores(self, grid: Grid) -> DepthScores:
        # Of the whole validation split, which is complete when another one begins.
        whole = self.found.get("val", {}) if self._split != "val" else {}
        before = whole.get(ALL, {}).get(grid)
        constant = None if before is None else before.summary()["rmse"]
        params = self._params
        return DepthScores(
            params.calibration_bins, params.chamfer_points, params.seed, constant=constant
        )

    def score(self, scores: Sequence[Any], panel: Panel, sample: int) -> dict[str, Any]:
        directions = self.directions[panel.split.place]
        pixels = ranged(panel.values, panel.targets, panel.known, directions)
        own: dict[str, Any] = {}
        for mine in scores:
            own = mine.add(pixels, sample)
        return own


def _directions(table: Table) -> Tensor:
    """The unit vector that each pixel sees, ``(pixels, 3)``: on the sphere, or of the camera."""
    kind = table.info.type
    if kind.grid == "healpix":
        assert kind.nside is not None and kind.faces is not None  # a HEALPix table says both
        return pixel_centres(kind.nside, kind.faces)
    if kind.grid == "driscoll-healy":
        assert kind.height is not None  # such a table says it
        return driscoll_healy_directions(kind.height // 2).flatten(0, 1)
    camera = table_camera(table)
    u = torch.arange(camera.width, dtype=torch.float64)
    v = torch.arange(camera.height, dtype=torch.float64)
    rows, columns = torch.meshgrid(v, u, indexing="ij")
    return camera.unproject(columns, rows).flatten(0, 1)
