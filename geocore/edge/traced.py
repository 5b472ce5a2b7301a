"""What is known of a value while a module is traced: whose it is, how its axes lie, what is due.

A batch norm that cannot go into the layer before it and zeros around a value are due: the next
layer takes them into its own weights and padding, or refuses them by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from geocore.edge.nodes import Shape
from geocore.errors import UserError

__all__ = ["FIRST", "LAST", "Affine", "Padding", "Site", "Value"]

Padding = tuple[int, int, int, int]
FIRST, LAST = "nchw", "nhwc"
NONE: Padding = (0, 0, 0, 0)


@dataclass(frozen=True)
class Site:
    """One call in a forward: ``where`` errors say it is, the ``name`` of its node.

    ``sole`` is whether no more than one call reads what it gives.
    """

    where: str
    name: str
    sole: bool

    def refuse(self, found: str, expected: str) -> UserError:
        """``WHERE: is FOUND; expected EXPECTED``."""
        return UserError(f"{self.where}: is {found}; expected {expected}")


@dataclass(frozen=True)
class Affine:
    """``gain x + shift`` of a batch norm, a number a channel, or one a number of a flat value."""

    where: str
    gain: Tensor
    shift: Tensor


@dataclass(frozen=True)
class Value:
    """What node ``name`` gives, of ``shape (height, width, channels)``, as the module sees it.

    ``axes`` are ``nchw`` in some order, or those that a flat value ``(n, numbers)`` runs through
    after ``n``: ``chw`` of torch's own flattening.
    """

    name: str
    shape: Shape
    axes: str
    sole: bool
    padding: Padding = NONE
    affine: Affine | None = None

    @property
    def flat(self) -> bool:
        """Whether it is a vector a sample."""
        return len(self.axes) == 3

    @property
    def pixel(self) -> bool:
        """Whether it has no height and width, so that flat values of any order are the same."""
        return self.shape[:2] == (1, 1)

    def read_at(self, site: Site) -> Value:
        """The same after a call that changes nothing."""
        return replace(self, sole=self.sole and site.sole)

    def plain(self, site: Site) -> Value:
        """Itself. Raises ``UserError`` if a batch norm or padding is due."""
        if self.affine is not None:
            raise UserError(
                f"{self.affine.where}: is a batch norm that {site.where} reads; expected it "
                "directly after a convolution or linear layer, or before one without padding"
            )
        if self.padding != NONE:
            raise site.refuse("given a padded value", "zeros only around a convolution's input")
        return self

    def image(self, site: Site) -> Value:
        """Itself. Raises ``UserError`` unless its axes are ``(n, channels, height, width)``."""
        if self.axes != FIRST:
            raise site.refuse(
                f"given axes ({', '.join(self.axes if not self.flat else 'n' + self.axes)})",
                "(n, c, h, w): permute(0, 3, 1, 2) before it",
            )
        return self

    def flattened(self, axes: str) -> Value:
        """With all numbers of a sample in one row, in the order of ``axes``."""
        affine = self.affine
        if affine is not None:
            spread = [self._spread(part, axes) for part in (affine.gain, affine.shift)]
            affine = Affine(affine.where, *spread)
        return replace(self, axes=axes, affine=affine)

    def columns(self) -> Tensor:
        """Of a flat value: the place in it of each number in channels-last order."""
        height, width, channels = self.shape
        sizes = {"h": height, "w": width, "c": channels}
        places = torch.arange(height * width * channels)
        places = places.reshape([sizes[axis] for axis in self.axes])
        return places.permute([self.axes.index(axis) for axis in "hwc"]).flatten()

    def _spread(self, numbers: Tensor, axes: str) -> Tensor:
        height, width, channels = self.shape
        places = numbers.expand(height, width, channels)
        return places.permute(["hwc".index(axis) for axis in axes]).flatten()
