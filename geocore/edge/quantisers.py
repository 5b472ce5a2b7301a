"""Rounding onto grids with a power-of-two step that lets gradients pass: weights, activations.

Gradients pass a rounding straight through (Bengio et al., arXiv:1308.3432). Fixed point is
Brevitas', number by number and gradient by gradient: its layers hold the parameters, and what they
compute of them is computed here in fewer calls. Weights of one or two bits, whose steps Brevitas
holds constant, are our own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from geocore.edge.bits import WeightBits
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.float_graph import FloatConvolution, FloatWeighted
from geocore.edge.tools import quiet_import

__all__ = ["ActivationGrid", "QuantisedWeights", "fraction_of", "straight_through"]

# An all-zero layer's step would be none. Any other's largest weight is far above it.
_LEAST_WEIGHT = 2.0**-16
_TERNARY_CUT = 0.7  # of the mean magnitude: what is below is 0 (arXiv:1605.04711, equation 6)


class _Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, rounded: Tensor) -> Tensor:
        return rounded.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    """``rounded``, whose gradient is that of ``value``."""
    found: Tensor = _Straight.apply(value, rounded.detach())  # type: ignore[no-untyped-call]
    return found


class _Rounded(torch.autograd.Function):
    """``s clip(round(x / s), lowest, highest)``: Brevitas' own, in a third of its passes.

    Inside the grid the gradient of ``x`` passes and that of ``s`` is ``round(x / s) - x / s``;
    beyond it the one is 0 and the other the grid's end.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, step: Tensor, lowest: int, highest: int) -> Tensor:
        ctx.save_for_backward(values, step)
        ctx.ends = lowest, highest
        return (values * (1 / step)).round_().clamp_(lowest, highest).mul_(step)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        values, step = ctx.saved_tensors
        (given,) = gradients
        scaled = values * (1 / step)
        near = scaled.round()
        held = near.clamp(*ctx.ends)
        passed = given.masked_fill(near != held, 0)
        of_step = None
        if ctx.needs_input_grad[1]:
            of_step = ((given * held).sum() - (passed * scaled).sum()).reshape(step.shape)
        return passed, of_step, None, None


def _rounded(values: Tensor, step: Tensor, lowest: int, highest: int) -> Tensor:
    found: Tensor = _Rounded.apply(values, step, lowest, highest)  # type: ignore[no-untyped-call]
    return found


def _power_of_two(exponent: Tensor) -> Tensor:
    """``2^ceil(p)``, whose gradient is that of ``2^p`` taken at ``ceil(p)``."""
    return torch.exp2(straight_through(exponent, exponent.detach().ceil()))


class QuantisedWeights(nn.Module):
    """A node's weights and bias, trainable, on their grids.

    - of ``b`` bits: ``n 2^-f`` with ``|n| < 2^(b-1)`` and the least step at which the largest
      weight fits, ``2^(b-1-f) >= max |w|``, so that it follows the weights while they learn;
    - ``ternary``: ``n`` in {-1, 0, 1}, 0 where ``|w| <= 0.7 mean |w|``, and the step the power of
      two next to the mean magnitude of the others (Li et al., arXiv:1605.04711);
    - ``binary``: ``n`` the sign of ``w``, and the step the power of two next to the mean magnitude
      (Rastegari et al., arXiv:1603.05279).
    """

    def __init__(self, node: FloatWeighted, bits: WeightBits) -> None:
        super().__init__()
        self.bits = bits
        self.layer: Any = _layer(node, bits)
        with torch.no_grad():
            self.layer.weight.copy_(node.weight)
            self.layer.bias.copy_(node.bias)

    def forward(self) -> tuple[Tensor, Tensor]:
        """The weights on their grid, and its step."""
        weight: Tensor = self.layer.weight
        if isinstance(self.bits, int):
            largest = weight.abs().max().clamp_min(_LEAST_WEIGHT)
            step = _power_of_two(largest.log2()) * 2.0 ** (1 - self.bits)
            most = (1 << (self.bits - 1)) - 1
            return _rounded(weight, step, -most, most), step
        values = weight.detach()
        sizes = values.abs()
        if self.bits == "binary":
            kept = torch.ones_like(sizes, dtype=torch.bool)
        else:
            kept = sizes > _TERNARY_CUT * sizes.mean()
        mean = sizes[kept].mean() if bool(kept.any()) else sizes.new_tensor(_LEAST_WEIGHT)
        step = 2.0 ** mean.clamp_min(_LEAST_WEIGHT).log2().round()
        signs = torch.where(values < 0, -step, step)
        return straight_through(weight, torch.where(kept, signs, 0)), step

    def bias(self, step: Tensor) -> Tensor:
        """The bias on the grid of that step: as many bits as it takes."""
        bias: Tensor = self.layer.bias
        return straight_through(bias, torch.round(bias.detach() / step) * step)

    @property
    def format(self) -> FixedPoint:
        """The weights' grid, as it is now."""
        bits = self.bits if isinstance(self.bits, int) else 2
        with torch.no_grad():
            return FixedPoint(bits, fraction_of(self()[1]), signed=True)


