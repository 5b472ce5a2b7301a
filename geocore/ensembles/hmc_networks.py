"""A small torch network as a Bayesian model, and its log density as a function that jax compiles.

Inside jax the samples are the last axis, ``(features, batch)`` and ``(channels, height, width,
batch)``: a layer of ten units is then a product of a small and a wide matrix, and a convolution
one product with the shifted images stacked, which is what a CPU does fast.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["BayesianNetwork"]

Layer = Callable[[dict[str, Any], Any], Any]


class BayesianNetwork:
    """``log p(theta, y | x) = sum_n log p(y_n | f(x_n; theta)) + log N(theta; 0, s^2)``.

    ``f`` is ``module``, ``theta`` all its parameters, ``s`` is ``prior_scale``. Without ``noise``
    the outputs are logits of a categorical distribution; with it ``y_n`` is normal about
    ``f(x_n)`` with that standard deviation. Both terms have their normalising constants.

    ``module`` is a ``nn.Sequential`` (one may hold others) of ``Linear``, ``Conv2d``, ``ReLU``,
    ``Tanh``, ``Flatten``, ``MaxPool2d``, ``AvgPool2d``; its own weights do not matter and it is
    copied, as float64. ``theta`` is flat, ``(parameters,)``, in the order of
    ``module.named_parameters()``, as ``torch.nn.utils.parameters_to_vector`` has it.

    Raises ``ValueError`` for a scale that is not positive and finite, and for a layer, or an
    option of one, that is not in this list; ``TypeError`` for another module.
    """

    def __init__(
        self, module: nn.Sequential, prior_scale: float = 1.0, noise: float | None = None
    ) -> None:
        if type(module) is not nn.Sequential:
            raise TypeError(f"module is {type(module).__name__}; expected a nn.Sequential")
        for name, value in (("prior_scale", prior_scale), ("noise", noise)):
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} is {value}; expected a positive number")
        self.module = copy.deepcopy(module).double().eval().requires_grad_(False)
        self.prior_scale, self.noise = float(prior_scale), noise
        self._layers = [_translated(name, layer) for name, layer in _leaves(module)]
        self.shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
        tied = {f"{name}.{part}" for name, layer in _leaves(module) for part in layer.state_dict()}
        for name in sorted(tied - self.shapes.keys()):
            raise ValueError(f"parameter {name} is another layer's as well; expected its own")
        if not self.shapes:
            raise ValueError("module has no parameters; expected at least one layer with weights")

    @property
    def parameters(self) -> int:
        """How many numbers ``theta`` has."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def unflatten(self, flat: Any) -> dict[str, Any]:
        """``(..., parameters)`` to each parameter by its name, ``(..., *shape)``: torch or jax."""
        if flat.shape[-1] != self.parameters:
            raise ValueError(f"flat has {flat.shape[-1]} numbers; expected {self.parameters}")
        parts, start = {}, 0
        for name, shape in self.shapes.items():
            part = flat[..., start : start + math.prod(shape)]
            parts[name] = part.reshape(*flat.shape[:-1], *shape)
            start += math.prod(shape)
        return parts

    def with_parameters(self, flat: Tensor) -> nn.Module:
        """A copy of the module with ``theta = flat``, in the dtype of ``flat``."""
        module = copy.deepcopy(self.module).to(flat)
        module.load_state_dict(self.unflatten(flat), strict=False)
        return module

    def check_data(self, x: Tensor, y: Tensor | None = None) -> int:
        """How many outputs the network has for ``x (n, ...)``.

        ``y`` is ``(n,)`` int64 with 0 <= y < outputs, or with ``noise`` ``(n, outputs)`` floats.
        Raises ``ValueError`` for other data, and for numbers that are not finite.
        """
        if x.ndim < 2 or len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (n, ...) with n >= 1")
        _check_finite("x", x)
        try:
            out = self.module(x[:1].double().cpu())
        except RuntimeError:
            found = tuple(x.shape)
            raise ValueError(f"x has shape {found}; expected what the module takes") from None
        if out.ndim != 2:
            raise ValueError(f"module gives shape {tuple(out.shape)}; expected (n, outputs)")
        if y is not None:
            self._check_targets(y, len(x), out.shape[1])
        return int(out.shape[1])

    def _check_targets(self, y: Tensor, n: int, outputs: int) -> None:
        if self.noise is not None:
            if y.shape != (n, outputs) or not y.is_floating_point():
                found = f"{y.dtype} of shape {tuple(y.shape)}"
                raise ValueError(f"y is {found}; expected floats of shape {(n, outputs)}")
            _check_finite("y", y)
        elif y.shape != (n,) or y.dtype != torch.int64:
            found = f"{y.dtype} of shape {tuple(y.shape)}"
            raise ValueError(f"y is {found}; expected int64 of shape {(n,)}")
        elif not 0 <= int(y.min()) <= int(y.max()) < outputs:
            found = f"{int(y.min())} to {int(y.max())}"
            raise ValueError(f"y is {found}; expected classes from 0 to {outputs - 1}")

    def arrays(self, x: Tensor, y: Tensor, dtype: Any) -> tuple[Any, Any]:
        """``x`` and ``y`` as ``log_density`` takes them: numpy, samples last, classes one-hot."""
        outputs = self.check_data(x, y)
        target = y if self.noise is not None else nn.functional.one_hot(y, outputs)
        both = (x.detach().cpu().double(), target.detach().cpu().double())
        last = [np.moveaxis(values.numpy(), 0, -1) for values in both]
        return np.ascontiguousarray(last[0], dtype), np.ascontiguousarray(last[1], dtype)

    def outputs(self, flat: Any, x: Any) -> Any:
        """``f(x; theta)`` in jax: ``(parameters,)`` and ``(..., batch) -> (outputs, batch)``."""
        parts, h = self.unflatten(flat), x
        for layer in self._layers:
            h = layer(parts, h)
        return h

    def log_density(self, flat: Any, x: Any, target: Any) -> Any:
        """``log p(theta, y | x)`` in jax, of what ``arrays`` gives: a scalar of the same dtype."""
        import jax.numpy as jnp
        from jax.scipy.special import logsumexp

        out = self.outputs(flat, x)
        if self.noise is None:
            fit = (out * target).sum() - logsumexp(out, axis=0).sum()
        else:
            fit = -0.5 * jnp.square((out - target) / self.noise).sum()
            fit -= target.size * math.log(self.noise * math.sqrt(2 * math.pi))
        prior = -0.5 * jnp.square(flat / self.prior_scale).sum()
        return fit + prior - flat.size * math.log(self.prior_scale * math.sqrt(2 * math.pi))


