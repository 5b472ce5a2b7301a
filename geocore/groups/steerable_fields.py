"""What a steerable network's channels are: features of C_n, D_n, SO(2) or O(2), and how they move.

Source: Weiler and Cesa, General E(2)-equivariant steerable CNNs, 2019; the survey 2105.13926. The
representations are escnn's, imported where they are needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import moved
from geocore.so3.escnn import import_escnn

__all__ = ["KINDS", "Element", "Feature", "Fields", "OnFields", "Symmetry", "gspace"]

KINDS = ("trivial", "regular", "circle", "irreducible", "vector", "tensor", "induced")
HIGHEST = 6  # frequency of the features of SO(2) and O(2)

Element = tuple[float, bool]


@dataclass(frozen=True)
class Symmetry:
    """``C_n``, with ``reflections`` ``D_n``; without ``n`` ``SO(2)`` and ``O(2)``.

    An element ``(angle, mirrored)`` is ``R(angle) F^mirrored``: ``R`` turns counter-clockwise by
    radians, x to the right and y up; ``F`` is ``x -> -x``, as in ``PlanarGroup``. Raises
    ``ValueError`` for ``n`` below 1, and for ``D_1``.
    """

    n: int | None
    reflections: bool = False

    def __post_init__(self) -> None:
        if self.n is not None and self.n < 1:
            raise ValueError(f"n is {self.n}; expected at least 1, or None for all rotations")
        if self.n == 1 and self.reflections:  # escnn has another group, C_2, in its place
            raise ValueError("n is 1 with reflections; expected at least 2")

    @classmethod
    def named(cls, name: str) -> Symmetry:
        """``C8``, ``D4``, ``SO2`` or ``O2``. Raises ``ValueError`` for another name."""
        if name in ("SO2", "O2"):
            return cls(None, name == "O2")
        if name[:1] in ("C", "D") and name[1:].isdecimal():
            return cls(int(name[1:]), name[0] == "D")
        raise ValueError(f"name is {name!r}; expected C<n>, D<n>, SO2 or O2")

    @property
    def name(self) -> str:
        """``C8``, ``D4``, ``SO2`` or ``O2``."""
        if self.n is None:
            return "O2" if self.reflections else "SO2"
        return f"{'D' if self.reflections else 'C'}{self.n}"

    def on_pixels(self) -> list[Element]:
        """The elements that permute the pixels of a square: quarter turns, mirrored or not."""
        turns = [q for q in range(4) if self.n is None or (q * self.n) % 4 == 0]
        return [
            (q * math.pi / 2, mirrored)
            for mirrored in ((False, True) if self.reflections else (False,))
            for q in turns
        ]

    def element(self, element: Element) -> Any:
        """The element as escnn has it. Raises ``ValueError`` for what the group does not hold."""
        angle, mirrored = element
        steps = 0.0 if self.n is None else angle * self.n / (2 * math.pi)
        if (mirrored and not self.reflections) or abs(steps - round(steps)) > 1e-9:
            raise ValueError(f"element is {element}; expected one of {self.name}")
        group = gspace(self).fibergroup
        turn = float(angle) if self.n is None else round(steps) % self.n
        return group.element((int(mirrored), turn) if self.reflections else turn)


@dataclass(frozen=True)
class Feature:
    """``multiplicity`` copies of one representation.

    - ``trivial``: a scalar; ``vector``: ``(x, y)``, which turns as points do; ``tensor``:
      ``(xx - yy, 2 xy)``, which turns twice as fast.
    - ``regular``: a function on a finite group, ``(g f)[h] = f[g^-1 h]``, ordered as
      ``PlanarGroup``.
    - ``circle``: of SO(2) and O(2), in its place, a function on the circle of frequencies up to
      ``frequency``: coefficients of 1, then ``sqrt(2) cos k t`` and ``sqrt(2) sin k t`` for k from
      1 on, where t is the angle from the mirror's axis.
    - ``irreducible``: ``frequency`` k turns by k times the angle. ``odd`` is, of frequency 0 with
      reflections, the sign ``(-1)^mirrored``.
    - ``induced`` from the irreducible ``frequency`` of C_m, m = ``subgroup``, which divides n; of
      D_n and O(2) without ``subgroup`` from all rotations. A vector of the subgroup a coset.

    Raises ``ValueError`` for another kind and for numbers that the kind does not have.
    """

    kind: str
    multiplicity: int = 1
    frequency: int = 0
    subgroup: int | None = None
    odd: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}; expected one of {', '.join(KINDS)}")
        if self.multiplicity < 1:
            raise ValueError(f"multiplicity is {self.multiplicity}; expected at least 1")
        if not 0 <= self.frequency <= HIGHEST:
            raise ValueError(f"frequency is {self.frequency}; expected 0 to {HIGHEST}")
        if self.kind == "circle" and not self.frequency:
            raise ValueError("frequency is 0 of a circle feature; expected at least 1")
        if self.frequency and self.kind not in ("irreducible", "induced", "circle"):
            raise ValueError(f"frequency is {self.frequency} of a {self.kind} feature; expected 0")
        if self.subgroup is not None and self.kind != "induced":
            raise ValueError(f"subgroup is {self.subgroup} of {self.kind}; expected None")
        if self.odd and (self.kind != "irreducible" or self.frequency):
            raise ValueError(f"odd is True of {self.kind} {self.frequency}; expected irreducible 0")


class Fields:
    """Channels that hold ``features`` in their order, each feature's copies side by side.

    Raises ``ValueError`` for features that the group does not have: regular ones of SO(2) and
    O(2), frequencies above n / 2, induced ones from what is no proper subgroup of finite index.
    """

    def __init__(self, symmetry: Symmetry, features: tuple[Feature, ...]) -> None:
        if not features:
            raise ValueError("features is empty; expected at least one")
        self.symmetry, self.features = symmetry, tuple(features)
        for feature in self.features:
            _check(symmetry, feature)

    @cached_property
    def representations(self) -> list[Any]:
        """The representation, as escnn has it, of one copy of each feature."""
        return [_representation(self.symmetry, feature) for feature in self.features]

    @property
    def sizes(self) -> list[int]:
        """Channels of one copy of each feature."""
        return [int(one.size) for one in self.representations]

    @property
    def size(self) -> int:
        """All channels."""
        return sum(f.multiplicity * size for f, size in zip(self.features, self.sizes, strict=True))

    def is_permuted(self, feature: Feature) -> bool:
        """Whether the group permutes the feature's channels: what a pointwise function needs."""
        even = feature.frequency == 0 and not feature.odd
        return feature.kind not in ("vector", "tensor", "circle") and even

    def block(self, number: int) -> int:
        """Channels of feature ``number`` that stay together under the group: a vector's."""
        feature, size = self.features[number], self.sizes[number]
        if feature.kind == "regular":
            return 1
        return size // self._cosets(feature)

    def constant(self, number: int) -> Tensor | None:
        """What the group leaves alone in a copy of feature ``number``, ``(size,)``, or None.

        A bias goes along it.
        """
        feature, size = self.features[number], self.sizes[number]
        if feature.kind == "circle":
            return torch.eye(size, dtype=torch.float64)[0]
        return torch.ones(size, dtype=torch.float64) if self.is_permuted(feature) else None

    def matrix(self, element: Element) -> Tensor:
        """``rho(g)`` on all channels: orthogonal ``(size, size)``, float64."""
        g = self.symmetry.element(element)
        blocks = [
            torch.as_tensor(one(g), dtype=torch.float64)
            for feature, one in zip(self.features, self.representations, strict=True)
            for _ in range(feature.multiplicity)
        ]
        together: Tensor = torch.block_diag(*blocks)
        return together

    def _cosets(self, feature: Feature) -> int:
        if feature.kind != "induced":
            return 1
        if self.symmetry.n is None:
            return 2
        order = self.symmetry.n * (2 if self.symmetry.reflections else 1)
        return order // (feature.subgroup or self.symmetry.n)


