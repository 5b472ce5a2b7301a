"""The Jacobian of a chain of linear maps and activations, as the product of its layers' own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from geocore.explain.hidden import HiddenMap

__all__ = [
    "RowSpace",
    "ScaledJacobian",
    "chain_jacobian",
    "is_chain",
    "linear_gaussian_exponent",
    "row_space",
]

_POINTWISE = (
    nn.Identity, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Softplus,
    nn.Sigmoid, nn.Tanh, nn.Hardtanh, nn.Softsign,
)  # fmt: skip
_RESCALED = 8  # linear maps between two looks at the size of a product


class ScaledJacobian(NamedTuple):
    """``J = exp(log_scale) matrix``, so that hundreds of layers neither overflow nor vanish."""

    matrix: Tensor  # (..., batch, hidden, inputs)
    log_scale: Tensor  # (..., batch)

    @property
    def value(self) -> Tensor:
        """J itself, ``(..., batch, hidden, inputs)``."""
        return self.matrix * self.log_scale.exp()[..., None, None]


def is_chain(hidden: HiddenMap) -> bool:
    """Whether it is made of linear maps, functions of each number, and flattening at its start."""
    return hidden.chain is not None and all(
        type(part) in (nn.Linear, *_POINTWISE) or (type(part) is nn.Flatten and place == 0)
        for place, (_, part) in enumerate(hidden.chain)
    )


class RowSpace(NamedTuple):
    """``W_1 = first axes^T``, the axes orthonormal: no input but those in their span matters."""

    first: Tensor  # (members or 1, features, k)
    axes: Tensor  # (members or 1, inputs, k)


def row_space(hidden: HiddenMap, given: Mapping[str, Tensor]) -> RowSpace | None:
    """Of a chain whose first linear map has fewer features ``k`` than inputs; None of any other.

    ``J = (J axes) axes^T``: so ``J`` has the singular values of ``J axes``, which is narrower, and
    its right-singular vectors are the axes times those. ``given`` as ``HiddenMap.placed`` gives it.
    """
    parts = [(n, part) for n, part in hidden.chain or () if not isinstance(part, nn.Flatten)]
    name, part = parts[0]
    if not isinstance(part, nn.Linear) or part.out_features >= part.in_features:
        return None
    weight = given.get(f"{name}.weight", part.weight[None]).detach()
    axes, rest = torch.linalg.qr(weight.mT)
    return RowSpace(rest.mT.contiguous(), axes)


def chain_jacobian(
    hidden: HiddenMap,
    x: Tensor,
    parameters: Mapping[str, Tensor] | None = None,
    space: RowSpace | None = None,
) -> ScaledJacobian:
    """``J_L = D_L W_L ... D_1 W_1``, with ``D_l`` the activation's slopes at layer l.

    ``x (batch, ...)``; with stacked ``parameters (members, *shape)`` by name the result has
    ``members`` in front; with the ``space`` of ``row_space`` it is ``J_L axes``. Takes the product
    from the input on, the cheap way round for few inputs, and in the layout (member, feature,
    sample), whose longest axis is the last. Raises ``ValueError`` for other layers (``is_chain``).
    Source: Storm et al., arXiv:2306.12548.
    """
    if not is_chain(hidden) or hidden.chain is None:
        found = type(hidden.network).__name__
        raise ValueError(f"network is {found}; expected a chain of linear maps and activations")
    given = hidden.placed(parameters)
    members = len(next(iter(given.values()))) if given else 1
    flat = x.flatten(1)
    batch, inputs = flat.shape
    state = flat.mT.expand(members, inputs, batch)
    product: Tensor | None = None  # (members, features, inputs, batch)
    log_scale, count = flat.new_zeros(members, batch), 0
    with torch.no_grad():
        for name, part in hidden.chain:
            if isinstance(part, nn.Linear):
                weight = given.get(f"{name}.weight", part.weight[None])
                state = weight @ state
                if part.bias is not None:
                    state = state + given.get(f"{name}.bias", part.bias[None])[..., None]
                if count % _RESCALED == _RESCALED - 1 and product is not None:
                    size = _largest(product)
                    product, log_scale = product / size[:, None, None], log_scale + size.log()
                count += 1
                if product is None:
                    first = weight if space is None else space.first
                    product = first[..., None].expand(members, -1, -1, batch)
                else:
                    columns = product.shape[2:]
                    product = (weight @ product.flatten(2)).unflatten(2, columns)
            elif not isinstance(part, nn.Flatten):
                state, slopes = _with_slopes(part, state)
                # What stands before the first linear map acts on the inputs themselves.
                if product is None:
                    product = torch.eye(inputs).to(flat).expand(members, -1, -1)[..., None]
                product = product * slopes[:, :, None]
        assert product is not None  # a chain has a linear map
        size = _largest(product)
        product, log_scale = product / size[:, None, None], log_scale + size.log()
    matrix = product.permute(0, 3, 1, 2)
    return ScaledJacobian(*((matrix, log_scale) if given else (matrix[0], log_scale[0])))


def linear_gaussian_exponent(variance: float, width: int) -> float:
    """``lambda = 1/2 [log 2 sigma^2 + psi(N/2)]``: layers ``W`` with entries of ``N(0, sigma^2)``.

    The mean of ``log |W v|`` for any unit ``v`` of N numbers; per layer the growth of every fixed
    vector, and of the longest one of a deep network. Raises ``ValueError`` for a variance that is
    not above 0 and for no width. Source: Newman, Commun. Math. Phys. 103 (1986); as printed in
    arXiv:2306.12548 it lacks the factor 1/2.
    """
    if not variance > 0 or width < 1:
        raise ValueError(f"variance, width are {variance}, {width}; expected above 0, at least 1")
    psi = float(torch.digamma(torch.tensor(width / 2, dtype=torch.float64)))
    return 0.5 * (math.log(2 * variance) + psi)


def _with_slopes(part: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """``s(x)`` and ``s'(x)`` of a function of each number: the gradient of the sum."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        out = part(leaf.clone())  # which it may overwrite
        return out.detach(), torch.autograd.grad(out.sum(), leaf)[0]


def _largest(product: Tensor) -> Tensor:
    """The largest modulus of each sample, ``(members, batch)``; 1 where all are 0."""
    size = product.abs().amax(dim=(1, 2))
    return torch.where(size > 0, size, torch.ones_like(size))
