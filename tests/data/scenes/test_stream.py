"""Scenes in order, from this process or from several."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch

from geocore.camera.pose import tilted
from geocore.data.scenes.render import default_camera, render
from geocore.data.scenes.stream import each_in_order, rendered
from geocore.data.scenes.world import draw_scene

CAMERA = default_camera(24, 32)


def test_scenes_come_in_the_order_of_their_seeds() -> None:
    tilt = tilted(torch.tensor(20.0), torch.tensor(0.0), torch.tensor(5.0))
    seeds, tilts = [5, 3, 4], [None, tilt, None]
    for seed, pose, seen in zip(seeds, tilts, rendered(seeds, CAMERA, tilts), strict=True):
        expected = render(draw_scene(seed), CAMERA, pose)
        np.testing.assert_array_equal(seen.image, expected.image)
        np.testing.assert_array_equal(seen.label, expected.label)
        np.testing.assert_array_equal(seen.depth, expected.depth)


def test_several_processes_keep_the_order_and_hand_errors_on() -> None:
    numbers = [n * n for n in range(20)]
    assert list(each_in_order(math.isqrt, numbers, 2)) == list(range(20))
    with pytest.raises(ValueError, match="must be nonnegative"):
        list(each_in_order(math.isqrt, [1, -1, 2], 2))


def test_whoever_stops_early_waits_for_nothing() -> None:
    """Of a hundred waits of a second each, those that nobody takes are not begun."""
    started = time.monotonic()
    waits = each_in_order(time.sleep, [0.0, *[1.0] * 100], 2)
    assert next(waits) is None
    waits.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 60


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="tilts has 1 poses; expected one for each of 2"):
        rendered([1, 2], CAMERA, [None])
    with pytest.raises(ValueError, match="workers is 0; expected at least 1"):
        rendered([1], CAMERA, workers=0)
