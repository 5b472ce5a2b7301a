"""A fixed sample of SO(3), to be acted with as finite groups are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from geocore.so3.rotation import quaternion_to_matrix
from geocore.so3.sampling import random_rotations

__all__ = ["SampledRotations"]


class SampledRotations(nn.Module):
    """The identity, then ``count - 1`` rotations drawn by the Haar measure from ``seed``.

    Means over its elements estimate Haar integrals; it is no group, since products of elements are
    not among them. Elements are ``0 .. count - 1``, and those of a smaller count are the first ones
    of a larger. ``build(R)`` makes the module that turns a batch by a matrix ``(3, 3)``, so that it
    acts on whatever can be turned:

    - HEALPix maps, interpolated: ``lambda R: MapRotation(nside, ALL_FACES, R)``
    - Driscoll-Healy maps, exact below the bandlimit: ``lambda R: S2Rotation(bandlimit, R)``

    Element 0 leaves everything as it is, without interpolation. ``matrices (count, 3, 3)`` is
    float64 wherever the module is; it is what ``pulled_back`` takes for vectors. Raises
    ``ValueError`` for a count below 1 and a negative seed.

    >>> from geocore.healpix.grid import ALL_FACES
    >>> from geocore.healpix.rotate import MapRotation
    >>> group = SampledRotations(lambda R: MapRotation(4, ALL_FACES, R), count=3, seed=0)
    >>> [tuple(group.act(g, torch.rand(2, 192, 1)).shape) for g in group]
    [(2, 192, 1), (2, 192, 1), (2, 192, 1)]
    """

    name = "sampled rotations"

    def __init__(self, build: Callable[[Tensor], nn.Module], count: int, seed: int) -> None:
        super().__init__()
        if count < 1:
            raise ValueError(f"count is {count}; expected at least 1")
        drawn = quaternion_to_matrix(random_rotations("so3", seed, np.arange(1, count)))
        self.matrices = torch.cat([torch.eye(3, dtype=torch.float64)[None], drawn])
        self.rotations = nn.ModuleList(build(matrix) for matrix in drawn)

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.order))

    @property
    def order(self) -> int:
        """How many elements there are, the identity included."""
        return len(self.matrices)

    def act(self, element: int, x: Tensor) -> Tensor:
        """``(R f)(v) = f(R^-1 v)`` of a batch, as the module that ``build`` made takes it."""
        self._check(element)
        if element == 0:
            return x
        turned: Tensor = self.rotations[element - 1](x)
        return turned

    def act_on_vectors(self, element: int, v: Tensor) -> Tensor:
        """``R v`` of vectors ``(..., 3)``: an action on targets, for ``full_orbit``."""
        self._check(element)
        if v.ndim == 0 or v.shape[-1] != 3:
            raise ValueError(f"v has shape {tuple(v.shape)}; expected (..., 3)")
        return v @ self.matrices[element].to(v).T

    def _check(self, element: int) -> None:
        if not 0 <= element < self.order:
            raise ValueError(f"element is {element}; expected 0 to {self.order - 1}")