class OnFields:
    """``(g f)(p) = rho(g) f(g^-1 p)`` for the elements that permute pixels.

    On ``(..., size of the fields, height, width)``, as ``geocore.testing.assert_equivariant``
    takes it. In float64 exact to rounding.
    """

    def __init__(self, fields: Fields) -> None:
        self.fields, self.name = fields, f"{fields.symmetry.name} on fields"

    def __iter__(self) -> Iterator[Element]:
        return iter(self.fields.symmetry.on_pixels())

    def act(self, element: Element, x: Tensor) -> Tensor:
        """Moves the pixels and mixes the channels, the third axis from the last."""
        angle, mirrored = element
        quarter = round(angle * 2 / math.pi) + 4 * mirrored
        there = moved(PlanarGroup(4, True), quarter, x)
        return torch.einsum("ij,...jxy->...ixy", self.fields.matrix(element).to(x), there)


@lru_cache(maxsize=32)
def gspace(symmetry: Symmetry) -> Any:
    """The space of the group; as escnn has it; its mirror is ``F``."""
    spaces = import_escnn().gspaces
    make = spaces.flipRot2dOnR2 if symmetry.reflections else spaces.rot2dOnR2
    if symmetry.n is None:
        return make(-1, maximum_frequency=HIGHEST)
    return make(symmetry.n)


