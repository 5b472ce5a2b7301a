"""What stands on the ground, as one table: a row a solid, four kinds of them.

Every solid is upright: its own frame has its z up, and is turned about z by ``yaw``.

==========  =====================================================  ===========================
kind        points in the solid's own frame                        ``size``, ``taper``
==========  =====================================================  ===========================
BOX         ``|x| <= a - p (z + c)``, ``|y| <= b - q (z + c)``,    ``(a, b, c)``, ``(p, q)``
            ``|z| <= c``
FRUSTUM     ``x^2 + y^2 <= (a - p (z + c))^2``, ``|z| <= c``       ``(a, a, c)``, ``(p, p)``
ELLIPSOID   ``(x/a)^2 + (y/b)^2 + (z/c)^2 <= 1``                   ``(a, b, c)``
PLATE       ``x = 0``, ``(y/b, z/c)`` in a shape (``Shape``)       ``(0, b, c)``
==========  =====================================================  ===========================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Kind", "Material", "Shape", "SolidList", "Solids"]

Colour = Sequence[float]


class Kind(IntEnum):
    """The geometry of a solid."""

    BOX = 0
    FRUSTUM = 1
    ELLIPSOID = 2
    PLATE = 3


class Shape(IntEnum):
    """The outline of a plate inside ``|y| <= b``, ``|z| <= c``."""

    RECTANGLE = 0
    DISC = 1
    TRIANGLE = 2
    TRIANGLE_DOWN = 3
    DIAMOND = 4
    OCTAGON = 5


class Material(IntEnum):
    """How a surface is coloured: a function of ``shading``."""

    PLAIN = 0
    FACADE = 1
    ROOF = 2
    BODYWORK = 3
    CABIN = 4
    WHEEL = 5
    HEAD = 6
    LEAVES = 7
    SIGN = 8


@dataclass(frozen=True)
class Solids:
    """The table: arrays with a row a solid; lengths in metres, colours linear in 0..1."""

    kind: npt.NDArray[np.int64]
    label: npt.NDArray[np.uint8]
    material: npt.NDArray[np.int64]
    centre: npt.NDArray[np.float64]
    size: npt.NDArray[np.float64]
    yaw: npt.NDArray[np.float64]
    taper: npt.NDArray[np.float64]
    colour: npt.NDArray[np.float64]
    accent: npt.NDArray[np.float64]
    detail: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.kind)

    def bounds(self) -> npt.NDArray[np.float64]:
        """Radii of spheres about ``centre`` that hold the solids, ``(n,)``."""
        square = self.size**2
        corner = np.sqrt(square.sum(-1))
        round_ = np.sqrt(square[:, 0] + square[:, 2])
        largest = self.size.max(-1)
        choices = [corner, round_, largest, corner]
        return np.asarray(np.choose(self.kind, choices), dtype=np.float64)


@dataclass
class SolidList:
    """Collects solids, one call each; ``table()`` hands the rows on."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def box(
        self,
        label: int,
        centre: Sequence[float],
        size: Sequence[float],
        colour: Colour,
        *,
        yaw: float = 0.0,
        taper: Sequence[float] = (0.0, 0.0),
        material: Material = Material.PLAIN,
        accent: Colour = (0.0, 0.0, 0.0),
        detail: Sequence[float] = (),
    ) -> None:
        """A box with half-sizes ``size``; ``taper`` is what a metre up takes off each half."""
        self._add(Kind.BOX, label, centre, size, colour, yaw, taper, material, accent, detail)

    def frustum(
        self,
        label: int,
        foot: Sequence[float],
        height: float,
        radius: float,
        colour: Colour,
        *,
        top: float | None = None,
        material: Material = Material.PLAIN,
        detail: Sequence[float] = (),
    ) -> None:
        """A round post on ``foot``, from ``radius`` there to ``top`` (the same if None)."""
        slope = 0.0 if top is None else (radius - top) / height
        centre = (foot[0], foot[1], foot[2] + height / 2)
        size, taper = (radius, radius, height / 2), (slope, slope)
        self._add(
            Kind.FRUSTUM, label, centre, size, colour, 0.0, taper, material, (0, 0, 0), detail
        )

    def ellipsoid(
        self,
        label: int,
        centre: Sequence[float],
        size: Sequence[float],
        colour: Colour,
        *,
        yaw: float = 0.0,
        material: Material = Material.PLAIN,
        accent: Colour = (0.0, 0.0, 0.0),
        detail: Sequence[float] = (),
    ) -> None:
        """An ellipsoid with semi-axes ``size``."""
        self._add(
            Kind.ELLIPSOID, label, centre, size, colour, yaw, (0, 0), material, accent, detail
        )

    def plate(
        self,
        label: int,
        centre: Sequence[float],
        size: Sequence[float],
        colour: Colour,
        *,
        yaw: float,
        shape: Shape,
        accent: Colour = (0.0, 0.0, 0.0),
        detail: Sequence[float] = (),
    ) -> None:
        """A flat plate of half-width and half-height ``size``; its face looks along ``yaw``."""
        whole = [float(shape), *detail]
        size = (0.0, *size)
        self._add(
            Kind.PLATE, label, centre, size, colour, yaw, (0, 0), Material.SIGN, accent, whole
        )

    def table(self) -> Solids:
        """The rows so far; a row's ``detail`` is filled up to six numbers with zeros."""

        def column(name: str, width: int) -> npt.NDArray[np.float64]:
            values = np.zeros((len(self.rows), width))
            for row, found in zip(values, self.rows, strict=True):
                row[: len(found[name])] = found[name]
            return values

        def numbers(name: str) -> list[Any]:
            return [row[name] for row in self.rows]

        return Solids(
            kind=np.array(numbers("kind"), dtype=np.int64),
            label=np.array(numbers("label"), dtype=np.uint8),
            material=np.array(numbers("material"), dtype=np.int64),
            centre=column("centre", 3),
            size=column("size", 3),
            yaw=np.array(numbers("yaw"), dtype=np.float64),
            taper=column("taper", 2),
            colour=column("colour", 3),
            accent=column("accent", 3),
            detail=column("detail", 6),
        )

    def _add(
        self,
        kind: Kind,
        label: int,
        centre: Sequence[float],
        size: Sequence[float],
        colour: Colour,
        yaw: float,
        taper: Sequence[float],
        material: Material,
        accent: Colour,
        detail: Sequence[float],
    ) -> None:
        self.rows.append(
            {
                "kind": int(kind),
                "label": label,
                "material": int(material),
                "centre": centre,
                "size": size,
                "yaw": yaw,
                "taper": taper,
                "colour": colour,
                "accent": accent,
                "detail": detail,
            }
        )
