"""How a house-number digit looks in the street: colours, clutter, neighbours, blur and noise.

A pixel ``p`` (row and column from the image's middle, in pixels) sees the point ``A (p - s)`` of a
digit, with a shift ``s`` and an inverse affine map ``A`` of rotation, shear and scale; the digit's
smooth field there becomes ink by a soft threshold, ink mixes two colours, and the whole is lit,
blurred, made noisy and rounded. Each image depends on its own numbers alone: sums are elementwise,
in float64, so that neither the batch nor a library's matrix products change a bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from geocore.data.sources.base import Images

__all__ = ["NUMBERS", "SIDE", "noise_words", "render", "smooth_fields"]

Array = npt.NDArray[Any]

SIDE = 32
NUMBERS = 72  # uniform numbers an image, a few of them spare
_FINE = 48  # samples of a side of a digit's field
_REACH = 3  # pixels of the blur, either way
_BYTES = 4  # random bytes a noise value is the sum of
_CENTRE = (SIDE - 1) / 2


class _Draw:
    """Uniform numbers ``(n, NUMBERS)``, handed out in order as ``(n, 1, 1)`` in a range."""

    def __init__(self, uniform: Array) -> None:
        self._uniform, self._next = uniform, 0

    def __call__(self, least: float = 0.0, most: float = 1.0) -> Array:
        found = self._uniform[:, self._next, None, None]
        self._next += 1
        return np.asarray(least + (most - least) * found)

    def chance(self, probability: float) -> Array:
        return self() < probability


def noise_words() -> int:
    """64-bit words of noise that an image needs."""
    return SIDE * SIDE * 3 * _BYTES // 8


def smooth_fields(digits: Images) -> Array:
    """Grey squares ``(n, side, side, 1)`` as smooth fields ``(n, 48, 48)``, the highest value 1.

    Cubic interpolation with the kernel of Mitchell & Netravali (1988, B = C = 1/3) over the square
    and a dark border of one pixel about it: rounder than bilinear, and the hole of an 8 stays open.
    """
    levels = np.pad(digits[..., 0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    side = levels.shape[1]
    places = (np.arange(_FINE) + 0.5) * side / _FINE - 0.5
    away = np.abs(places[:, None] - np.arange(side))
    near = (7 * away**3 - 12 * away**2 + 16 / 3) / 6
    far = (-7 / 3 * away**3 + 12 * away**2 - 20 * away + 32 / 3) / 6
    kernel = np.where(away < 1, near, np.where(away < 2, far, 0.0))
    fields = np.einsum("ai,nij->naj", kernel, levels)
    fields = np.einsum("bj,naj->nab", kernel, fields)
    return np.asarray(fields / np.maximum(fields.max(axis=(1, 2), keepdims=True), 1e-9))


def render(uniform: Array, noise: Array, fields: Array, side: int) -> Images:
    """Images ``(n, 32, 32, 3)`` with the digit ``fields[:, 0]`` in the middle.

    ``uniform (n, NUMBERS)`` in [0, 1) decide everything but the noise, of which there are
    ``noise (n, noise_words())`` uint64. ``fields (n, 3, 48, 48)`` are the digit and its left and
    right neighbours, of ``side`` pixels without their border. A neighbour is there in two of
    three images.
    """
    draw = _Draw(uniform)
    ink, shadow = _ink(draw, fields, side)
    ground, lightness = _background(draw)
    dark = draw.chance(0.3) * draw(0.2, 0.7)
    ground = ground * (1 - (dark * shadow)[..., None])
    paint = _paint(draw, lightness)
    image = ground + ink[..., None] * (paint - ground)
    row, column = _axes()
    angle = draw(0, 2 * math.pi)
    slope = (row * np.sin(angle) + column * np.cos(angle)) / SIDE
    image = image * (draw(0.8, 1.15) * (1 + draw(0, 0.5) * slope))[..., None]
    image = _blurred(image, draw(0.25, 1.0)[..., None])
    image += (draw(0.005, 0.05)[..., None]) * _noise(noise)
    return np.asarray(np.clip(np.rint(image * 255), 0, 255), np.uint8)


def _axes() -> tuple[Array, Array]:
    """Rows and columns from the middle, ``(1, 32, 1)`` and ``(1, 1, 32)``."""
    steps = np.arange(SIDE) - _CENTRE
    return steps[None, :, None], steps[None, None, :]


def _ink(draw: _Draw, fields: Array, side: int) -> tuple[Array, Array]:
    """How much of a pixel is a digit's, and the same for its shadow: ``(n, 32, 32)`` in [0, 1]."""
    height = draw(18, 27)  # of a digit, in pixels
    width = height * draw(0.6, 1.0)
    turn, shear = draw(-0.2, 0.2), draw(-0.25, 0.25)
    down, right = draw(-2.5, 2.5), draw(-2.5, 2.5)
    level, soft = draw(0.4, 0.56), draw(0.1, 0.25)
    fall, aside = draw(-2, 2), draw(-2, 2)
    border = (side + 2) / side
    places = [(np.zeros_like(down), np.zeros_like(right), np.ones_like(down))]
    for sign in (-1, 1):
        there, step, drop = draw.chance(2 / 3), draw(0.72, 1.0), draw(-1.5, 1.5)
        places.append((drop, sign * (step * width + 1), there))
    row, column = _axes()
    cos, sin = np.cos(turn), np.sin(turn)
    both = []
    for down_more, right_more in ((0.0, 0.0), (fall, aside)):
        y, x = row - down - down_more, column - right - right_more
        y, x = cos * y - sin * x, sin * y + cos * x
        x = x + shear * y
        covered = np.zeros((len(fields), SIDE, SIDE))
        for k, (drop, offset, there) in enumerate(places):
            value = _sampled(
                fields[:, k], (y - drop) / (height * border), (x - offset) / (width * border)
            )
            ramp = np.clip((value - level) / soft + 0.5, 0, 1)
            covered = np.maximum(covered, there * ramp * ramp * (3 - 2 * ramp))
        both.append(covered)
    return both[0], both[1]


