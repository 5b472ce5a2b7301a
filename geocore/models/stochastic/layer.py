"""What the layers with random weights have in common: noise, weights really used, prior."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["ChoosingLayer", "DroppingLayer", "Form", "StochasticLayer", "check_form"]

Form = Literal["matching", "published"]


class StochasticLayer(nn.Module, ABC):
    """``y_b = f(x_b; theta(omega, u_b))``: each sample ``b`` uses weights ``theta`` of its own.

    ``omega`` is what is learned, ``weight`` and ``bias``; ``u`` are uniform numbers in [0, 1),
    float32 ``(batch, *noise_shape)`` whatever the dtype of the weights. They are those of
    ``noise`` if somebody has set it, else drawn from torch's own random state. ``train()`` and
    ``eval()`` are alike: a prediction is a draw too. ``noise`` is no part of the state; whoever
    sets it clears it by ``None``.

    ``theta_shape`` is the shape of one sample's weights, with the output features first; ``sets``
    of them are learned, stacked in front if there is more than one. ``noise_shape`` is set by the
    concrete layer. Raises ``ValueError`` for lengths below 1.
    """

    noise_shape: tuple[int, ...]
    noise: Tensor | None
    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self, theta_shape: tuple[int, ...], *, sets: int, bias: bool, dtype: torch.dtype
    ) -> None:
        super().__init__()
        if min(theta_shape) < 1:
            raise ValueError(f"shape of the weights is {theta_shape}; expected positive integers")
        front = (sets,) if sets > 1 else ()
        self.theta_shape = theta_shape
        self.noise = None
        self.weight = nn.Parameter(torch.empty(*front, *theta_shape, dtype=dtype))
        if bias:
            self.bias = nn.Parameter(torch.empty(*front, theta_shape[0], dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.initialise()

    @abstractmethod
    def sample(self, x: Tensor, u: Tensor) -> Tensor:
        """``f(x_b; theta(omega, u_b))`` for each sample ``b``.

        Raises ``ValueError`` for other shapes of ``x`` and ``u`` than the layer's.
        """

    @abstractmethod
    def realised(self, u: Tensor) -> tuple[Tensor, Tensor | None]:
        """``theta(omega, u_b)``: ``(batch, *theta_shape)``, and biases ``(batch, out)``.

        The readable form of what ``sample`` uses, a weight for each sample.
        """

    @abstractmethod
    def coefficients(self, form: Form) -> dict[str, float]:
        """The prior's ``c`` of each parameter, ``weight`` and, if there is one, ``bias``."""

    def forward(self, x: Tensor) -> Tensor:
        if self.noise is None:
            drawn = torch.rand(len(x), *self.noise_shape, dtype=torch.float32, device=x.device)
            return self.sample(x, drawn)
        self.check_noise("noise", self.noise, (len(x),))
        return self.sample(x, self.noise)

    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Normal weights of variance 1 / fan-in, cut at two standard deviations; biases zero.

        The law of ``geocore.models.initialise``. Several sets are drawn independently. Without a
        ``generator`` torch's own random state is used, as ``nn.Linear`` does.
        """
        std = math.prod(self.theta_shape[1:]) ** -0.5
        nn.init.trunc_normal_(self.weight, std=std, a=-2 * std, b=2 * std, generator=generator)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def check_noise(self, name: str, u: Tensor, batch: tuple[int, ...]) -> None:
        """Raises ``ValueError`` unless ``u`` has the shape ``(*batch, *noise_shape)``."""
        expected = (*batch, *self.noise_shape)
        if u.shape != expected:
            raise ValueError(f"{name} has shape {tuple(u.shape)}; expected {expected}")


class DroppingLayer(StochasticLayer):
    """``theta = omega z s`` with ``z`` 1 with probability ``1 - p`` and else 0; bias as it is.

    ``s = 1 / (1 - p)`` with ``rescale``, so that ``E theta = omega``, else 1. A weight is kept
    where ``u >= p``: ``p = 0`` keeps all. Hence ``E ||theta||^2 = c ||omega||^2`` with ``c =
    1 / (1 - p)`` with ``rescale``, else ``1 - p``: the "matching" form. The "published" one is
    ``1 - p`` with either. Raises ``ValueError`` for ``p`` outside [0, 1).
    """

    def __init__(
        self,
        theta_shape: tuple[int, ...],
        p: float,
        rescale: bool,
        *,
        bias: bool,
        dtype: torch.dtype,
    ) -> None:
        if not 0 <= p < 1:
            raise ValueError(f"p is {p}; expected at least 0 and below 1")
        super().__init__(theta_shape, sets=1, bias=bias, dtype=dtype)
        self.p, self.rescale = float(p), rescale

    @property
    def scale(self) -> float:
        """What a kept weight is multiplied by."""
        return 1 / (1 - self.p) if self.rescale else 1.0

    def coefficients(self, form: Form) -> dict[str, float]:
        check_form(form)
        matches = 1 / (1 - self.p) if self.rescale else 1 - self.p
        found = {"weight": matches if form == "matching" else 1 - self.p}
        return found if self.bias is None else {**found, "bias": 1.0}

    def _biases(self, batch: int) -> Tensor | None:
        return None if self.bias is None else self.bias.expand(batch, -1)


class ChoosingLayer(StochasticLayer):
    """Each output unit uses the first of two learned weight sets where ``u < 1/2``, else the other.

    A set of a unit is its row of ``weight`` and its ``bias``; the two lie at ``weight[0]`` and
    ``weight[1]``. ``noise_shape`` is ``(out,)``. ``E ||theta||^2 = 1/2 (||omega_0||^2 +
    ||omega_1||^2)``: ``c = 1/2`` in both forms, biases included.
    """

    def __init__(self, theta_shape: tuple[int, ...], *, bias: bool, dtype: torch.dtype) -> None:
        super().__init__(theta_shape, sets=2, bias=bias, dtype=dtype)
        self.noise_shape = theta_shape[:1]

    def coefficients(self, form: Form) -> dict[str, float]:
        check_form(form)
        found = {"weight": 0.5}
        return found if self.bias is None else {**found, "bias": 0.5}

    def realised(self, u: Tensor) -> tuple[Tensor, Tensor | None]:
        self.check_noise("u", u, (len(u),))
        second = u >= 0.5
        rows = second.view(*second.shape, *[1] * (len(self.theta_shape) - 1))
        theta = torch.where(rows, self.weight[1], self.weight[0])
        if self.bias is None:
            return theta, None
        return theta, torch.where(second, self.bias[1], self.bias[0])


def check_form(form: str) -> None:
    """Raises ``ValueError`` for anything but "matching" and "published"."""
    if form not in ("matching", "published"):
        raise ValueError(f"form is {form!r}; expected 'matching' or 'published'")
