"""The quarter turns about the z axis: rotations that take HEALPix pixels to pixels, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from geocore.healpix.grid import (
    ALL_FACES,
    Ordering,
    check_faces,
    check_nside,
    check_ordering,
    nside_of,
    ring_order,
)

__all__ = ["QuarterTurns", "quarter_turn"]


def quarter_turn(
    nside: int,
    faces: Sequence[int] = ALL_FACES,
    turns: int = 1,
    ordering: Ordering = "nested",
) -> Tensor:
    """``(R x)[..., p, :] = x[..., perm[p], :]``: a map rotated by ``turns * 90`` degrees about +z.

    The law is ``centres[p] = R centres[perm[p]]``, as ``(R f)(d) = f(R^-1 d)``. In nested order
    the in-face index stays and face ``f`` takes its values from ``4 (f // 4) + (f - turns) % 4``.
    Returns ``perm``, ``(npix,)`` int64. Raises ``ValueError`` if the rotation takes one of
    ``faces`` to a face that is not among them.
    """
    check_nside(nside)
    check_ordering(ordering)
    faces = check_faces(faces)
    sources = [4 * (face // 4) + (face - turns) % 4 for face in faces]
    if set(sources) != set(faces):
        raise ValueError(f"faces is {faces}; expected a set that {turns % 4 * 90} degrees keep")
    first = torch.tensor([faces.index(face) for face in sources]) * nside**2
    nested = (first[:, None] + torch.arange(nside**2)).reshape(-1)
    if ordering == "nested":
        return nested
    order = ring_order(nside, faces)
    return order.argsort()[nested[order]]


class QuarterTurns:
    """The cyclic group of the four quarter turns about z, acting on maps of any resolution.

    Iterating gives its elements, the numbers of turns 0 to 3. ``act(g, x)`` rotates the maps
    ``x``, and ``act(g, act(h, x)) = act(compose(g, h), x)``. A map may have any nside, so the same
    group acts on a network's input and on the tokens of every stage. ``faces`` must be closed
    under the turns (whole rows 0-3, 4-7, 8-11), else ``ValueError``.
    """

    name = "quarter turns about z"
    identity = 0

    def __init__(
        self, nside: int, faces: Sequence[int] = ALL_FACES, ordering: Ordering = "nested"
    ) -> None:
        self.nside = nside
        self.faces = check_faces(faces)
        self.ordering: Ordering = ordering
        self._turns = {nside: [quarter_turn(nside, faces, turns, ordering) for turns in self]}

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.order))

    def __len__(self) -> int:
        return self.order

    @property
    def order(self) -> int:
        """How many elements there are."""
        return 4

    def compose(self, first: int, second: int) -> int:
        """The element that acts as ``second``, then ``first``."""
        return (first + second) % self.order

    def inverse(self, element: int) -> int:
        """The element that undoes ``element``."""
        return -element % self.order

    def matrix(self, element: int) -> Tensor:
        """The rotation ``(3, 3)`` in float64, with exact entries."""
        cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[element % self.order]
        rows = [[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]
        return torch.tensor(rows, dtype=torch.float64)

    def act(self, element: int, x: Tensor) -> Tensor:
        """Rotate maps ``(..., npix, channels)`` whose nside follows from ``npix``.

        Raises ``ValueError`` if ``npix`` is no HEALPix map of the group's faces.
        """
        if x.ndim < 2:
            found = tuple(x.shape)
            raise ValueError(f"x has shape {found}; expected (..., npix, channels)")
        nside = nside_of(x.shape[-2], self.faces)
        if nside not in self._turns:
            self._turns[nside] = [
                quarter_turn(nside, self.faces, turns, self.ordering) for turns in self
            ]
        return x.index_select(-2, self._turns[nside][element % self.order].to(x.device))
