"""Layers of infinitely wide networks: dense, activation, pooling, layer norm, residual sum.

Every affine layer has the NTK parametrisation ``z = s W h / sqrt(fan_in) + b v`` with entries of
``W`` and ``v`` from N(0, 1): ``s`` is ``weight_std``, ``b`` is ``bias_std``. A layer says how it
changes the kernels (``forward``) and what must hold of its input (``plan``); its finite twin stands
in ``geocore.kernels.twins``. Sources: Lee et al., arXiv:1711.00165; Jacot et al., arXiv:1806.07572;
Novak et al., arXiv:1912.02803.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.kernels import dual
from geocore.kernels.state import KernelState
from geocore.so3.checks import is_whole

__all__ = [
    "Affine",
    "AveragePool",
    "Dense",
    "Elementwise",
    "Erf",
    "Flatten",
    "Form",
    "Gelu",
    "GlobalAveragePool",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyRelu",
    "Relu",
]


@dataclass(frozen=True)
class Form:
    """What a layer may ask of its input before anything is computed.

    ``size`` is the map's height and width, ``None`` for plain vectors; ``gaussian`` says that
    channels are independent Gaussians given the input of the network, as behind an affine layer;
    ``group`` is the group that the maps are functions of, ``None`` for plain ones.
    """

    size: tuple[int, int] | None
    gaussian: bool = False
    group: PlanarGroup | None = None


class Layer(ABC):
    """One step of a network: how it moves the kernels."""

    mixes_positions = False
    """Whether it needs the covariance of different positions (or copies) of two inputs."""
    needs_variances = False
    """Whether it needs the variances of both inputs."""

    @property
    def name(self) -> str:
        """The layer's name in messages."""
        return type(self).__name__

    @abstractmethod
    def plan(self, form: Form) -> Form:
        """The output's form. Raises ``ValueError`` for an input that the layer cannot take."""

    @abstractmethod
    def forward(self, state: KernelState) -> KernelState:
        """The kernels after the layer."""


@dataclass(frozen=True)
class Affine(Layer):
    """Standard deviations of weights and biases. Raises ``ValueError`` for what are none."""

    weight_std: float = field(default=1.0, kw_only=True)
    bias_std: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        if not 0 < self.weight_std < math.inf:
            raise ValueError(f"weight_std is {self.weight_std}; expected above 0, finite")
        if not 0 <= self.bias_std < math.inf:
            raise ValueError(f"bias_std is {self.bias_std}; expected 0 or more, finite")


@dataclass(frozen=True)
class Dense(Affine):
    """``K <- s^2 K + b^2``, ``Theta <- K_new + s^2 Theta``, of vectors."""

    def plan(self, form: Form) -> Form:
        _expect_vectors(self, form)
        return replace(form, gaussian=True)

    def forward(self, state: KernelState) -> KernelState:
        return state.weighted(self.weight_std**2, self.bias_std**2)


class Elementwise(Layer, dual.Activation):
    """``K <- E[s(u) s(v)]``, ``Theta <- E[s'(u) s'(v)] Theta``, behind an affine layer only.

    Elsewhere arguments are not Gaussian, and there is no closed form: ``ValueError``.
    """

    needs_variances = True

    def plan(self, form: Form) -> Form:
        if not form.gaussian:
            raise ValueError(f"{self.name} follows no affine layer; expected Dense or Convolution")
        return replace(form, gaussian=False)

    def forward(self, state: KernelState) -> KernelState:
        variances, state = state.ask()
        nngp, ntk, own, scale = state.nngp, state.ntk, state.own, state.scale
        after = self.scale_after(scale)
        if nngp is not None and variances is not None:
            nngp, slope = self.scaled_dual(nngp, variances, scale, slope=ntk is not None)
            ntk = None if ntk is None else slope.mul_(ntk)
        if own is not None:
            own = self.scaled_variance(own, scale)
        return state.but(nngp=nngp, ntk=ntk, own=own).scaled(after)


@dataclass(frozen=True)
class Relu(Elementwise, dual.Relu):
    """``max(x, 0)``."""


