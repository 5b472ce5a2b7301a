"""Plain networks by neural-tangents: a second opinion on our own kernels.

Source: Novak et al., "Neural Tangents", arXiv:1912.02803. Both have the NTK parametrisation, so
that a layer here is a layer there; group layers it has none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geocore.compat import import_neural_tangents
from geocore.kernels.composed import InfiniteNetwork, Kernels, Residual
from geocore.kernels.convolution import Convolution
from geocore.kernels.group_layers import GroupConvolution, GroupPool, LiftingConvolution
from geocore.kernels.layers import (
    AveragePool,
    Dense,
    Erf,
    Flatten,
    Gelu,
    GlobalAveragePool,
    Identity,
    Layer,
    LayerNorm,
    LeakyRelu,
    Relu,
)
from geocore.kernels.protocol import described

__all__ = ["NeuralTangentsKernel", "as_stax"]


def as_stax(network: InfiniteNetwork, width: int = 1) -> Any:
    """The triple ``(init, apply, kernel)`` of neural-tangents; images are (n, h, w, channels).

    ``init`` and ``apply`` have ``width`` channels in every layer but the last, which has one.
    Raises ``ValueError`` for a layer that neural-tangents does not have, by its name, and
    ``UserError`` where it is not installed.
    """
    _require_plain(network.layers)
    layers = network.layers
    stax: ModuleType = import_neural_tangents().stax
    return stax.serial(*_layers(stax, layers[:-1], width), *_layers(stax, layers[-1:], 1))


class NeuralTangentsKernel:
    """The kernels of a plain network by neural-tangents, on the CPU: a ``PairKernel``.

    Compiled once for each pair of batches' sizes: a second for a few layers, but as the square of
    their number grows, half a minute for 32. With ``batch`` inputs are taken so many at a time, the
    last ones filled up: one size for all. jax has one pool of threads a process: it gets
    ``threads`` of them (0: as many as there are) unless this process has used jax before. Equal
    bytes need equal threads.

    The tangent kernel of an input with itself is exact to 1e-8 only: a rounding of ``K`` by 1e-16
    turns the angle between the two by its root. Raises ``ValueError`` as ``as_stax`` does.
    """

    def __init__(
        self, network: InfiniteNetwork, *, batch: int | None = None, threads: int = 1
    ) -> None:
        if batch is not None and batch < 1:
            raise ValueError(f"batch is {batch}; expected at least 1")
        _require_plain(network.layers)
        self.network, self.batch, self._threads = network, batch, threads

    def describe(self) -> str:
        """The network, and by whom."""
        return f"neural-tangents {described(self.network)}, batch {self.batch}"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_compiled"}

    def kernel(self, x1: Tensor, x2: Tensor | None = None) -> Kernels:
        """``K(x_i, x'_j)`` and ``Theta(x_i, x'_j)``, as ``InfiniteNetwork.kernel`` has them.

        Raises ``ValueError`` as that does, and for what neural-tangents does not compute;
        ``UserError`` where it is missing.
        """
        right = x1 if x2 is None else x2
        self.network.kernel(x1[:1], right[:1])  # refuses what the network does not take
        size = self.batch or max(len(x1), len(right))
        rows = []
        for some in x1.split(size):
            found = [self._block(some, other) for other in right.split(size)]
            rows.append([torch.cat(parts, dim=1) for parts in zip(*found, strict=True)])
        nngp, ntk = (torch.cat(parts) for parts in zip(*rows, strict=True))
        if x2 is None:
            nngp, ntk = (k.tril() + k.tril(-1).T for k in (nngp, ntk))
        return Kernels(nngp, ntk)

    def diagonal(self, x: Tensor) -> Kernels:
        """``K(x_i, x_i)`` and ``Theta(x_i, x_i)``, both ``(n,)``."""
        self.network.kernel(x[:1])
        size = min(len(x), _DIAGONAL)
        blocks = [self._block(some, some, size) for some in x.split(size)]
        return Kernels(*(torch.cat([k.diagonal() for k in ks]) for ks in zip(*blocks, strict=True)))

    def _block(self, left: Tensor, right: Tensor, size: int | None = None) -> Kernels:
        size = size or self.batch
        try:
            found = self._compiled(_array(left, size), _array(right, size), left.dtype)
        except NotImplementedError as error:  # its own words, up to the first stop
            raise ValueError(
                f"neural-tangents does not compute it: {str(error).splitlines()[0]}"
            ) from None
        return Kernels(
            *(torch.from_numpy(k)[: len(left), : len(right)].to(left.device) for k in found)
        )

    @cached_property
    def _compiled(self) -> Callable[[Any, Any, torch.dtype], tuple[Any, Any]]:
        device = _cpu(self._threads)
        import jax
        from jax.experimental import enable_x64

        kernel = as_stax(self.network)[2]
        compiled = jax.jit(lambda left, right: tuple(kernel(left, right, get=("nngp", "ntk"))))

        def evaluate(left: Any, right: Any, dtype: torch.dtype) -> tuple[Any, Any]:
            # Here and not for the whole process, which may hold other jax code.
            with enable_x64(dtype == torch.float64), jax.default_device(device):
                nngp, ntk = compiled(left, right)
                return np.array(nngp), np.array(ntk)

        return evaluate


_DIAGONAL = 8  # samples whose kernel is computed for its diagonal


def _array(x: Tensor, size: int | None) -> Any:
    """``x`` with its last sample repeated up to ``size``, images with their channels last."""
    if size is not None and len(x) < size:
        x = torch.cat([x, x[-1:].expand(size - len(x), *x.shape[1:])])
    return np.asarray((x.movedim(1, -1) if x.ndim == 4 else x).contiguous().cpu())


def _require_plain(layers: Iterable[Layer]) -> None:
    for layer in layers:
        if isinstance(layer, Residual):
            _require_plain((*layer.branch, *layer.shortcut))
        elif isinstance(layer, (LiftingConvolution, GroupConvolution, GroupPool)):
            raise ValueError(
                f"neural-tangents has no {layer.name}; expected plain layers, or our own kernels"
            )
        elif not isinstance(layer, _PLAIN):
            names = ", ".join(kind.__name__ for kind in _PLAIN)
            raise ValueError(f"neural-tangents has no {layer.name}; expected one of {names}")


_PLAIN = (
    Dense, Convolution, Relu, LeakyRelu, Erf, Gelu, AveragePool, Flatten, GlobalAveragePool,
    LayerNorm, Identity,
)  # fmt: skip


def _layers(stax: ModuleType, layers: Iterable[Layer], width: int) -> list[Any]:
    return [_layer(stax, layer, width) for layer in layers]


def _layer(stax: Any, layer: Layer, width: int) -> Any:
    match layer:
        case Dense():
            return stax.Dense(width, layer.weight_std, layer.bias_std)
        case Convolution():
            strides, padding = (layer.stride, layer.stride), layer.padding.upper()
            stds = layer.weight_std, layer.bias_std
            return stax.Conv(width, layer.taps, strides, padding, *stds)
        case Relu():
            return stax.Relu()
        case LeakyRelu():
            return stax.LeakyRelu(layer.negative_slope)
        case Erf():
            return stax.Erf()
        case Gelu():
            return stax.Gelu()
        case AveragePool():
            return stax.AvgPool((layer.window,) * 2, (layer.step,) * 2, "VALID")
        case Flatten():
            return stax.Flatten()
        case GlobalAveragePool():
            return stax.GlobalAvgPool()
        case LayerNorm():
            return stax.LayerNorm(eps=layer.eps)
        case Residual():
            sides = (layer.branch, layer.shortcut)
            both = (stax.serial(*_layers(stax, side, width)) for side in sides)
            return stax.serial(stax.FanOut(2), stax.parallel(*both), stax.FanInSum())
        case _:
            return stax.Identity()


def _cpu(threads: int) -> Any:
    """The CPU of jax; its backend is started with so many threads if it does not run yet."""
    wanted = {"NPROC": str(threads)} if threads else {}  # what the backend reads, in jax 0.5
    if "jax" not in sys.modules and "JAX_PLATFORMS" not in os.environ:
        wanted["JAX_PLATFORMS"] = "cpu"  # no look for accelerators, and no word of their absence
    with _environment(wanted):
        import_neural_tangents()
        import jax

        return jax.devices("cpu")[0]


@contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
