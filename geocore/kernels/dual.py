r"""Gaussian expectations of an activation and of its slope, in closed form.

For :math:`(u, v)` Gaussian of mean 0, variances :math:`a, b` and covariance :math:`k`,

.. math:: \hat s(k, a, b) = E[s(u)\,s(v)], \qquad \dot s(k, a, b) = E[s'(u)\,s'(v)].

An infinitely wide layer takes ``K <- dual`` and ``Theta <- slope dual * Theta``. Sources: Cho and
Saul, 2009 (ReLU); Tsuchida et al., arXiv:1711.09090 (leaky ReLU); Williams, 1997 (Erf); Tsuchida et
al., arXiv:2002.08517 (GELU).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Activation", "Erf", "Gelu", "Identity", "LeakyRelu", "Relu", "Variances"]

_ROUNDING = 1e-14  # what sums of thousands of terms are off by in float64, relatively

View = Callable[[Tensor], Tensor]


def _as_it_is(small: Tensor) -> Tensor:
    return small


@dataclass(frozen=True)
class Variances:
    """Variances of both arguments, and how each lies along the axes of the covariance.

    Functions of a variance are computed where it is small, before it is spread: ``pair(f, g)`` is
    ``f(left)`` and ``g(right)`` as they broadcast against the covariance. ``spread_right`` is
    ``right`` itself, spread, where that is known.
    """

    left: Tensor
    right: Tensor
    left_view: View = _as_it_is
    right_view: View = _as_it_is
    spread_right: Tensor | None = None

    def pair(self, first: View, second: View | None = None) -> tuple[Tensor, Tensor]:
        """``first(left)`` and ``second(right)``, ``second`` being ``first`` by default."""
        return self.left_view(first(self.left)), self.right_view((second or first)(self.right))

    def times(self, scale: float) -> Variances:
        """Both times ``scale``."""
        return Variances(self.left * scale, self.right * scale, self.left_view, self.right_view)

    def product(self, factor: float = 1.0) -> Tensor:
        """``factor a b``, a new tensor that broadcasts against the covariance."""
        right = self.right_view(self.right) if self.spread_right is None else self.spread_right
        return self.left_view(self.left if factor == 1 else self.left * factor) * right


class Activation(ABC):
    """An elementwise function with closed duals."""

    @abstractmethod
    def function(self, x: Tensor) -> Tensor:
        """``s(x)``: what the finite network does."""

    @abstractmethod
    def variance(self, a: Tensor) -> Tensor:
        """``E[s(u)^2]`` for ``u`` of variance ``a``: the dual where both arguments are one."""

    @abstractmethod
    def dual(self, k: Tensor, variances: Variances, slope: bool = True) -> tuple[Tensor, Tensor]:
        """``E[s(u) s(v)]`` and, unless ``slope`` is false, ``E[s'(u) s'(v)]``, of ``k``'s shape.

        Both are new tensors, finite for every covariance that rounding leaves, also where a
        variance is 0. Without ``slope`` the second is undefined.
        """

    def scaled_dual(
        self, k: Tensor, variances: Variances, scale: float, slope: bool = True
    ) -> tuple[Tensor, Tensor]:
        """``(p, q)`` for ``u, v`` of covariance ``scale k``, variances ``scale a``, ``scale b``:

        ``E[s(u) s(v)] = s p`` and ``scale E[s'(u) s'(v)] = s q``, ``s = scale_after(scale)``. So
        ``K = scale k`` becomes ``s p``, and ``Theta = scale t`` becomes ``s q t``: an activation
        chooses the ``s`` that saves passes over the entries.
        """
        if scale == 1:
            return self.dual(k, variances, slope)
        found, second = self.dual(k * scale, variances.times(scale), slope)
        return found, second * scale if slope else second

    def scaled_variance(self, a: Tensor, scale: float) -> Tensor:
        """``E[s(u)^2] / s`` for ``u`` of variance ``scale a``."""
        return self.variance(a * scale)

    def scale_after(self, scale: float) -> float:
        """``s`` of ``scaled_dual``."""
        return 1.0


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """``s(x) = x`` for ``x > 0``, else ``negative_slope x``; with ``r = sqrt(a b - k^2)``::

    E[s s]   = f (r + k c),   E[s' s'] = f c,   f = (1 - negative_slope)^2 / (2 pi)
    c = atan2(k, r) + pi / 2 + negative_slope / f

    For ``atan2(k, r)`` is ``pi / 2 - t`` with the angle ``t`` between both. It goes like the root
    of ``a b - k^2``: a rounding there would be 1e-8 in ``t``. So what is less than 2e-14 of ``a b``
    (16 roundings in float32) is taken for 0: parallel but for rounding is parallel. In float32 the
    tangent kernel of inputs at a small angle, or behind 40 layers, is good to 2e-3 only.

    Squares of variances must lie within the dtype: in float32 variances from 1e-18 to 1e18, and 0.
    ``scaled_variance`` raises ``ValueError`` for others, and every kernel asks for variances first.
    """

    negative_slope: float = 0.01

    @property
    def _factor(self) -> float:
        return (1 - self.negative_slope) ** 2 / (2 * math.pi)

    def function(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.negative_slope)

    def variance(self, a: Tensor) -> Tensor:
        return a * ((1 + self.negative_slope**2) / 2)

    def dual(self, k: Tensor, variances: Variances, slope: bool = True) -> tuple[Tensor, Tensor]:
        found, chance = self.scaled_dual(k, variances, 1.0, slope)
        scale = self.scale_after(1.0)
        return found.mul_(scale), chance.mul_(scale) if slope else chance

    def scaled_dual(
        self, k: Tensor, variances: Variances, scale: float, slope: bool = True
    ) -> tuple[Tensor, Tensor]:
        if not self._factor:  # the identity
            return k.clone(), torch.ones_like(k)
        product = variances.product()
        least = product * (2 * max(_ROUNDING, 8 * torch.finfo(k.dtype).eps))  # of the root's square
        whole = product.shape == k.shape
        root = torch.addcmul(product, k, k, value=-1, out=product if whole else None)
        # In place a comparison is 1 or 0 in numbers, which takes a third of the time of truths.
        whole = least.shape == k.shape
        root.mul_(least.lt_(root) if whole else least < root).sqrt_()
        chance = torch.atan2(k, root).add_(math.pi / 2 + self.negative_slope / self._factor)
        return root.addcmul_(chance, k), chance

    def scaled_variance(self, a: Tensor, scale: float) -> Tensor:
        least, most = (getattr(torch.finfo(a.dtype), end) ** 0.5 for end in ("tiny", "max"))
        smallest, largest = a.aminmax()
        if not (float(smallest) > 10 * least and float(largest) < most / 10):
            wrong = a[(a != 0) & ~((a > 10 * least) & (a < most / 10))]
            if wrong.numel():
                raise ValueError(self._refused(float(wrong[0]), scale, a.dtype))
        return a * ((1 + self.negative_slope**2) / (2 * (self._factor or 1)))

    def _refused(self, held: float, scale: float, dtype: torch.dtype) -> str:
        found, held_as = f"{held * scale:.3g}", f"{held:.3g}"
        return (
            f"a variance before {type(self).__name__} is {found}"
            f"{'' if held_as == found else f', held as {held_as}'}; expected one whose square "
            f"{str(dtype).removeprefix('torch.')} holds: other weights or inputs"
            f"{'' if dtype == torch.float64 else ', or float64'}"
        )

    def scale_after(self, scale: float) -> float:
        return scale * (self._factor or 1)


@dataclass(frozen=True)
class Relu(LeakyRelu):
    """``s(x) = max(x, 0)``: the leaky one without a leak, the arc-cosine kernel of degree 1."""

    negative_slope: float = 0.0


@dataclass(frozen=True)
class Erf(Activation):
    """``E[s s] = 2/pi asin(2k / root)`` and ``E[s' s'] = 4 / (pi sqrt((1+2a)(1+2b) - 4k^2))``.

    ``root = sqrt((1 + 2a)(1 + 2b))``; ``s(x) = 2/sqrt(pi) int_0^x exp(-t^2) dt``.
    """

    def function(self, x: Tensor) -> Tensor:
        return torch.erf(x)

    def variance(self, a: Tensor) -> Tensor:
        return torch.asin(2 * a / (1 + 2 * a)) * (2 / math.pi)

    def dual(self, k: Tensor, variances: Variances, slope: bool = True) -> tuple[Tensor, Tensor]:
        left, right = variances.pair(
            lambda a: 2 * (1 + 2 * a).rsqrt(), lambda b: (1 + 2 * b).rsqrt()
        )
        sine = (k * left).mul_(right)
        found = sine.asin().mul_(2 / math.pi)
        if not slope:
            return found, sine
        # 4 / pi over root cos t, with sin t from above; det >= 1 + 2a + 2b, so cos t > 0.
        scale, other = variances.pair(
            lambda a: (4 / math.pi) * (1 + 2 * a).rsqrt(), lambda b: (1 + 2 * b).rsqrt()
        )
        cosine = torch.addcmul(k.new_ones(()), sine, sine, value=-1)
        cosine = cosine.clamp_(min=torch.finfo(k.dtype).tiny).rsqrt_()
        return found, cosine.mul_(scale).mul_(other)


@dataclass(frozen=True)
class Gelu(Activation):
    """``s(x) = x Phi(x)``; with ``D = (1+a)(1+b) - k^2`` and ``t = atan(k / sqrt D)``::

    E[s s]   = k/4 + (k t + (k^2 + a b D) / ((1+a)(1+b) sqrt D)) / (2 pi)
    E[s' s'] = 1/4 + (t + k/sqrt D (1/D + (1 - a b) / ((1+a)(1+b)) + 1)) / (2 pi)

    ``D >= 1 + a + b``: nothing is singular.
    """

    def function(self, x: Tensor) -> Tensor:
        return F.gelu(x)

    def variance(self, a: Tensor) -> Tensor:
        root = (1 + 2 * a).sqrt()
        return a * (0.25 + (a / ((1 + a) * root) + torch.atan2(a, root) / 2) / math.pi)

    def dual(self, k: Tensor, variances: Variances, slope: bool = True) -> tuple[Tensor, Tensor]:
        a, b = variances.pair(_as_it_is)
        product = a * b
        enlarged = product + (a + b) + 1
        # (1+a)(1+b) - k^2, whose first and last terms nearly cancel where both are large.
        determinant = (product - k * k).clamp_(min=0) + (a + b) + 1
        inverse = determinant.rsqrt()
        angle = torch.atan2(k * inverse, k.new_ones(()))
        found = (k * k + product * determinant) / enlarged * inverse
        found = (found + k * angle) / (2 * math.pi) + k / 4
        if not slope:
            return found, angle
        rest = 1 / determinant + (1 - product) / enlarged + 1
        return found, (angle + rest * k * inverse) / (2 * math.pi) + 0.25


@dataclass(frozen=True)
class Identity(Activation):
    """``s(x) = x``: ``E[s s] = k``, ``E[s' s'] = 1``."""

    def function(self, x: Tensor) -> Tensor:
        return x

    def variance(self, a: Tensor) -> Tensor:
        return a

    def dual(self, k: Tensor, variances: Variances, slope: bool = True) -> tuple[Tensor, Tensor]:
        return k.clone(), torch.ones_like(k)
