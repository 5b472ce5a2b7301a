"""The isometries that take HEALPix pixels to pixels, exactly: quarter turns, and all sixteen.

They are the symmetries of a square prism (D4h): the quarter turns about z, the half turns about
the horizontal axes at multiples of 45 degrees, and the products of these with the reflection in
the horizontal plane. Every other isometry takes some pixel centre off the centres.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from geocore.healpix.arithmetic import nest_to_xyf, xyf_to_nest
from geocore.healpix.checks import ALL_FACES, Ordering, check_faces, check_nside, check_ordering
from geocore.healpix.grid import nside_of, pixel_numbers, ring_order

__all__ = ["GridSymmetries", "QuarterTurns", "grid_symmetry", "quarter_turn"]

_TURNS, _MIRROR_Y, _MIRROR_Z = 4, 4, 8  # element = turns + 4 (y -> -y first) + 8 (z -> -z first)


def grid_symmetry(
    nside: int,
    element: int,
    faces: Sequence[int] = ALL_FACES,
    ordering: Ordering = "nested",
) -> Tensor:
    """``(g x)[..., p, :] = x[..., perm[p], :]``: a map carried along by one of the 16 isometries.

    The law is ``centres[p] = M centres[perm[p]]`` with ``M = GridSymmetries.matrix(element)``: a
    turn by ``90 (element % 4)`` degrees about z after ``y -> -y`` (4 is added for it) and
    ``z -> -z`` (8). In nested order a turn keeps the index inside a face, ``y -> -y`` exchanges
    the in-face coordinates, and ``z -> -z`` takes ``(x, y)`` to ``(n - 1 - y, n - 1 - x)``.

    Returns ``perm``, ``(npix,)`` int64. Raises ``ValueError`` for an element that there is not, and
    if it takes one of ``faces`` to a face that is not among them.
    """
    check_nside(nside)
    check_ordering(ordering)
    faces = check_faces(faces)
    if not 0 <= element < 16:
        raise ValueError(f"element is {element}; expected 0 to 15")
    sources = [_source(face, element) for face in faces]
    if set(sources) != set(faces):
        raise ValueError(f"faces is {faces}; expected a set that {_told(element)} keeps")
    place = {face: number for number, face in enumerate(faces)}
    moved = torch.tensor([place.get(_source(face, element), 0) for face in ALL_FACES])

    x, y, face = nest_to_xyf(nside, pixel_numbers(nside, faces))
    if element & _MIRROR_Z:
        x, y = nside - 1 - y, nside - 1 - x
    if element & _MIRROR_Y:
        x, y = y, x
    nested = xyf_to_nest(nside, x, y, moved[face])
    if ordering == "nested":
        return nested
    order = ring_order(nside, faces)
    return order.argsort()[nested[order]]


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
    return grid_symmetry(nside, turns % 4, faces, ordering)


class _PixelGroup:
    """A group of isometries acting on maps of any resolution by permutations of their pixels."""

    name: str
    elements: tuple[int, ...]  # as `grid_symmetry` numbers them, the identity first
    identity = 0

    def __init__(
        self, nside: int, faces: Sequence[int] = ALL_FACES, ordering: Ordering = "nested"
    ) -> None:
        self.nside = nside
        self.faces = check_faces(faces)
        self.ordering: Ordering = ordering
        self._perms: dict[int, dict[int, Tensor]] = {}
        self._of(nside)

    def __iter__(self) -> Iterator[int]:
        return iter(self.elements)

    def __len__(self) -> int:
        return self.order

    @property
    def order(self) -> int:
        """How many elements there are."""
        return len(self.elements)

    def compose(self, first: int, second: int) -> int:
        """The element that acts as ``second``, then ``first``."""
        # M = R^t S with a mirror S; y -> -y turns a turn round.
        turns = second % _TURNS if not first & _MIRROR_Y else -second % _TURNS
        mirrors = (first ^ second) & (_MIRROR_Y | _MIRROR_Z)
        return (first + turns) % _TURNS | mirrors

    def inverse(self, element: int) -> int:
        """The element that undoes ``element``."""
        return element if element & _MIRROR_Y else (-element % _TURNS) | (element & _MIRROR_Z)

    def matrix(self, element: int) -> Tensor:
        """The isometry ``(3, 3)`` in float64, with exact entries."""
        cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[element % _TURNS]
        y, z = (-1 if element & mirror else 1 for mirror in (_MIRROR_Y, _MIRROR_Z))
        rows = [[cos, -sin * y, 0], [sin, cos * y, 0], [0, 0, z]]
        return torch.tensor(rows, dtype=torch.float64)

    def act(self, element: int, x: Tensor) -> Tensor:
        """Move maps ``(..., npix, channels)`` whose nside follows from ``npix``.

        Raises ``ValueError`` if ``npix`` is no HEALPix map of the group's faces, or for an element
        that the group has not.
        """
        if x.ndim < 2:
            found = tuple(x.shape)
            raise ValueError(f"x has shape {found}; expected (..., npix, channels)")
        perms = self._of(nside_of(x.shape[-2], self.faces))
        if element not in perms:
            raise ValueError(f"element is {element}; expected one of {self.elements}")
        return x.index_select(-2, perms[element].to(x.device))

    def _of(self, nside: int) -> dict[int, Tensor]:
        if nside not in self._perms:
            self._perms[nside] = {
                element: grid_symmetry(nside, element, self.faces, self.ordering)
                for element in self.elements
            }
        return self._perms[nside]


class QuarterTurns(_PixelGroup):
    """The cyclic group of the four quarter turns about z, acting on maps of any resolution.

    Iterating gives its elements, the numbers of turns 0 to 3. ``act(g, x)`` rotates the maps
    ``x``, and ``act(g, act(h, x)) = act(compose(g, h), x)``. A map may have any nside, so the same
    group acts on a network's input and on the tokens of every stage. ``faces`` must be closed
    under the turns (whole rows 0-3, 4-7, 8-11), else ``ValueError``.
    """

    name = "quarter turns about z"
    elements = (0, 1, 2, 3)


class GridSymmetries(_PixelGroup):
    """The isometries that permute the pixels of a set of faces, acting as ``QuarterTurns`` do.

    On all 12 faces they are 16, of which eight are rotations; of fewer faces those that keep the
    set (which always are a group). ``rotations=True`` leaves the reflections out: what remains
    keeps a picture readable.
    """

    name = "symmetries of the grid"

    def __init__(
        self,
        nside: int,
        faces: Sequence[int] = ALL_FACES,
        ordering: Ordering = "nested",
        *,
        rotations: bool = False,
    ) -> None:
        kept = check_faces(faces)
        self.elements = tuple(
            element
            for element in range(16)
            if {_source(face, element) for face in kept} == set(kept)
            and not (rotations and bool(element & _MIRROR_Y) != bool(element & _MIRROR_Z))
        )
        super().__init__(nside, faces, ordering)


def _source(face: int, element: int) -> int:
    """The face that an element takes to ``face``."""
    row, column = divmod(face, 4)
    column -= element % _TURNS
    if element & _MIRROR_Y:
        column = -column if row == 1 else -column - 1  # the caps' faces lie between the axes
    if element & _MIRROR_Z:
        row = 2 - row
    return 4 * row + column % 4


def _told(element: int) -> str:
    mirrors = [f"{axis} -> -{axis}" for axis, bit in (("y", 4), ("z", 8)) if element & bit]
    turn = f"{element % _TURNS * 90} degrees"
    return f"{' and '.join(mirrors)}, then {turn}," if mirrors else turn
