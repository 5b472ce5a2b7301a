"""Labels and measured values as targets of kernel regression, and its answers in their terms.

A head turns what samples are labelled with into targets ``(n, outputs)`` of mean 0, as a prior of
mean 0 asks for, and the regression's mean and variance back. Both are immutable; what is fitted is
a new head.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from geocore.kernels.regression import targets
from geocore.measure.temperature import fit_temperature

__all__ = ["ClassificationHead", "Head", "RegressionHead"]

_FLATTEST = 1e6  # of an endless temperature: classes alike to one part in a million, in order still


class Head(Protocol):
    """From labels to targets, and from the regression's mean back to what labels are."""

    def targets(self, labels: Tensor, /) -> Tensor:
        """``(n, ...)`` -> ``(n, outputs)``, float64."""
        ...

    def predicted(self, mean: Tensor, /) -> Tensor:
        """``(m, outputs)`` -> ``(m, ...)``, as labels are."""
        ...


@dataclass(frozen=True)
class ClassificationHead:
    """``y = onehot(label) - 1 / C``; the mean's largest output is the class.

    ``softmax(mean / temperature)`` are probabilities: of targets that are a one-hot vector's the
    mean's scale says nothing, so it is fitted where labels are known (``fitted``); ``inf`` is what
    ``fit_temperature`` gives where scores say nothing. Raises ``ValueError`` for fewer than two
    classes and a temperature that is not above 0.
    """

    classes: int
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.classes < 2 or not self.temperature > 0:
            raise ValueError(
                f"classes and temperature are {self.classes} and {self.temperature}; expected at "
                "least 2, and above 0"
            )

    def targets(self, labels: Tensor) -> Tensor:
        """``labels (n,)``, integers -> ``(n, classes)``: rows sum to 0."""
        return targets(labels, self.classes)

    def fitted(self, mean: Tensor, labels: Tensor) -> ClassificationHead:
        """With the temperature that makes held-out ``labels (m,)`` likeliest."""
        return replace(self, temperature=fit_temperature(mean, labels))

    def predicted(self, mean: Tensor) -> Tensor:
        """``(m, classes)`` -> ``(m,)`` int64, whatever the temperature."""
        return mean.argmax(dim=1)

    def logits(self, mean: Tensor) -> Tensor:
        """``mean / temperature``, of an endless one as good as flat but in the mean's order."""
        largest = float(mean.abs().max())
        flattest = _FLATTEST * max(largest, torch.finfo(mean.dtype).tiny)
        return mean / min(self.temperature, flattest)


@dataclass(frozen=True)
class RegressionHead:
    """``y = (value - shift) / scale`` for each output: mean 0 and variance 1 of what was learned.

    Predictions come back in the values' units, their variance in the square of these.
    """

    shift: Tensor  # (outputs,)
    scale: Tensor

    @classmethod
    def of(cls, values: Tensor) -> RegressionHead:
        """Of the training ``values (n, outputs)``; one that is constant is only shifted.

        Raises ``ValueError`` for another shape, none, and for what is not finite.
        """
        if values.ndim != 2 or 0 in values.shape or not bool(values.isfinite().all()):
            found = tuple(values.shape)
            raise ValueError(f"values has shape {found}; expected finite (n, outputs)")
        wide = values.double()
        shift = wide.mean(dim=0)
        scale = (wide - shift).square().mean(dim=0).sqrt()
        least = 1e-12 * wide.abs().amax(dim=0)
        return cls(shift, torch.where(scale > least, scale, 1.0))

    def targets(self, values: Tensor) -> Tensor:
        """``(n, outputs)`` -> the same, float64. Raises ``ValueError`` for other shapes."""
        if values.ndim != 2 or values.shape[1:] != self.shift.shape:
            found = tuple(values.shape)
            raise ValueError(f"values has shape {found}; expected (n, {len(self.shift)})")
        return (values.double() - self.shift) / self.scale

    def predicted(self, mean: Tensor) -> Tensor:
        """``(m, outputs)`` -> the same, in the values' units."""
        return mean * self.scale + self.shift

    def variance(self, variance: Tensor) -> Tensor:
        """Of an output ``(m,)`` -> ``(m, outputs)``, in the square of the values' units."""
        return variance[:, None] * self.scale.square()
