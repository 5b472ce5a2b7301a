"""Rendered street scenes: as many as are asked for, with labels, depth and poses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from geocore.config.runtime import usable_cores
from geocore.data.scenes.classes import CLASSES
from geocore.data.scenes.seeds import Split, scene_seed
from geocore.data.sources.base import Rows
from geocore.data.sources.dense import DenseSource, Frame
from geocore.runs.digest import digest_json

__all__ = ["PINHOLE_VIEW", "Scenes"]

PINHOLE_VIEW = 60.0  # degrees across its image: between a telephoto's and a wide lens's

_A_PROCESS = 16  # scenes that are worth starting one
_VIEWS = ("upright", "tilted", "rolled")
_UPRIGHT, _TILTED, _ROLLED = range(len(_VIEWS))
_SPLITS: tuple[Split, ...] = ("train", "val", "test")  # as SPLITS numbers them
_TEST = _SPLITS.index("test")


class Scenes(DenseSource):
    """Scenes of ``geocore.data.scenes`` through its fisheye: train, then val, then test.

    With an ``angle_of_view``, degrees across the image, it is a pinhole instead.

    ``counts`` are the scenes of each split; no two share one, and the first scenes of a larger
    split are those of a smaller. Training and validation scenes are seen once, by an upright
    camera that pitches and rolls by up to ``jitter`` degrees, test scenes three times: so (view 0),
    by a camera that is tilted from there by ``tilt`` degrees about an axis of the image plane, so
    that it looks elsewhere (view 1), and by one that is rolled by as much to the right or to the
    left about its own axis (view 2). Without a ``tilt`` these too are seen once, and there are no
    views. A scene's seed, jitter, axis and side depend on ``seed``, its split and its place alone.
    """

    name = "scenes"
    classes = CLASSES

    def __init__(
        self,
        counts: Sequence[int],
        size: tuple[int, int],
        jitter: float,
        tilt: float | None,
        seed: int,
        angle_of_view: float | None = None,
    ) -> None:
        # Here, so that a source can be named without importing torch.
        from geocore.camera.lens import RadialCamera
        from geocore.camera.models import Pinhole
        from geocore.camera.record import camera_to_dict
        from geocore.data.scenes.render import default_camera

        self._lens: RadialCamera = default_camera(*size)
        if angle_of_view is not None:
            self._lens = Pinhole.from_angle_of_view(angle_of_view, *size)
        self.camera = camera_to_dict(self._lens)
        self.shape = (*size, 3)
        tested = (_UPRIGHT,) if tilt is None else (_UPRIGHT, _TILTED, _ROLLED)
        entries = [
            (code, index, view)
            for code, count in enumerate(counts)
            for index in range(count)
            for view in (tested if code == _TEST else (_UPRIGHT,))
        ]
        self.splits = np.array([code for code, _, _ in entries], np.uint8)
        if tilt is not None:
            self.views = _VIEWS
            self.seen = np.array([view for _, _, view in entries], np.uint8)
        self.seeds = [scene_seed(seed, _SPLITS[code], index) for code, index, _ in entries]
        self.poses: npt.NDArray[np.float64] = _poses(entries, jitter, tilt or 0.0, seed)
        lens = [] if angle_of_view is None else [angle_of_view]
        self.digest = digest_json(["scenes", list(counts), list(size), jitter, tilt, seed, *lens])

    def __len__(self) -> int:
        return len(self.seeds)

    def frames(self, rows: Rows) -> Iterator[Frame]:
        import torch

        from geocore.data.scenes.stream import rendered

        seeds = [self.seeds[row] for row in rows]
        tilts = list(torch.from_numpy(self.poses[rows]))
        workers = max(1, min(usable_cores(), len(seeds) // _A_PROCESS))
        for made in rendered(seeds, self._lens, tilts, workers=workers):
            yield Frame(made.image, made.label, made.valid, made.depth)


def _poses(
    entries: Sequence[tuple[int, int, int]], jitter: float, tilt: float, seed: int
) -> npt.NDArray[np.float64]:
    """From each camera's frame to the upright camera's: its jitter, then what its view adds.

    ``R_x(pitch) R_z(roll) R_a(tilt)``: the axis ``a`` lies in the camera's own image plane for
    tilted views, and is its optical axis, one way or the other, for rolled ones.
    """
    import torch

    from geocore.camera.pose import tilted
    from geocore.so3.rotation import compose

    drawn = torch.from_numpy(np.stack([_uniform(seed, *entry[:2]) for entry in entries]))
    pitch, roll = (jitter * (2 * drawn[:, :2] - 1)).unbind(-1)
    upright = tilted(pitch, roll, torch.zeros_like(pitch))
    views = torch.tensor([view for _, _, view in entries])
    half = (views != _UPRIGHT).double() * (math.radians(tilt) / 2)
    angle, zero = 2 * math.pi * drawn[:, 2], torch.zeros_like(half)
    in_plane = torch.stack([angle.cos(), angle.sin(), zero], dim=-1)
    optical = torch.stack([zero, zero, torch.where(drawn[:, 2] < 0.5, 1.0, -1.0).double()], dim=-1)
    axis = torch.where((views == _ROLLED)[:, None], optical, in_plane)
    turn = torch.cat([half.cos()[:, None], half.sin()[:, None] * axis], dim=-1)
    poses: npt.NDArray[np.float64] = compose(upright, turn).numpy()
    return poses


def _uniform(seed: int, split: int, index: int) -> npt.NDArray[np.float64]:
    """Three numbers in [0, 1) that belong to a scene."""
    words = np.random.Philox(np.random.SeedSequence([seed, split, index])).random_raw(3)
    return np.asarray(words >> np.uint64(11), np.float64) / 2**53
