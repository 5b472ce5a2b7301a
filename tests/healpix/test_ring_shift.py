"""The ring shift against a plain loop over the rings, and what it does where nothing is torn."""

from __future__ import annotations

import pytest
import torch

from geocore.healpix.grid import (
    ALL_FACES,
    nest2ring,
    nest2xyf,
    pix2vec,
    pixel_numbers,
)
from geocore.healpix.shifts import shift_plan
from tests.healpix.shifted import FACE_SETS, SIZES, healpy


def runs(nside: int, faces: tuple[int, ...]) -> list[tuple[int, list[int]]]:
    """A quarter of the ring, and the ring numbers of each run of the set from west to east."""
    chosen = set(nest2ring(nside, pixel_numbers(nside, faces)).tolist())
    found = []
    for ring in range(1, 4 * nside):
        start, length, *_ = healpy().ringinfo(nside, torch.tensor([ring]).numpy())
        pixels = [int(start[0]) + place for place in range(int(length[0]))]
        present = [pixel in chosen for pixel in pixels]
        if all(present):
            found.append((len(pixels) // 4, pixels))
            continue
        first = present.index(False)
        run: list[int] = []
        for step in range(1, len(pixels) + 1):
            pixel = pixels[(first + step) % len(pixels)]
            if pixel in chosen:
                run.append(pixel)
            elif run:
                found.append((len(pixels) // 4, run))
                run = []
    return found


@pytest.mark.parametrize("faces", [*FACE_SETS, (3, 0), (4, 5, 7, 10)], ids=str)
@pytest.mark.parametrize(("nside", "window"), [(4, 4), (8, 16), (16, 16), (8, 64)])
def test_every_run_is_rolled_by_itself(nside: int, window: int, faces: tuple[int, ...]) -> None:
    """A slot holds the token so many places further east: half of what a window has of the ring,
    but no more than the run has beside one window.
    """
    faces = tuple(sorted(faces))
    plan, side = shift_plan(nside, faces, window, "ring"), round(window**0.5)
    number = nest2ring(nside, pixel_numbers(nside, faces))
    moved = dict(zip(number.tolist(), number[plan.permutation].tolist(), strict=True))
    for quarter, run in runs(nside, faces):
        width = min(side, quarter)
        shift = max(0, min(width // 2, len(run) - width))
        assert [moved[pixel] for pixel in run] == run[shift:] + run[:shift]


@pytest.mark.parametrize(("nside", "window"), SIZES)
def test_on_the_whole_sphere_nothing_is_torn(nside: int, window: int) -> None:
    assert not len(shift_plan(nside, ALL_FACES, window, "ring").masked)


@pytest.mark.parametrize(("nside", "side"), [(8, 2), (16, 4), (32, 8)])
def test_in_the_belt_windows_move_by_half_their_diagonal(nside: int, side: int) -> None:
    """Rigidly: (x, y) -> (x + h, y - h), so a pixel's centre turns about z by h pixels."""
    plan, pixels = shift_plan(nside, ALL_FACES, side**2, "ring"), torch.arange(12 * nside**2)
    here, there = pix2vec(nside, pixels), pix2vec(nside, plan.permutation)
    torch.testing.assert_close(here[:, 2], there[:, 2], atol=0, rtol=0)
    belt = here[:, 2].abs() <= 2 / 3
    angle = torch.atan2(there[:, 1], there[:, 0]) - torch.atan2(here[:, 1], here[:, 0])
    angle = angle[belt].remainder(2 * torch.pi)
    expected = torch.full_like(angle, side // 2 * torch.pi / (2 * nside))
    torch.testing.assert_close(angle, expected, atol=1e-12, rtol=0)
    x, y, face = nest2xyf(nside, pixels)
    new_x, new_y, new_face = nest2xyf(nside, plan.permutation)
    same = belt & (face == new_face)
    assert torch.equal(new_x[same], x[same] + side // 2)
    assert torch.equal(new_y[same], y[same] - side // 2)
