"""What the tests of shifts share: cases, and geometry from healpy that the code does not use."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.healpix.grid import ALL_FACES, pixel_numbers
from geocore.healpix.shifts import ShiftPlan

FACE_SETS = [(5,), (0, 1, 2, 3), tuple(range(8)), ALL_FACES, (0, 1, 4, 6, 11)]
SIZES = [
    (nside, window) for nside in (4, 8, 16, 32) for window in (4, 16, 64) if window <= nside**2
]


def healpy() -> Any:
    return pytest.importorskip("healpy")


def all_labels(plan: ShiftPlan, window: int) -> Tensor:
    """A label for each slot of each window, ``(windows, window)``: 0 where there are none."""
    labels = torch.zeros(len(plan.permutation) // window, window, dtype=torch.int64)
    labels[plan.masked] = plan.labels.long()
    return labels


def groups(plan: ShiftPlan, window: int) -> Tensor:
    """The window and label of each token, as one number: tokens attend iff theirs is equal."""
    labels = all_labels(plan, window)
    number = torch.arange(len(labels))[:, None] * window + labels
    return number.reshape(-1)[plan.inverse]


@functools.cache
def adjacent_pairs(nside: int, faces: tuple[int, ...], edges_only: bool = False) -> Tensor:
    """Pairs of neighbouring tokens of the set, ``(2, pairs)``, each in both directions."""
    numbers = pixel_numbers(nside, faces)
    around = healpy().get_all_neighbours(nside, numbers.numpy(), nest=True)
    if edges_only:
        around = around[::2]  # SW, NW, NE, SE
    token = np.full(12 * nside**2 + 1, -1)
    token[numbers] = np.arange(len(numbers))
    found = token[around]  # -1 reads the last entry, which is no token
    first = np.broadcast_to(np.arange(len(numbers)), found.shape)
    pairs = np.stack([first[found >= 0], found[found >= 0]])
    return torch.from_numpy(pairs)


def components(tokens: int, pairs: Tensor) -> Tensor:
    """The component of each token in the graph of ``pairs``."""
    sparse = pytest.importorskip("scipy.sparse")
    graph = sparse.coo_array((np.ones(pairs.shape[1]), tuple(pairs.numpy())), (tokens, tokens))
    _, found = sparse.csgraph.connected_components(graph, directed=False)
    return torch.from_numpy(found).long()


@functools.cache
def window_corners(nside: int, faces: tuple[int, ...], window: int) -> Tensor:
    """For each token the corner of its window that its quarter has, numbered over the sphere."""
    count = nside // round(window**0.5)
    windows = pixel_numbers(count, faces).numpy()
    corners = healpy().boundaries(count, windows, step=1, nest=True)  # north, west, south, east
    quarters = corners[:, :, [2, 3, 1, 0]].transpose(0, 2, 1).reshape(-1, 3)
    place = np.round(quarters * 1e6).astype(np.int64) @ [1, 2**22, 2**44]
    _, cell = np.unique(place, return_inverse=True)
    return torch.from_numpy(cell).long().repeat_interleave(window // 4)