def _check_finite(name: str, values: Tensor) -> None:
    wrong = int((~torch.isfinite(values)).sum())
    if wrong:
        raise ValueError(f"{name} has {wrong} numbers that are not finite; expected none")


def _leaves(module: nn.Sequential, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    # Not named_children(), which names a layer once however often it is used.
    for name, layer in zip(module._modules, module, strict=True):
        if type(layer) is nn.Sequential:
            yield from _leaves(layer, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", layer


def _translated(name: str, layer: nn.Module) -> Layer:
    # Exact types: a subclass may compute something else.
    kind = type(layer)
    if kind is nn.Linear:
        return _linear(name, layer.bias is not None)
    if isinstance(layer, nn.Conv2d) and kind is nn.Conv2d:
        return _convolution(name, layer)
    if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d) and kind in (nn.MaxPool2d, nn.AvgPool2d):
        return _pooling(name, layer)
    if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) == (1, -1):
        return lambda parts, h: h.reshape(-1, h.shape[-1])
    if kind is nn.ReLU or kind is nn.Tanh:
        return _nonlinearity("relu" if kind is nn.ReLU else "tanh")
    raise ValueError(
        f"layer {name} is {layer}; expected Linear, Conv2d, ReLU, Tanh, Flatten from axis 1, "
        "MaxPool2d or AvgPool2d"
    )


def _linear(name: str, biased: bool) -> Layer:
    def apply(parts: dict[str, Any], h: Any) -> Any:
        out = parts[f"{name}.weight"] @ h
        return out + parts[f"{name}.bias"][:, None] if biased else out

    return apply


def _nonlinearity(name: str) -> Layer:
    def apply(parts: dict[str, Any], h: Any) -> Any:
        import jax

        return getattr(jax.nn, name)(h)

    return apply


def _convolution(name: str, layer: nn.Conv2d) -> Layer:
    plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    if not plain or isinstance(layer.padding, str):
        raise ValueError(
            f"layer {name} is {layer}; expected one group, no dilation, padding of zeros in pixels"
        )
    height, width = layer.kernel_size
    down, right = layer.stride
    above, left = (int(pad) for pad in layer.padding)
    biased = layer.bias is not None

    def apply(parts: dict[str, Any], h: Any) -> Any:
        import jax.numpy as jnp

        h = jnp.pad(h, ((0, 0), (above, above), (left, left), (0, 0)))
        rows, columns = (h.shape[1] - height) // down + 1, (h.shape[2] - width) // right + 1
        shifted = [
            h[:, i : i + (rows - 1) * down + 1 : down, j : j + (columns - 1) * right + 1 : right]
            for i in range(height)
            for j in range(width)
        ]
        stacked = jnp.stack(shifted, 1).reshape(-1, rows * columns * h.shape[-1])
        weight = parts[f"{name}.weight"]
        out = weight.reshape(len(weight), -1) @ stacked
        if biased:
            out = out + parts[f"{name}.bias"][:, None]
        return out.reshape(-1, rows, columns, h.shape[-1])

    return apply


def _pooling(name: str, layer: nn.MaxPool2d | nn.AvgPool2d) -> Layer:
    height, width = _pair(layer.kernel_size)
    apart = _pair(layer.stride) == (height, width) and _pair(layer.padding) == (0, 0)
    if not apart or layer.ceil_mode or getattr(layer, "dilation", 1) != 1:
        raise ValueError(f"layer {name} is {layer}; expected windows side by side, no padding")
    mean = isinstance(layer, nn.AvgPool2d)

    def apply(parts: dict[str, Any], h: Any) -> Any:
        rows, columns = h.shape[1] // height, h.shape[2] // width
        kept = h[:, : rows * height, : columns * width]
        windows = kept.reshape(-1, rows, height, columns, width, h.shape[-1])
        return windows.mean((2, 4)) if mean else windows.max((2, 4))

    return apply


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
