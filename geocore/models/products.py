"""Linear maps on the CPU through oneDNN, which multiplies what a network has faster than MKL.

PyTorch's own ``linear`` first copies the bias into the result and then calls MKL. oneDNN adds the
bias, and gelu, while a result is still in registers. In float32 on an EPYC 9004 it takes 5 to 25 %
less time, the more the longer and narrower the matrices. PyTorch calls it in this way only for
what it has compiled, by an operator without a public name: where that is missing, all goes by
``linear``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Linear", "by_hand", "linear", "linear_gelu", "opaque", "opaque_linear"]


def _probe() -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    try:
        one = torch.ones(1, 1)
        torch.ops.mkldnn._linear_pointwise(one, one, one[0], "gelu", [], "none")
    except (AttributeError, RuntimeError, TypeError):
        return False
    return True


_HAS_ONEDNN = _probe()


def by_hand(x: Tensor) -> bool:
    """Whether what this room writes by hand for the CPU applies to ``x``.

    A compiler makes its own kernels, accelerators have theirs, autocast picks dtypes, and
    ``torch.func`` wants to see through every step.
    """
    return (
        x.is_cpu
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()
    )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x weight^T + bias``, outside of autograd."""
    if x.dtype == torch.float32 and _HAS_ONEDNN:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return out
    return F.linear(x, weight, bias)


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``gelu(x weight^T + bias)``, outside of autograd."""
    if x.dtype == torch.float32 and _HAS_ONEDNN:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu", [], "none")
        return out
    return F.gelu(F.linear(x, weight, bias))


def _product(x: Tensor, weight: Tensor, bias: Tensor | None, gelu: bool) -> Tensor:
    if gelu:
        assert bias is not None
        return linear_gelu(x, weight, bias)
    return linear(x, weight, bias)


def _like_product(x: Tensor, weight: Tensor, bias: Tensor | None, gelu: bool) -> Tensor:
    return x.new_empty(*x.shape[:-1], len(weight))


# The compiler knows oneDNN's operator for weights in oneDNN's own layout alone, and would call MKL
# for others: an operator that it does not look into.
_opaque = torch.library.custom_op(
    "geocore::linear",
    _product,
    mutates_args=(),
    schema="(Tensor x, Tensor weight, Tensor? bias, bool gelu) -> Tensor",
)
_opaque.register_fake(_like_product)


def opaque(x: Tensor) -> bool:
    """Whether ``x`` is being compiled for use on the CPU without gradients, and oneDNN is there."""
    return (
        torch.compiler.is_compiling()
        and x.is_cpu
        and x.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and _HAS_ONEDNN
    )


def opaque_linear(x: Tensor, weight: Tensor, bias: Tensor | None, *, gelu: bool) -> Tensor:
    """``linear``, or ``linear_gelu``, as one step that a compiler does not look into."""
    out: Tensor = _opaque(x, weight, bias, gelu)
    return out


class Linear(nn.Linear):
    """``x W^T + b``: ``torch.nn.Linear``, by way of ``linear`` where that applies."""

    def forward(self, x: Tensor) -> Tensor:
        if opaque(x):
            return opaque_linear(x, self.weight, self.bias, gelu=False)
        if not by_hand(x):
            return super().forward(x)
        out: Tensor = _Linear.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return out


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        rows, above = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
        to_x = None
        if ctx.needs_input_grad[0]:
            again = torch.is_grad_enabled()  # this gradient is itself to be differentiated
            to_x = (above @ weight if again else linear(above, weight.mT)).view(x.shape)
        return to_x, above.mT @ rows, above.sum(0) if ctx.has_bias else None
