r"""Kernels averaged over a finite group: what training under full augmentation amounts to.

Let G act on inputs by ``x -> g x`` and on targets by orthogonal matrices rho(g), rho = 1 for
invariant ones, and let the kernel know no more of two inputs than how they lie to each other,
:math:`\Theta(g x, g x') = \Theta(x, x')`. Then

.. math:: \Theta_G(x, x') = \frac{1}{|G|} \sum_{g} \Theta(x, g x')\, \rho(g)

is the kernel whose gradient flow on the samples (x_i, y_i) predicts, in the mean over starts, at
every time and at every input, what that of Theta predicts when it learns from all |G| n samples
(g x_i, rho(g) y_i), at one rate on the mean loss (``geocore.kernels.gradient_flow``). So the mean
is equivariant, ``f(g x) = rho(g) f(x)``. ``geocore.kernels.augmented`` computes both sides. Source:
Gerken and Kessel, arXiv:2403.03103.

If every group convolution is without rotation support, Theta_G of the plain network *is* the kernel
of the group-convolutional one, ``LiftingConvolution`` ... ``GroupPool``: arXiv:2406.06504.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from geocore.groups.orbit import orbit
from geocore.kernels.composed import Kernels
from geocore.kernels.protocol import PairKernel, described
from geocore.testing import Group

# How far a kernel may be from invariance under both inputs' moves: in float32 the tangent kernel of
# inputs at a small angle is no better.
_JOINT = {torch.float32: 3e-3, torch.float64: 1e-6}
_CHECKED = 2  # samples of each side that are looked at
_SECONDS = 8  # elements that all others are multiplied with, at most

__all__ = [
    "EquivariantKernel",
    "Maps",
    "SymmetrisedKernel",
    "joint_deviation",
]


@dataclass(frozen=True)
class Maps:
    """A group given as the list of what its elements do to batches, the identity first."""

    maps: Sequence[Callable[[Tensor], Tensor]]
    name: str = "maps"

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.maps)))

    def act(self, element: int, x: Tensor) -> Tensor:
        """``g x``."""
        return self.maps[element](x)


def joint_deviation(kernel: PairKernel, group: Group, x: Tensor) -> float:
    """``max_g |Theta(g x_i, g x_j) - Theta(x_i, x_j)|`` and that of K, over the root mean square.

    0 to rounding is what the theorem asks of the kernel: so it is of convolutions on tori that end
    with a pool, where the group permutes pixels, and of dense layers, where it is orthogonal. NaN
    where an entry is.
    """
    moved = orbit(group, x)
    own = kernel.kernel(moved[0])
    found = [0.0]
    for images in moved[1:]:
        for one, two in zip(kernel.kernel(images), own, strict=True):
            scale = float(two.double().square().mean().sqrt())
            most = float((one - two).abs().max())
            found.append(0.0 if most == 0 else most / scale if scale else math.inf)
    return math.nan if any(map(math.isnan, found)) else max(found)


@dataclass(frozen=True)
class SymmetrisedKernel:
    """``mean_g K(x, g x')``, or of both inputs ``mean_{g, h} K(g x, h x')``; Theta alike.

    One side is enough of a kernel that is invariant under both together (``joint_deviation``), and
    ``|G|`` times cheaper; of any other only the two-sided mean is invariant and symmetric: of a
    convolution with windows that the group does not map onto each other, or of a group that
    interpolates pixels, as C_8 does. So with one side the first samples are looked at: a deviation
    above ``tolerance`` (1e-6, in float32 3e-3, if it is ``None``) is refused, and so are elements
    that are no group on them. With two sides nothing is looked at: moves that are no group give a
    kernel that is as invariant as they come near to one.

    A ``PairKernel`` of its own. Raises ``ValueError`` for other ``sides``, a tolerance below 0,
    what is refused, and where ``orbit`` does.
    """

    base: PairKernel
    group: Group
    sides: Literal["one", "two"] = "one"
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.sides not in ("one", "two"):
            raise ValueError(f"sides is {self.sides!r}; expected 'one' or 'two'")
        _expect_tolerance(self.tolerance)

    def kernel(self, x1: Tensor, x2: Tensor | None = None) -> Kernels:
        """``(n1, n2)`` each; of ``x1`` with itself symmetric to the last bit."""
        if self.sides == "one":
            _look(self.base, self.group, x1, self.tolerance)
        lefts = orbit(self.group, x1) if self.sides == "two" else x1[None]
        rights = orbit(self.group, x1 if x2 is None else x2)
        each = [self.base.kernel(one, two) for one in lefts for two in rights]
        nngp, ntk = (torch.stack(kind).mean(dim=0) for kind in zip(*each, strict=True))
        if x2 is None:
            nngp, ntk = ((k + k.T) / 2 for k in (nngp, ntk))
        return Kernels(nngp, ntk)

    def diagonal(self, x: Tensor) -> Kernels:
        """``(n,)`` each: the diagonals of ``kernel(x)``."""
        if self.sides == "one":
            _look(self.base, self.group, x, self.tolerance)
        moved = orbit(self.group, x)
        found = []
        for place in range(len(x)):
            own = moved[:, place]
            found.append(self.base.kernel(own if self.sides == "two" else own[:1], own))
        nngp, ntk = (torch.stack([k.mean() for k in kind]) for kind in zip(*found, strict=True))
        return Kernels(nngp, ntk)

    def describe(self) -> str:
        """The base's words, the group's name and the sides."""
        return f"symmetrised({described(self.base)}, {_named(self.group)}, {self.sides})"


@dataclass(frozen=True)
class EquivariantKernel:
    """``mean_g K(x, g x') rho(g)``, for vectors that transform: ``f(g x) = rho(g) f(x)``.

    ``matrices (order, d, d)`` are the orthogonal rho(g), in the group's order. The base must be
    invariant under both inputs' moves together, which is looked at as ``SymmetrisedKernel`` does,
    to ``tolerance``. Raises ``ValueError`` for matrices that are not orthogonal, of which the first
    is not the identity, or whose products are none of them; and once samples come, for a base that
    is not invariant and matrices that are no representation: ``rho(g) rho(h)`` must be ``rho(g h)``
    with the ``g h`` that moves the first sample as ``h`` and then ``g`` do.
    """

    base: PairKernel
    group: Group
    matrices: Tensor
    tolerance: float | None = None

    def __post_init__(self) -> None:
        order, shape = sum(1 for _ in self.group), tuple(self.matrices.shape)
        if len(shape) != 3 or shape[0] != order or shape[1] != shape[2]:
            raise ValueError(f"matrices has shape {shape}; expected ({order}, d, d)")
        wide = self.matrices.double()
        unit = torch.eye(shape[1]).to(wide)
        off = float((wide @ wide.mT - unit).abs().max().maximum((wide[0] - unit).abs().max()))
        if not off <= 1e-6:
            raise ValueError(
                f"matrices is off orthogonal ones, the identity first, by {off:.3g}; expected those"
            )
        _expect_tolerance(self.tolerance)
        flat = wide.flatten(1)
        for g in range(order):
            off = float(torch.cdist((wide[g] @ wide).flatten(1), flat).amin(dim=1).max())
            if not off <= 1e-5:
                raise ValueError(
                    f"a product of matrices[{g}] with another is off each of them by {off:.3g}; "
                    "expected a representation, closed under products"
                )

    def blocks(self, x1: Tensor, x2: Tensor | None = None) -> Kernels:
        """``(n1, d, n2, d)`` each: of output a at ``x1_i`` and output b at ``x2_j``."""
        _look(self.base, self.group, x1, self.tolerance, self.matrices)
        rights = orbit(self.group, x1 if x2 is None else x2)
        each = [self.base.kernel(x1, images) for images in rights]
        found = []
        for kind in zip(*each, strict=True):
            k = torch.einsum("gij,gab->iajb", torch.stack(kind), self.matrices.to(kind[0]))
            k = k / len(rights)
            found.append((k + k.permute(2, 3, 0, 1)) / 2 if x2 is None else k)
        return Kernels(*found)

    def kernel(self, x1: Tensor, x2: Tensor | None = None) -> Kernels:
        """``(n1 d, n2 d)`` each, sample by sample: the kernel of inputs ``(x, a)``."""
        return Kernels(*(k.flatten(2).flatten(0, 1) for k in self.blocks(x1, x2)))


def _expect_tolerance(tolerance: float | None) -> None:
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}; expected 0 or more, or None")


def _look(
    base: PairKernel,
    group: Group,
    x: Tensor,
    tolerance: float | None,
    matrices: Tensor | None = None,
) -> None:
    """Refuses what a mean over one side is not enough for, by what it does to the first samples."""
    real = x.real.dtype if x.is_complex() else x.dtype
    most = _JOINT.get(real, 1e-6) if tolerance is None else tolerance
    if math.isinf(most) or not len(x):
        return
    some = x[:_CHECKED]
    _expect_group(group, some[:1], most, matrices)
    off = joint_deviation(base, group, some)
    if not off <= most:
        raise ValueError(
            f"the kernel moves by {off:.3g} of itself where {_called(group)} moves both inputs; "
            f"expected at most {most:g}, or SymmetrisedKernel(..., sides='two')"
        )


def _expect_group(group: Group, x: Tensor, most: float, matrices: Tensor | None) -> None:
    """``g (h x)`` must be one of the images ``k x``; the matrices must know ``k = g h``.

    Some ``h``, from all over the group. Where several ``k`` move ``x`` alike, one that fits does.
    """
    images, elements = orbit(group, x).flatten(1), list(group)
    scale = float(images.abs().square().mean().sqrt()) or 1.0
    step = max(1, len(elements) // _SECONDS)
    for h in range(0, len(elements), step):
        there = images[h].view_as(x)
        for g, element in enumerate(elements):
            off = (group.act(element, there).flatten() - images).abs().amax(dim=1) / scale
            if not float(off.min()) <= most:
                raise ValueError(
                    f"element {g} after {h} of {_called(group)} moves a sample as no element does, "
                    f"off by {float(off.min()):.3g} of its size; expected a group"
                )
            if matrices is None:
                continue
            product = matrices[g].double() @ matrices[h].double()
            apart = (product - matrices[(off <= most).to(matrices.device)].double()).abs()
            if not float(apart.amax(dim=(1, 2)).min()) <= 1e-5:
                raise ValueError(
                    f"matrices[{g}] matrices[{h}] is not the matrix of the element that moves a "
                    f"sample as {h} and then {g} do; expected a representation of {_called(group)}"
                )


def _called(group: Group) -> str:
    return str(getattr(group, "name", type(group).__name__))


def _named(group: Group) -> str:
    name = getattr(group, "name", None)
    if not isinstance(name, str):
        raise ValueError(
            f"{type(group).__name__} has no name; expected one, for the kernel's words"
        )
    return name