def _sampled(fields: Array, y: Array, x: Array) -> Array:
    """``fields (n, 48, 48)`` at ``(y, x)`` in [-1/2, 1/2], bilinear, the edge's value beyond."""
    row, column = (np.clip((at + 0.5) * _FINE - 0.5, 0, _FINE - 1.001) for at in (y, x))
    top, left = row.astype(np.int64), column.astype(np.int64)
    a, b = row - top, column - left
    flat = fields.reshape(len(fields), -1)
    index = (top * _FINE + left).reshape(len(fields), -1)

    def at(step: int) -> Array:
        return np.take_along_axis(flat, index + step, axis=1).reshape(row.shape)

    upper = at(0) * (1 - b) + at(1) * b
    lower = at(_FINE) * (1 - b) + at(_FINE + 1) * b
    return np.asarray(upper * (1 - a) + lower * a)


def _background(draw: _Draw) -> tuple[Array, Array]:
    """A wall: its colour, waves of a texture, bars and a patch; and its lightness ``(n, 1, 1)``."""
    row, column = _axes()
    lightness = draw(0.1, 0.9)
    ground = lightness[..., None] + _tint(draw, 0.18)
    grain = np.zeros((len(lightness), SIDE, SIDE))
    for finest in (4.0, 8.0, 20.0):  # pixels a wave, at least
        angle, length, phase = draw(0, math.pi), draw(finest, 3 * finest), draw(0, 2 * math.pi)
        along = row * np.sin(angle) + column * np.cos(angle)
        grain += draw(0, 0.06) * np.cos(2 * math.pi * along / length + phase)
    ground = ground + grain[..., None]
    for _ in range(2):  # joints, frames, pipes
        angle, place, half = draw(-0.15, 0.15), draw(-20, 20), draw(0.5, 3)
        upright, there = draw.chance(0.5), draw.chance(0.5)
        across = np.where(upright, column + angle * row, row + angle * column)
        cover = there * np.clip(half + 0.5 - np.abs(across - place), 0, 1)
        ground = ground + (cover * draw(-0.3, 0.3))[..., None]
    y, x = (row - draw(-16, 16)) / draw(3, 12), (column - draw(-16, 16)) / draw(3, 12)
    cover = draw.chance(0.5) * np.clip(3 * (1 - y * y - x * x), 0, 1)
    ground = ground + (cover * draw(-0.3, 0.3))[..., None]
    return ground, lightness


def _paint(draw: _Draw, lightness: Array) -> Array:
    """The digits' colour ``(n, 1, 1, 3)``, lighter or darker than the wall by what fits."""
    contrast, lighter = draw(0.22, 0.7), draw.chance(0.5)
    fits = (lightness + contrast <= 1, lightness - contrast >= 0)
    up = np.where(lighter, fits[0] | ~fits[1], fits[0] & ~fits[1])
    value = lightness + np.where(up, contrast, -contrast)
    return np.asarray(value[..., None] + _tint(draw, 0.18))


def _tint(draw: _Draw, most: float) -> Array:
    """A colour's distance from grey, ``(n, 1, 1, 3)``: a third of a turn from one to the next."""
    hue, strength = draw(0, 2 * math.pi)[..., None], draw(0, most)[..., None]
    return np.asarray(strength * np.cos(hue - 2 * math.pi / 3 * np.arange(3)))


def _blurred(image: Array, sigma: Array) -> Array:
    """A Gaussian of ``sigma (n, 1, 1, 1)`` pixels along rows and columns, edges continued."""
    steps = range(-_REACH, _REACH + 1)
    weights = [np.exp(-0.5 * (step / sigma) ** 2) for step in steps]
    total = sum(weights)
    for axis in (1, 2):
        pad = [(_REACH, _REACH) if place == axis else (0, 0) for place in range(4)]
        padded = np.pad(image, pad, mode="edge")
        image = np.zeros_like(image)
        for weight, step in zip(weights, steps, strict=True):
            inside = [slice(None)] * 4
            inside[axis] = slice(_REACH + step, _REACH + step + SIDE)
            image += weight / total * padded[tuple(inside)]
    return image


def _noise(words: Array) -> Array:
    """Sums of four bytes, nearly normal, of mean 0 and variance 1: ``(n, 32, 32, 3)``."""
    values = words.astype("<u8").view(np.uint8).reshape(len(words), SIDE, SIDE, 3, _BYTES)
    deviation = math.sqrt(_BYTES * (256**2 - 1) / 12)
    return np.asarray((values.sum(axis=-1, dtype=np.int64) - _BYTES * 127.5) / deviation)