def _representation(symmetry: Symmetry, feature: Feature) -> Any:
    space, k = gspace(symmetry), feature.frequency
    if feature.kind == "trivial":
        return space.trivial_repr
    if feature.kind == "regular":
        return space.regular_repr
    if feature.kind == "circle":
        parts = [space.irrep(min(i, 1), i) if symmetry.reflections else space.irrep(i)
                 for i in range(k + 1)]  # fmt: skip
        return import_escnn().group.directsum(parts, name=f"circle_{k}")
    if feature.kind == "vector":
        return space.basespace_action
    if feature.kind == "tensor":  # as the basespace_action is O(2)'s first frequency
        return import_escnn().group.o2_group(HIGHEST).irrep(1, 2).restrict(space._sg_id)
    if feature.kind == "irreducible":
        return space.irrep(int(feature.odd or k > 0), k) if symmetry.reflections else space.irrep(k)
    rotations = feature.subgroup or symmetry.n or -1
    named = (None, rotations) if symmetry.reflections else rotations
    subgroup, _, _ = space.fibergroup.subgroup(named)
    return space.induced_repr(named, subgroup.irrep(k))


def _check(symmetry: Symmetry, feature: Feature) -> None:
    n, name = symmetry.n, symmetry.name
    if feature.kind == "regular" and n is None:
        raise ValueError(f"kind is 'regular' of {name}; expected a finite group")
    if feature.kind == "circle" and n is not None:
        raise ValueError(f"kind is 'circle' of {name}; expected SO2 or O2, else regular features")
    if feature.odd and not symmetry.reflections:
        raise ValueError(f"odd is True of {name}; expected a group with reflections")
    turning = n
    if feature.kind == "induced":
        turning = feature.subgroup or n
        if n is None and (not symmetry.reflections or feature.subgroup is not None):
            raise ValueError(
                f"subgroup is {feature.subgroup} of {name}; expected one of finite index: "
                "that of all rotations of O2"
            )
        if n is not None and (
            n % (turning or 1) or (turning == n and not symmetry.reflections) or (turning or 0) < 1
        ):
            raise ValueError(
                f"subgroup is {feature.subgroup} of {name}; expected a proper divisor of {n}"
            )
    if turning is not None and 2 * feature.frequency > turning:
        raise ValueError(
            f"frequency is {feature.frequency} of C{turning}; expected at most {turning // 2}"
        )
