"""Fields, ink, light and noise: laws that hold whatever the numbers are."""

from __future__ import annotations

import numpy as np
import pytest

from geocore.data.sources.street_rendering import (
    NUMBERS,
    SIDE,
    noise_words,
    render,
    smooth_fields,
)

ALL = np.uint64(2**64 - 1)
HALF = np.uint64(0x7F80_7F80_7F80_7F80)  # bytes that sum to four times 127.5


def numbers(count: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, NUMBERS))


def quiet(count: int = 1) -> np.ndarray:
    """Noise of exactly 0 in every pixel."""
    return np.full((count, noise_words()), HALF)


@pytest.mark.parametrize("side", [8, 28])
def test_fields_interpolate_smoothly(side: int) -> None:
    field = smooth_fields(np.full((1, side, side, 1), 200, np.uint8))[0]
    assert field.shape == (48, 48) and field.max() == 1
    inner = field[20:28, 20:28]
    np.testing.assert_allclose(inner, inner[0, 0], rtol=1e-12)  # the kernel sums to 1
    np.testing.assert_allclose(field, field[::-1], atol=1e-12)
    np.testing.assert_allclose(field, field.T, atol=1e-12)
    assert np.abs(field[[0, -1]]).max() < 0.1, "dark at the border"


def test_a_ramp_stays_a_ramp() -> None:
    """The kernel reproduces what is linear: an interpolation of first order at least."""
    ramp = np.tile(np.arange(0, 80, 10, dtype=np.uint8)[:, None], (1, 8))[None, ..., None]
    field = smooth_fields(ramp)[0]
    # Away from the square's edge, every fine sample is a step of 10 / 4.8 levels from the last.
    steps = np.diff(field[17:32, 24] / field[24, 24])
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


def test_a_dark_item_is_no_division_by_zero() -> None:
    assert not smooth_fields(np.zeros((2, 8, 8, 1), np.uint8)).any()


def test_without_digits_noise_is_all_that_differs() -> None:
    """Noise of one deviation in all pixels moves an image by its strength, 0.005 to 0.05."""
    fields = np.zeros((200, 3, 48, 48))
    drawn = numbers(200)
    calm = render(drawn, quiet(200), fields, 8).astype(int)
    rough = render(drawn, np.random.default_rng(1).integers(0, ALL, (200, noise_words()),
                   dtype=np.uint64, endpoint=True), fields, 8).astype(int)  # fmt: skip
    inside = (calm > 30) & (calm < 225)  # where nothing burns out
    deviation = np.array([(rough - calm)[n][inside[n]].std() for n in range(200)
                          if inside[n].sum() > 500]) / 255  # fmt: skip
    assert len(deviation) > 150
    # Rounding adds a variance of 1/6 of a level squared.
    assert 0.004 < deviation.min() < 0.01 and 0.045 < deviation.max() < 0.053


def test_images_are_the_same_alone_and_in_a_batch() -> None:
    drawn = numbers(9)
    noise = np.random.default_rng(2).integers(0, ALL, (9, noise_words()), dtype=np.uint64)
    fields = np.random.default_rng(3).random((9, 3, 48, 48))
    whole = render(drawn, noise, fields, 8)
    assert whole.shape == (9, SIDE, SIDE, 3)
    for n in range(9):
        one = slice(n, n + 1)
        np.testing.assert_array_equal(render(drawn[one], noise[one], fields[one], 8)[0], whole[n])


def test_all_numbers_matter_but_the_spare_ones() -> None:
    """The last twelve are spare; a neighbour that is there shows."""
    rng = np.random.default_rng(4)
    fields = smooth_fields(rng.integers(0, 256, (3 * 60, 8, 8, 1), np.uint8))
    fields = fields.reshape(60, 3, 48, 48)
    drawn = numbers(60)
    noise = rng.integers(0, ALL, (60, noise_words()), dtype=np.uint64)
    base = render(drawn, noise, fields, 8)
    for number in range(NUMBERS):
        changed = drawn.copy()
        changed[:, number] = (changed[:, number] + 0.5) % 1
        differs = bool((render(changed, noise, fields, 8) != base).any())
        assert differs == (number < 60), number
