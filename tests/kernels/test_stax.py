"""Our kernels and those of neural-tangents: a second opinion, equal to 1e-9 in float64."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from geocore.errors import UserError
from geocore.groups.finite import PlanarGroup
from geocore.kernels import stax
from geocore.kernels.composed import InfiniteNetwork, Residual, serial
from geocore.kernels.convolution import Convolution
from geocore.kernels.group_layers import GroupPool, LiftingConvolution
from geocore.kernels.layers import (
    AveragePool,
    Dense,
    Erf,
    Flatten,
    Gelu,
    GlobalAveragePool,
    LayerNorm,
    LeakyRelu,
    Relu,
)
from geocore.kernels.network import dense_network, healpix_network
from geocore.kernels.protocol import PairKernel, described
from geocore.kernels.stax import NeuralTangentsKernel, as_stax

STDS: dict[str, float] = {"weight_std": 1.3, "bias_std": 0.2}
READ_OUT = Dense(**STDS)

CODE = """
import hashlib
import torch
from geocore.kernels.network import healpix_network
from geocore.kernels.stax import NeuralTangentsKernel
x = torch.rand(20, 1, 1, 192, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
found = NeuralTangentsKernel(healpix_network(2, "gelu"), threads=1).kernel(x)
print(hashlib.sha256(b"".join(k.numpy().tobytes() for k in found)).hexdigest())
"""


def convolution(**options: Any) -> Convolution:
    return Convolution(3, weight_std=1.3, bias_std=0.2, **options)


NETWORKS = {
    "dense": (dense_network(2, "relu", **STDS), (6,)),
    "erf": (dense_network(2, "erf", **STDS), (6,)),
    "gelu": (dense_network(1, "gelu", **STDS), (6,)),
    "leaky": (serial(READ_OUT, LeakyRelu(0.2), READ_OUT), (6,)),
    "norm": (serial(READ_OUT, LayerNorm(1e-5), Relu(), READ_OUT), (6,)),
    "healpix": (healpix_network(2, "relu", **STDS), (2, 1, 16)),
    "valid": (
        serial(convolution(padding="valid"), Relu(), GlobalAveragePool(), READ_OUT), (2, 5, 4),
    ),
    "same": (serial(convolution(stride=2), Erf(), Flatten(), READ_OUT), (2, 5, 4)),
    "circular": (
        serial(
            convolution(padding="circular"), Relu(), AveragePool(2), convolution(), Gelu(),
            GlobalAveragePool(), READ_OUT,
        ),
        (1, 4, 4),
    ),
    "residual": (
        serial(
            convolution(),
            Residual(Relu(), convolution(), Relu(), convolution()),
            Residual(Relu(), convolution(), shortcut=(convolution(),)),
            Flatten(), READ_OUT,
        ),
        (1, 4, 4),
    ),
}  # fmt: skip


def samples(count: int, shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, *shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", NETWORKS)
def test_both_backends_agree(name: str) -> None:
    """Relative to the largest entry: 1e-9 in float64, 1e-5 in float32."""
    network, shape = NETWORKS[name]
    other = NeuralTangentsKernel(network)
    x1, x2 = samples(4, shape), samples(3, shape, seed=1)
    for dtype, atol in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        found = other.kernel(x1.to(dtype), x2.to(dtype))
        expected = network.kernel(x1.to(dtype), x2.to(dtype))
        for k, own in zip(found, expected, strict=True):
            assert k.dtype == dtype and k.shape == (4, 3)
            assert float((k - own).abs().max() / own.abs().max()) <= atol


def test_of_samples_with_themselves() -> None:
    """No better than 1e-8: see the class."""
    network, shape = NETWORKS["healpix"]
    other, x = NeuralTangentsKernel(network), samples(5, shape)
    assert isinstance(other, PairKernel)
    found, expected = other.kernel(x), network.kernel(x)
    for k, own in zip(found, expected, strict=True):
        torch.testing.assert_close(k, own, rtol=1e-7, atol=0)
        assert torch.equal(k, k.T)
    for k, own in zip(other.diagonal(x), expected, strict=True):
        torch.testing.assert_close(k, own.diagonal(), rtol=1e-7, atol=0)


def test_in_batches_of_one_size_it_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[int] = []
    plain = stax.as_stax

    def counting(network: InfiniteNetwork) -> Any:
        init, apply, kernel = plain(network)

        def traced_kernel(*inputs: Any, **options: Any) -> Any:
            traced.append(len(inputs[0]))
            return kernel(*inputs, **options)

        return init, apply, traced_kernel

    monkeypatch.setattr(stax, "as_stax", counting)
    network = dense_network(1, "relu")
    other, x = NeuralTangentsKernel(network, batch=3), samples(7, (4,))
    for found, expected in zip(other.kernel(x, x[:2]), network.kernel(x, x[:2]), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=0)
    other.kernel(x[:1])
    assert traced == [3]


def test_what_it_is_known_by() -> None:
    network = dense_network(1, "relu")
    words = described(NeuralTangentsKernel(network))
    assert described(network) in words and words != described(network)
    assert words != described(NeuralTangentsKernel(network, batch=3))


def test_it_goes_to_other_processes() -> None:
    other, x = NeuralTangentsKernel(dense_network(1, "relu")), samples(2, (4,))
    found = other.kernel(x)  # compiled: which does not travel
    assert torch.equal(pickle.loads(pickle.dumps(other)).kernel(x).ntk, found.ntk)


def test_a_network_of_finite_width() -> None:
    import jax

    init, apply, _ = as_stax(NETWORKS["residual"][0], width=5)
    shape, weights = init(jax.random.PRNGKey(0), (-1, 4, 4, 1))
    assert shape == (-1, 1)
    assert apply(weights, np.zeros((2, 4, 4, 1))).shape == (2, 1)


def test_double_precision_is_not_forced_on_others() -> None:
    import jax

    config: Any = jax.config
    before = config.read("jax_enable_x64")
    config.update("jax_enable_x64", False)  # pymanopt, which escnn imports, turns it on
    try:
        NeuralTangentsKernel(dense_network(1, "relu")).kernel(samples(2, (4,)))
        assert jax.numpy.ones(1).dtype == np.float32
    finally:
        config.update("jax_enable_x64", before)


def test_two_processes_give_the_same_bytes() -> None:
    # What the kernel is asked for goes before what the machine has.
    both = [
        subprocess.Popen(
            [sys.executable, "-c", CODE],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NPROC": threads},
        )
        for threads in ("1", "7")
    ]
    first, second = (process.communicate(timeout=120)[0].strip() for process in both)
    assert len(first) == 64 and first == second


def test_group_layers_are_refused_by_name() -> None:
    lifted = serial(
        LiftingConvolution(3, group=PlanarGroup(4)), Relu(), GlobalAveragePool(), GroupPool(),
        Dense(),
    )  # fmt: skip
    for build in (NeuralTangentsKernel, as_stax):
        with pytest.raises(ValueError, match="neural-tangents has no LiftingConvolution; expected"):
            build(lifted)


def test_what_neural_tangents_does_not_compute() -> None:
    """It adds Gaussian features only; ours may add what is none to what is."""
    network = serial(
        convolution(), Relu(), Residual(convolution(), Relu(), convolution()), Flatten(), READ_OUT
    )
    x = samples(2, (1, 4, 4))
    assert network.kernel(x).ntk.shape == (2, 2)
    with pytest.raises(ValueError, match="neural-tangents does not compute it: `FanInSum` is only"):
        NeuralTangentsKernel(network).kernel(x)


def test_bad_input() -> None:
    other = NeuralTangentsKernel(dense_network(1, "relu"))
    with pytest.raises(ValueError, match="expected one dtype and shape of a sample"):
        other.kernel(samples(2, (4,)), samples(2, (5,)))
    with pytest.raises(ValueError, match="inputs are"):
        other.diagonal(torch.zeros(2, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="batch is 0; expected at least 1"):
        NeuralTangentsKernel(dense_network(1, "relu"), batch=0)


def test_without_neural_tangents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "neural_tangents", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError) as error:
        NeuralTangentsKernel(dense_network(1, "relu")).kernel(samples(2, (4,)))
    assert str(error.value) == (
        "neural_tangents is not installed; expected it here: "
        "pip install 'geocore[kernels]' && pip install --no-deps neural-tangents==0.6.5"
    )
