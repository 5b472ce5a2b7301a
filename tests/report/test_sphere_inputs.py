"""Whether two runs saw the same thing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geocore.report.sphere_file import Spheres, SphereSample
from geocore.report.sphere_inputs import coarsened, scenes
from tests.report.spheres import classified, segmented


def first(spheres: Spheres) -> tuple[Spheres, SphereSample]:
    return spheres, spheres.samples[0]


def with_input(spheres: Spheres, values: np.ndarray) -> tuple[Spheres, SphereSample]:
    return spheres, replace(spheres.samples[0], input=values.astype(np.float32))


def test_the_mean_of_the_known_children() -> None:
    values = np.arange(48.0)[:, None]
    assert coarsened(values, 2, 1)[:, 0].tolist() == [1.5 + 4 * face for face in range(12)]
    assert coarsened(values, 2, 2).tolist() == values.tolist()
    values[0] = np.nan
    values[4:8] = np.nan
    found = coarsened(values, 2, 1)[:, 0]
    assert found[0] == 2.0 and np.isnan(found[1]) and found[2] == 9.5


def test_one_image_is_one_scene_at_any_resolution() -> None:
    seen = [first(segmented(8)), first(segmented(8, 1)), first(segmented(16)), first(segmented(4))]
    assert scenes(seen) == [0, 0, 0, 0]
    spheres, sample = seen[0]
    noisy = sample.input + 1e-3 * np.random.default_rng(0).normal(size=sample.input.shape)
    assert scenes([(spheres, sample), with_input(spheres, noisy)]) == [0, 0]


def test_another_image_is_another_scene() -> None:
    spheres, sample = first(segmented(8))
    turned = np.roll(sample.input, spheres.nside**2, axis=0)  # by a face
    fine = segmented(16)
    seen = [
        (spheres, sample), with_input(spheres, turned), (spheres, spheres.samples[1]),
        (fine, fine.samples[1]), (spheres, None), with_input(spheres, sample.input * 0),
        with_input(spheres, np.repeat(sample.input, 3, axis=1)),
    ]  # fmt: skip
    assert scenes(seen) == [0, 1, 2, 2, None, 3, 4]


def test_what_is_not_known_to_both_says_nothing() -> None:
    spheres, sample = first(segmented(8))
    half = sample.input.copy()
    half[: len(half) // 2] = np.nan
    other = np.where(np.isnan(half), sample.input, np.nan)
    assert scenes([(spheres, sample), with_input(spheres, half)]) == [0, 0]
    assert scenes([with_input(spheres, half), with_input(spheres, other)]) == [0, 1]
    north = replace(spheres, faces=(0, 1, 2, 3))
    assert scenes([(spheres, sample), with_input(north, sample.input[: 4 * 64])]) == [0, 0]


def test_digits_of_two_classes_are_two() -> None:
    spheres, sample = first(classified())
    other = replace(sample, label=np.array([1], np.uint8))
    assert scenes([(spheres, sample), (spheres, other)]) == [0, 1]
