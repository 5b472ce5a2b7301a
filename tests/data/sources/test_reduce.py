"""Areas are averaged exactly, and planes take the pixel that holds the new centre."""

from __future__ import annotations

import numpy as np
import pytest

from geocore.data.sources.reduce import area_mean, containing


def mean_by_hand(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Every old pixel's share of every new one, one pair after the other."""
    old_height, old_width, channels = image.shape
    made = np.zeros((height, width, channels))
    for i in range(height):
        for j in range(width):
            top, bottom = i * old_height / height, (i + 1) * old_height / height
            left, right = j * old_width / width, (j + 1) * old_width / width
            for y in range(old_height):
                for x in range(old_width):
                    down = max(0.0, min(bottom, y + 1) - max(top, y))
                    across = max(0.0, min(right, x + 1) - max(left, x))
                    made[i, j] += down * across * image[y, x]
    return np.asarray(made * (height * width) / (old_height * old_width))


@pytest.mark.parametrize("size", [(4, 6), (5, 4), (3, 11), (8, 12), (11, 13), (1, 1)])
def test_each_pixel_is_the_mean_over_its_area(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    expected = mean_by_hand(image, *size)
    found = area_mean(image, *size)
    assert found.dtype == np.uint8 and found.shape == (*size, 3)
    assert np.abs(found - expected).max() <= 0.5 + 1e-9


def test_a_constant_image_stays_constant_and_the_same_size_changes_nothing() -> None:
    constant = np.full((966, 1280, 3), 201, np.uint8)
    assert (area_mean(constant, 240, 320) == 201).all()
    image = np.random.default_rng(1).integers(0, 256, (7, 5, 1), np.uint8)
    np.testing.assert_array_equal(area_mean(image, 7, 5), image)


@pytest.mark.parametrize("size", [(4, 6), (5, 4), (3, 11), (8, 12), (16, 7), (1, 1)])
def test_a_plane_gives_the_pixel_that_holds_the_centre(size: tuple[int, int]) -> None:
    plane = np.arange(8 * 12, dtype=np.float32).reshape(8, 12)
    found = containing(plane, *size)
    assert found.dtype == plane.dtype and found.shape == size
    for i in range(size[0]):
        for j in range(size[1]):
            row = int(np.floor((i + 0.5) * 8 / size[0]))
            column = int(np.floor((j + 0.5) * 12 / size[1]))
            assert found[i, j] == plane[row, column]
