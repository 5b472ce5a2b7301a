"""A pair of batches: what it holds, that it is compiled once, and that its bytes repeat."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from geocore.errors import UserError
from geocore.kernels.block import BlockKernel
from geocore.kernels.network import infinite_network
from tests.kernels.references import architecture, images, relu_kernels

CODE = """
import hashlib
import numpy as np
from geocore.kernels.block import BlockKernel
from geocore.kernels.network import Architecture
network = Architecture("healpix", 2, "gelu", 1.3, 0.2)
batch = network.as_input(np.random.default_rng(0).uniform(size=(20, 192, 1)))
found = BlockKernel(network, batch.shape, threads=1)(batch, batch)
print(hashlib.sha256(b"".join(found[name].tobytes() for name in sorted(found))).hexdigest())
"""


def test_both_kernels_and_the_diagonals() -> None:
    network = architecture("healpix", 1)
    left, right = images(4, 16), images(4, 16, seed=1)
    kernel = BlockKernel(network, (4, 4, 4), threads=1)
    found = kernel(network.as_input(left), network.as_input(right))
    assert {name: value.dtype.name for name, value in found.items()} == dict.fromkeys(
        ("nngp", "ntk", "left", "right"), "float64"
    )
    nngp, ntk = relu_kernels(network, left, right)
    np.testing.assert_allclose(found["nngp"], nngp, rtol=1e-12)
    np.testing.assert_allclose(found["ntk"], ntk, rtol=1e-12)
    for side, batch in (("left", left), ("right", right)):
        own, _ = relu_kernels(network, batch, batch)
        np.testing.assert_allclose(found[side], own.diagonal(), rtol=1e-12)


def test_the_tangent_kernel_of_an_input_with_itself_is_good_to_eight_digits() -> None:
    network = architecture(depth=3)
    batch = images(6, 16)
    found = BlockKernel(network, batch.shape)(batch, batch)
    nngp, ntk = relu_kernels(network, batch, batch)
    np.testing.assert_allclose(found["nngp"].diagonal(), nngp.diagonal(), rtol=1e-12)
    np.testing.assert_allclose(found["ntk"].diagonal(), ntk.diagonal(), rtol=1e-7)


def test_one_compilation_for_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[int] = []

    def counting(network: Any) -> Any:
        init, apply, kernel = infinite_network(network)

        def traced_kernel(*inputs: Any, **options: Any) -> Any:
            traced.append(1)
            return kernel(*inputs, **options)

        return init, apply, traced_kernel

    monkeypatch.setattr("geocore.kernels.block.infinite_network", counting)
    kernel = BlockKernel(architecture(), (3, 8, 1))
    batches = [images(3, 8, seed=seed) for seed in range(3)]
    for left in batches:
        for right in batches:
            kernel(left, right)
    assert len(traced) == 1


def test_double_precision_is_not_forced_on_others() -> None:
    import jax

    config: Any = jax.config
    before = config.read("jax_enable_x64")
    config.update("jax_enable_x64", False)  # pymanopt, which escnn imports, turns it on
    try:
        batch = images(2, 8)
        BlockKernel(architecture(), batch.shape)(batch, batch)
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


def test_other_batches_are_refused() -> None:
    kernel = BlockKernel(architecture(), (2, 8, 1))
    good = images(2, 8)
    with pytest.raises(ValueError, match=r"right is float64 of shape \(3, 8, 1\); expected"):
        kernel(good, images(3, 8))
    with pytest.raises(ValueError, match="left is float32 of shape"):
        kernel(good.astype(np.float32), good)


def test_without_neural_tangents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "neural_tangents", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    batch = images(2, 8)
    with pytest.raises(UserError) as error:
        BlockKernel(architecture(), batch.shape)(batch, batch)
    assert str(error.value) == (
        "neural_tangents is not installed; expected it here: "
        "pip install 'geocore[kernels]' && pip install --no-deps neural-tangents==0.6.5"
    )
