"""What an S2CNN is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from geocore.models.s2cnn.activation import ActivationName, GridName, second_moment
from geocore.models.s2cnn.kernels import KernelGrid, s2_kernel_grid, so3_kernel_grid

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """What an S2CNN is made of: its layers, their kernels, what stands between them.

    ``features`` and ``bandlimits`` are those of the layers on SO(3), the first of which lifts from
    the sphere. A kernel reaches ``min(pi, reach pi / b)`` from the identity, where ``b`` is the
    bandlimit of the layer before; 6.19 is the published one for every layer. ``activation`` is a
    function on a grid ``oversampling`` times finer, or ``"tensor_product"``. ``norm`` stands after
    each convolution. ``recompute`` saves memory for time (``SO3Activation``).

    ``orders`` (one entry a layer) keeps the orders ``|n| < orders[i]`` in the last angle alone:
    signals of a few directions at each point of a sphere (``steered.py``), many times cheaper. Then
    ``bandlimits`` must not grow, and nothing is recomputed.
    """

    bandlimit: int
    features: tuple[int, ...]
    bandlimits: tuple[int, ...]
    activation: ActivationName | Literal["tensor_product"] = "relu"
    oversampling: float = 2.0
    sampling: GridName = "driscoll-healy"
    norm: Literal["none", "sample", "channel"] = "none"
    kernel: Literal["distinct", "published"] = "distinct"
    points: tuple[int, int, int] = (8, 3, 8)
    reach: float = 6.19
    recompute: bool = False
    orders: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.features or len(self.features) != len(self.bandlimits):
            found = f"{len(self.features)} and {len(self.bandlimits)} entries"
            raise ValueError(f"features and bandlimits have {found}; expected as many, at least 1")
        for name in ("features", "bandlimits"):
            if min(getattr(self, name)) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected positive integers")
        if self.bandlimit < 1:
            raise ValueError(f"bandlimit is {self.bandlimit}; expected a positive integer")
        if self.norm not in ("none", "sample", "channel"):
            raise ValueError(f"norm is {self.norm!r}; expected 'none', 'sample' or 'channel'")
        if self.orders is not None:
            self._check_orders(self.orders)

    def _check_orders(self, orders: tuple[int, ...]) -> None:
        bands = self.bandlimits
        if len(orders) != len(bands):
            raise ValueError(f"orders has {len(orders)} entries; expected {len(bands)}")
        # What a layer reads of the one before must hold its orders.
        if any(not 1 <= n <= b for n, b in zip(orders, [*bands[1:], bands[-1]], strict=True)):
            raise ValueError(f"orders is {orders}; expected 1 to the bandlimit that the next reads")
        if any(later > earlier for earlier, later in pairwise([self.bandlimit, *bands])):
            raise ValueError(f"bandlimits is {bands} with orders; expected none to grow")
        if self.activation == "tensor_product":
            raise ValueError("activation is 'tensor_product' with orders; expected a function")
        if self.recompute:
            raise ValueError("recompute is True with orders; expected False")

    @classmethod
    def published_segmenter(cls) -> Layout:
        """The segmentation network of 2202.03990: 204,073 parameters with 11 classes."""
        return cls(
            bandlimit=50,
            features=(11, 12, 13, 14, 13, 12, 11),
            bandlimits=(42, 35, 27, 20, 27, 35, 42),
            kernel="published",
            oversampling=1.0,
        )

    def s2_kernel(self) -> KernelGrid:
        return s2_kernel_grid(self._max_beta(self.bandlimit), *self.points[:2])

    def so3_kernel(self, bandlimit: int) -> KernelGrid:
        return so3_kernel_grid(self._max_beta(bandlimit), *self.points, grid=self.kernel)

    @property
    def gain(self) -> float:
        """What a convolution makes up for of the activation before it."""
        if self.activation == "tensor_product":
            return 1.0
        return 1 / second_moment(self.activation)

    @property
    def function(self) -> ActivationName:
        """The activation where it is a function of the values."""
        if self.activation == "tensor_product":
            raise ValueError("activation is 'tensor_product'; expected a function")
        return self.activation

    def _max_beta(self, bandlimit: int) -> float:
        return min(math.pi, self.reach * math.pi / bandlimit)
