"""Windows: their size, turned squares, and what hangs together in one."""

from __future__ import annotations

import pytest
import torch

from geocore.healpix.grid import nest2xyf, xyf2nest
from geocore.healpix.windows import connected_labels, turned_squares, window_side
from tests.healpix.shifted import adjacent_pairs, components


def test_the_side() -> None:
    assert [window_side(8, window) for window in (1, 4, 16, 64)] == [1, 2, 4, 8]
    for window in (-4, 0, 2, 8, 9, 36):
        with pytest.raises(ValueError, match=f"^window is {window}; expected a power of four$"):
            window_side(8, window)
    with pytest.raises(ValueError, match=r"^window is 64; expected at most a face, 16 at nside 4"):
        window_side(4, 64)
    with pytest.raises(ValueError, match=r"^nside is 6; expected a power of two"):
        window_side(6, 4)


@pytest.mark.parametrize("side", [1, 2, 4, 8])
def test_a_square_turns_counter_clockwise(side: int) -> None:
    """The picture rotated as an array whose second axis is x to the right and first y upwards."""
    x, y, _ = nest2xyf(side, torch.arange(side**2))
    turned = turned_squares(side)
    picture = torch.empty(4, side, side, dtype=torch.int64)
    picture[:, y, x] = turned
    for turns in range(4):
        # rot90 from the axis of x to that of y: what lay along x lies along y.
        assert torch.equal(picture[turns], torch.rot90(picture[0], turns, dims=(1, 0)))


def test_turns_of_a_square_of_four() -> None:
    """0 1 below 2 3 becomes 2 0 below 3 1."""
    assert turned_squares(2).tolist() == [[0, 1, 2, 3], [2, 0, 3, 1], [3, 2, 1, 0], [1, 3, 0, 2]]


@pytest.mark.parametrize(("nside", "window"), [(4, 16), (8, 64), (16, 64), (2, 4)])
def test_labels_are_the_components_of_each_window(nside: int, window: int) -> None:
    """Random pixels in random order, many of them side by side."""
    npix = 12 * nside**2
    generator = torch.Generator().manual_seed(nside)
    few = torch.randperm(npix, generator=generator)[: npix // window * window]
    near = few.reshape(-1, window).sort(dim=1).values
    pixels = torch.cat([few.reshape(-1, window), near])
    pairs = adjacent_pairs(nside, tuple(range(12)))
    for row, labels in zip(pixels, connected_labels(nside, pixels), strict=True):
        inside = torch.isin(pairs[0], row) & torch.isin(pairs[1], row)
        expected = components(npix, pairs[:, inside])[row]
        assert torch.equal(labels[:, None] == labels, expected[:, None] == expected)
        first = [labels.tolist().index(label) for label in range(int(labels.max()) + 1)]
        assert first == sorted(first) and first[0] == 0


def test_a_long_path_is_one_piece() -> None:
    """The two diagonals of a face: the longest paths, numbered in an order of no help."""
    nside = 16
    along = torch.arange(nside)
    rising = xyf2nest(nside, along, along, along * 0 + 3)
    falling = xyf2nest(nside, along, nside - 1 - along, along * 0 + 5)
    order = torch.randperm(nside, generator=torch.Generator().manual_seed(2))
    assert connected_labels(nside, torch.stack([rising, falling])[:, order]).unique().tolist() == [
        0
    ]
    mixed = torch.cat([rising[::2], rising[1:4:2]])[None]
    assert connected_labels(nside, mixed).tolist() == [[0, 0, 0, 1, 2, 3, 4, 5, 0, 0]]


def test_no_windows() -> None:
    assert connected_labels(4, torch.zeros(0, 16, dtype=torch.int64)).shape == (0, 16)