@dataclass(frozen=True)
class LeakyRelu(Elementwise, dual.LeakyRelu):
    """``max(x, 0) + negative_slope min(x, 0)``. Raises ``ValueError`` for no finite slope."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.negative_slope):
            raise ValueError(f"negative_slope is {self.negative_slope}; expected a finite number")


@dataclass(frozen=True)
class Erf(Elementwise, dual.Erf):
    """``erf(x)``."""


@dataclass(frozen=True)
class Gelu(Elementwise, dual.Gelu):
    """``x Phi(x)``."""


@dataclass(frozen=True)
class Identity(Layer):
    """Nothing: the plain way past a residual branch."""

    def plan(self, form: Form) -> Form:
        return form

    def forward(self, state: KernelState) -> KernelState:
        return state


@dataclass(frozen=True)
class Flatten(Layer):
    """Maps to vectors: ``K <- mean_p K(p, p)``, for what follows divides by all it sums over.

    Where no pooling comes before it, other pairs of positions are never computed.
    """

    def plan(self, form: Form) -> Form:
        _expect_no_group(self, form)
        return replace(form, size=None)

    def forward(self, state: KernelState) -> KernelState:
        if state.layout == "flat":
            return state

        def diagonal(k: Tensor) -> Tensor:
            if state.layout == "displaced":
                k = k[..., 0, 0].movedim(4, 2)
            if state.layout == "pairs":
                k = k.diagonal(dim1=2, dim2=5).diagonal(dim1=2, dim2=4)
            return k.sum(dim=(-2, -1))

        pixels = math.prod(state.size)
        state = state.mapped(diagonal, lambda v: v.sum(dim=(-2, -1)))
        return state.scaled(state.scale / pixels).but(layout="flat")


@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """``h <- mean_p h(p)``: ``K <- mean_{p, q} K(p, q)``, and Theta alike."""

    mixes_positions = True

    def plan(self, form: Form) -> Form:
        _expect_maps(self, form)
        return replace(form, size=None)

    def forward(self, state: KernelState) -> KernelState:
        if state.layout == "flat":  # summed already, as displacements came
            return state.pooled()
        pixels = math.prod(state.size) ** 2
        state = state.mapped(self.sums, lambda v: v)
        return state.scaled(state.scale / pixels).but(layout="flat").pooled()

    @staticmethod
    def sums(k: Tensor) -> Tensor:
        """Over all pairs of positions: ``(blocks, T, h, w, G, ., .)`` -> ``(blocks, T, G)``."""
        return k.flatten(2, 3).sum(dim=2).sum(dim=(-2, -1))


@dataclass(frozen=True)
class AveragePool(Layer):
    """Means over windows of ``window x window`` pixels without padding, each ``stride`` on.

    ``K(P, Q) <- mean_{p in P, q in Q} K(p, q)``; ``stride`` is ``window`` by default. Raises
    ``ValueError`` for what is no integer of at least 1, and in a group network for windows that a
    rotation moves.
    """

    window: int
    stride: int | None = None
    mixes_positions = True

    def __post_init__(self) -> None:
        if not all(is_whole(number) and number >= 1 for number in (self.window, self.step)):
            found = f"{self.window} and {self.step}"
            raise ValueError(f"window and stride are {found}; expected integers >= 1")

    @property
    def step(self) -> int:
        """``stride`` with its default."""
        return self.window if self.stride is None else self.stride

    def plan(self, form: Form) -> Form:
        height, width = _expect_maps(self, form)
        if min(height, width) < self.window:
            raise ValueError(f"window is {self.window} on maps {height} x {width}; expected less")
        if form.group is not None and (height - self.window) % self.step:
            raise ValueError(
                f"windows of {self.window}, each {self.step} on, leave pixels of {height} over; "
                f"expected windows that {form.group.name} maps onto each other"
            )
        size = tuple((side - self.window) // self.step + 1 for side in (height, width))
        return replace(form, size=(size[0], size[1]))

    def forward(self, state: KernelState) -> KernelState:
        def mean(k: Tensor) -> Tensor:
            for axis in (2, 3, 5, 6):
                k = k.unfold(axis, self.window, self.step).mean(dim=-1)
            return k

        return state.as_pairs().mapped(mean, lambda v: v).pooled()


@dataclass(frozen=True)
class LayerNorm(Layer):
    """``h / sqrt(eps + mean h^2)`` over channels, at each position: ``K <- K / sqrt((a+e)(b+e))``.

    Behind an affine layer only, where the mean over channels is 0 and that of the squares the
    variance; they are constants of training, so that Theta is divided alike. Raises ``ValueError``
    for an ``eps`` below 0.
    """

    eps: float = 1e-12
    needs_variances = True

    def __post_init__(self) -> None:
        if not 0 <= self.eps < math.inf:
            raise ValueError(f"eps is {self.eps}; expected 0 or more, finite")

    def plan(self, form: Form) -> Form:
        if not form.gaussian:
            raise ValueError("LayerNorm follows no affine layer; expected Dense or Convolution")
        return form

    def forward(self, state: KernelState) -> KernelState:
        variances, state = state.ask()
        eps = self.eps / state.scale
        if variances is not None:
            left, right = variances.pair(lambda a: (a + eps).rsqrt())
            state = state.mapped(lambda k: (k * left).mul_(right), lambda v: v)
        state = state.mapped(lambda k: k, lambda v: v / (v + eps))
        return state.but(scale=1.0)


def _expect_maps(layer: Layer, form: Form) -> tuple[int, int]:
    if form.size is None:
        raise ValueError(f"{layer.name} is given vectors; expected maps (height, width)")
    return form.size


def _expect_vectors(layer: Layer, form: Form) -> None:
    if form.size is not None:
        raise ValueError(
            f"{layer.name} is given maps {form.size}; expected Flatten or GlobalAveragePool before"
        )
    _expect_no_group(layer, form)


def _expect_no_group(layer: Layer, form: Form) -> None:
    if form.group is not None:
        raise ValueError(
            f"{layer.name} is given functions of {form.group.name}; expected GroupPool before it"
        )
