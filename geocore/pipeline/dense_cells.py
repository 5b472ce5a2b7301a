"""One sample on one grid as pictures: input, truth, prediction and error, side by side.

Colours: a class has one wherever it is drawn; depths go from dark (near) to light (far) on a
logarithmic scale; what lies outside the image or has no truth is grey.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from geocore.healpix.draw import Picture, View, colours, orthographic
from geocore.measure.segmentation import IGNORED
from geocore.pipeline.dense_tally import Panel
from geocore.pipeline.drawn_pixels import DrawnPixels
from geocore.so3.rotation import quaternion_to_matrix

__all__ = ["OFF", "Cells", "Viewpoint", "depth_limits"]

WIDTH = 300  # of a cell in pixels
OFF = 0.5  # relative error of a depth that is drawn lightest
_GREY, _RIGHT, _WRONG = 205.0, (236.0, 236.0, 238.0), (213.0, 94.0, 0.0)


def depth_limits(panels: Sequence[Panel]) -> tuple[float, float]:
    """Metres that most true depths lie between: the two ends of the colours."""
    true = torch.cat([panel.targets[panel.targets > 0].double() for panel in panels])
    if len(true) == 0:
        return 1.0, 2.0
    ends = torch.quantile(
        true[:: max(1, len(true) // 100_000)], torch.tensor([0.02, 0.98]).double()
    )
    return float(ends[0]), max(float(ends[1]), float(ends[0]) * 1.01)


@dataclass(frozen=True)
class Viewpoint:
    """Where the pictures of the sphere look: along the mean axis of the samples, their mean up.

    One for all samples, so that one that was taken by a tilted camera lies where it belongs.
    """

    colatitude: float
    longitude: float

    @classmethod
    def of(cls, rotations: Tensor) -> Viewpoint:
        """``rotations (n, 4)``, camera frame to sphere. Near a pole *up* follows the cameras'."""
        frames = quaternion_to_matrix(rotations.double())
        axis = frames[..., 2].mean(dim=0)
        theta = math.atan2(math.hypot(float(axis[0]), float(axis[1])), float(axis[2]))
        phi = math.atan2(float(axis[1]), float(axis[0]))
        pole = 0.0 if theta < 0.2 else math.pi if theta > math.pi - 0.2 else None
        if pole is not None:
            down = frames[..., 1].mean(dim=0) * (1 if pole == 0 else -1)
            theta, phi = pole, math.atan2(float(down[1]), float(down[0]))
        return cls(math.degrees(theta), math.degrees(phi))

    @property
    def frame(self) -> Tensor:
        """Rows: to the right, upwards, ahead, as ``orthographic`` draws them."""
        theta, phi = math.radians(self.colatitude), math.radians(self.longitude)
        ahead = [
            math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta)
        ]  # fmt: skip
        up = [
            -math.cos(theta) * math.cos(phi), -math.cos(theta) * math.sin(phi), math.sin(theta)
        ]  # fmt: skip
        right = [math.sin(phi), -math.cos(phi), 0.0]
        return torch.tensor([right, up, ahead], dtype=torch.float64)


class Cells:
    """Paints what is known of a panel; ``viewpoint`` is that of all pictures of the sphere."""

    def __init__(self, panel: Panel, viewpoint: Viewpoint, views: dict[int, View]) -> None:
        self._panel, self._viewpoint, self._views = panel, viewpoint, views
        self._kind = panel.split.table.info.type
        at = torch.tensor([panel.position])
        self._image = panel.split.images(at)[0].cpu().double().reshape(-1, self._kind.channels or 1)
        self._seen = panel.split.valid(at)[0]

    def of_labels(self, colour: Tensor) -> list[Picture]:
        """Input, label, prediction and where it is wrong; ``colour (classes, 3)``."""
        panel = self._panel
        labelled = panel.targets != IGNORED
        predicted = panel.values.argmax(dim=1)
        counted = labelled & panel.known
        right = (predicted == panel.targets.long())[:, None]
        error = torch.where(right, torch.tensor(_RIGHT), torch.tensor(_WRONG)).double()
        return [
            self._input,
            self._paint(colour[torch.where(labelled, panel.targets, 0).long()], labelled),
            self._paint(colour[predicted], panel.known),
            self._paint(error, counted),
        ]

    def of_depths(self, limits: tuple[float, float]) -> list[Picture]:
        """Input, depth, predicted depth and relative error, where there is a depth."""
        panel = self._panel
        there, ends = panel.targets > 0, (math.log(limits[0]), math.log(limits[1]))
        counted = there & panel.known
        true, found = panel.targets.double(), panel.values[:, 0].double()
        safe = torch.where(there, true, 1)
        off = (found - true).abs() / safe
        return [
            self._input,
            self._paint(colours(safe.log(), ends), there),
            self._paint(colours(found.clamp(min=1e-3).log(), ends), counted),
            self._paint(colours(off, (0.0, OFF)), counted),
        ]

    @cached_property
    def _pixels(self) -> DrawnPixels:
        return DrawnPixels.of(self._kind)

    @cached_property
    def _input(self) -> Picture:
        image = self._image
        if image.shape[1] != 3:
            image = image[:, :1].expand(-1, 3)
        return self._paint(255 * image, self._seen, smooth=True)

    def _paint(self, rgb: Tensor, known: Tensor, smooth: bool = False) -> Picture:
        """``rgb (pixels, 3)`` from 0 to 255 where it is known, grey elsewhere."""
        if self._panel.split.place == "sphere":
            pixels = self._pixels
            if pixels.nside not in self._views:
                self._views[pixels.nside] = orthographic(
                    pixels.nside,
                    colatitude=self._viewpoint.colatitude,
                    longitude=self._viewpoint.longitude,
                    size=WIDTH,
                )
            view = self._views[pixels.nside]
            shown = pixels.take(rgb) / 255
            return view.paint(shown, pixels.faces, pixels.ordering, pixels.take(known))
        from PIL import Image

        assert self._kind.height is not None and self._kind.width is not None
        flat = torch.where(known[:, None], rgb.clamp(0, 255), _GREY).round().to(torch.uint8)
        picture = Image.fromarray(flat.reshape(self._kind.height, self._kind.width, 3).numpy())
        size = (WIDTH, max(1, round(WIDTH * self._kind.height / self._kind.width)))
        how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
        return np.asarray(picture.resize(size, how))
