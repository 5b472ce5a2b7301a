"""What the Fourier transforms on the sphere and on SO(3) have in common."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from geocore.so3.orders import all_orders, of_conjugate
from geocore.so3.quadrature import grid_sizes

__all__ = ["Transform", "check_signal"]


class Transform(nn.Module):
    """Samples on a grid <-> coefficients of degrees below ``bandlimit``; see the subclasses.

    A subclass says how many ``axes`` of orders its coefficients have, what shapes samples and
    coefficients are of, and how real signals are transformed; a complex one is two of those.
    """

    axes: int
    grid_shape: tuple[int, ...]
    coefficient_shape: tuple[int, ...]

    def __init__(self, bandlimit: int, grid: str, sampling: int | None, real: bool) -> None:
        super().__init__()
        self.bandlimit, self.grid, self.real = bandlimit, grid, real
        self.sampling = grid_sizes(bandlimit, sampling)

    @abstractmethod
    def _analyse(self, samples: Tensor) -> Tensor:
        """Real samples -> coefficients of ``m >= 0``."""

    @abstractmethod
    def _synthesise(self, coefficients: Tensor) -> Tensor:
        """Coefficients of ``m >= 0`` -> real samples."""

    def forward(self, samples: Tensor) -> Tensor:
        """Samples ``(..., *grid_shape)`` -> coefficients ``(..., *coefficient_shape)``."""
        check_signal("samples", samples, self.grid_shape, complex_valued=not self.real)
        if self.real:
            return self._analyse(samples)
        parts = self._analyse(torch.stack([samples.real, samples.imag]))
        full = all_orders(parts, self.axes)
        return full[0] + 1j * full[1]

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Coefficients ``(..., *coefficient_shape)`` -> samples ``(..., *grid_shape)``.

        Of a real signal's coefficients with ``m = 0`` the part that breaks its symmetry has no
        meaning and is passed over.
        """
        check_signal("coefficients", coefficients, self.coefficient_shape, complex_valued=True)
        if self.real:
            return self._synthesise(coefficients)
        mirrored = of_conjugate(coefficients, self.axes)
        parts = torch.stack([(coefficients + mirrored) / 2, (coefficients - mirrored) / 2j])
        signals = self._synthesise(parts.narrow(-self.axes, self.bandlimit - 1, self.bandlimit))
        return torch.complex(signals[0], signals[1])


def check_signal(name: str, value: Tensor, shape: tuple[int, ...], *, complex_valued: bool) -> None:
    """Raise for a tensor that does not end in ``shape``, or is of the other kind of number."""
    if value.ndim < len(shape) or value.shape[value.ndim - len(shape) :] != shape:
        wanted = ", ".join(str(size) for size in shape)
        raise ValueError(f"{name} has shape {tuple(value.shape)}; expected (..., {wanted})")
    if complex_valued != value.is_complex() or not (complex_valued or value.is_floating_point()):
        kind = "complex numbers" if complex_valued else "floats"
        raise TypeError(f"{name} is {value.dtype}; expected {kind}")