class ActivationGrid(nn.Module):
    """``clip(round(x / s), lowest, highest) s`` with a step ``s = 2^(ceil(p) - b)`` that is learnt.

    ``p`` begins at ``log2(peak)``, so that ``peak`` just fits; a signed grid spends one of its
    ``bits`` on the sign. Ties go to even numbers.
    """

    def __init__(self, bits: int, peak: float, *, signed: bool) -> None:
        super().__init__()
        layers: Any = quiet_import("brevitas.nn")
        kinds: Any = quiet_import("brevitas.quant.fixed_point")
        if signed:
            about = {"act_quant": kinds.Int8ActPerTensorFixedPointMinMaxInit, "min_val": -peak}
        else:
            about = {"act_quant": kinds.Uint8ActPerTensorFixedPointMaxInit}
        self.layer: Any = layers.QuantIdentity(
            bit_width=bits, max_val=peak, return_quant_tensor=False, **about
        )
        self.bits, self.signed = bits, signed

    def forward(self, values: Tensor) -> Tensor:
        """Of the same shape."""
        half = 1 << (self.bits - 1)
        ends = (-half, half - 1) if self.signed else (0, 2 * half - 1)
        return _rounded(values, self._step(), *ends)

    def begin_at(self, peak: float) -> None:
        """Take the step at which ``peak`` just fits."""
        with torch.no_grad():
            self._parameter.fill_(math.log2(peak))

    @property
    def step(self) -> Tensor:
        """The grid's step, a number without gradient."""
        return self._step().detach()

    @property
    def format(self) -> FixedPoint:
        """The grid, as it is now."""
        return FixedPoint(self.bits, fraction_of(self.step), self.signed)

    @property
    def _parameter(self) -> nn.Parameter:
        (parameter,) = self.layer.parameters()
        found: nn.Parameter = parameter
        return found

    def _step(self) -> Tensor:
        return _power_of_two(self._parameter) * 2.0 ** (self.signed - self.bits)


def fraction_of(step: Tensor) -> int:
    """``f`` of a step ``2^-f``. Raises ``ValueError`` for anything else."""
    mantissa, exponent = torch.frexp(step.detach())
    if step.numel() != 1 or float(mantissa) != 0.5:
        raise ValueError(f"step is {step.tolist()}; expected one power of two")
    return 1 - int(exponent)


def _layer(node: FloatWeighted, bits: WeightBits) -> Any:
    """A layer of torch or of Brevitas that holds the parameters: optimisers know it by its class.

    Brevitas draws initial weights, which are not kept.
    """
    out, given, *kernel = node.weight.shape
    with torch.random.fork_rng(devices=[]):
        if not isinstance(bits, int):
            if isinstance(node, FloatConvolution):
                return nn.Conv2d(given, out, (kernel[0], kernel[1]))
            return nn.Linear(given, out)
        layers: Any = quiet_import("brevitas.nn")
        kinds: Any = quiet_import("brevitas.quant")
        about = {
            "bias": True,
            "weight_quant": kinds.Int8WeightPerTensorFixedPoint,
            "weight_bit_width": bits,
            "weight_scaling_min_val": _LEAST_WEIGHT,
        }
        if isinstance(node, FloatConvolution):
            return layers.QuantConv2d(given, out, tuple(kernel), **about)
        return layers.QuantLinear(given, out, **about)
