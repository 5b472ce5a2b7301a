"""Convolutions of infinitely wide networks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from torch import Tensor

from geocore.kernels.layers import Affine, Form
from geocore.kernels.state import KernelState
from geocore.kernels.windows import Padding, map_sum, output_size, window_sum
from geocore.so3.checks import is_whole

__all__ = ["Convolution"]

# Which axes of a covariance move with the window, along the height and along the width.
_AXES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "pairs": ((2, 5), (3, 6)),
    "displaced": ((2,), (3,)),  # q - p stays
}


@dataclass(frozen=True)
class Convolution(Affine):
    """``K(p, q) <- s^2 <K>(p, q) + b^2`` and ``Theta <- K_new + s^2 <Theta>``, on maps.

    ``<K>(p, q)`` is the mean of ``K(p + t, q + t)`` over the whole window, also where zeros lie in
    it. ``kernel_size`` is one number or (height, width), ``padding`` as ``windows.padding_amounts``
    says, ``stride`` takes every so many-th position. Raises ``ValueError`` for what is no
    integer of at least 1, other paddings and windows that do not fit.
    """

    kernel_size: int | tuple[int, int] = 3
    stride: int = field(default=1, kw_only=True)
    padding: Padding = field(default="same", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        size = self.kernel_size
        numbers = [*(size if isinstance(size, tuple) else (size, size)), self.stride]
        if len(numbers) != 3 or not all(is_whole(number) and number >= 1 for number in numbers):
            found = f"{size} and {self.stride}"
            raise ValueError(
                f"kernel_size and stride are {found}; expected at least 1: an integer or two, and "
                "an integer"
            )
        if self.padding not in ("valid", "same", "circular"):
            raise ValueError(f"padding is {self.padding!r}; expected valid, same or circular")

    @property
    def taps(self) -> tuple[int, int]:
        """Height and width of the filter."""
        size = self.kernel_size
        return (size, size) if isinstance(size, int) else size

    @property
    def keeps_displacement(self) -> bool:
        """Whether the layout ``displaced`` stays: on the torus, one pixel on."""
        return self.padding == "circular" and self.stride == 1

    def plan(self, form: Form) -> Form:
        if form.group is not None:
            raise ValueError(
                f"Convolution is given functions of {form.group.name}; expected GroupConvolution"
            )
        return self.placed(form)

    def placed(self, form: Form) -> Form:
        """The form with the size of the output."""
        if form.size is None:
            raise ValueError(f"{self.name} is given vectors; expected maps (height, width)")
        height, width = (
            output_size(size, taps, self.stride, self.padding)
            for size, taps in zip(form.size, self.taps, strict=True)
        )
        return replace(form, size=(height, width), gaussian=True)

    def forward(self, state: KernelState) -> KernelState:
        if state.layout == "displaced" and not self.keeps_displacement:
            state = state.as_pairs()

        def sums(k: Tensor, axes: tuple[tuple[int, ...], tuple[int, ...]]) -> Tensor:
            for along, taps in zip(axes, self.taps, strict=True):
                k = window_sum(k, along, taps, self.stride, self.padding)
            return k

        if state.layout == "diagonal":
            state = state.mapped(*[lambda k: map_sum(k, self.taps, self.stride, self.padding)] * 2)
        else:
            axes = _AXES[state.layout]
            state = state.mapped(lambda k: sums(k, axes), lambda v: sums(v, ((2,), (3,))))
        return state.weighted(self.weight_std**2 / math.prod(self.taps), self.bias_std**2)
