"""Kernels against published values, a recursion in numpy, and finite networks of random weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from geocore.compat import import_neural_tangents
from geocore.kernels.network import Architecture, infinite_network
from tests.kernels.references import architecture, images, relu_kernels

X, Y = np.array([[1.0, 0.0]]), np.array([[0.5, 3**0.5 / 2]])
Z, W = np.array([[2.0, -1.0, 0.5]]), np.array([[0.3, 1.0, -1.5]])


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    import_neural_tangents()
    from jax.experimental import enable_x64

    with enable_x64():
        yield


def kernels(network: Architecture, left: Any, right: Any) -> tuple[np.ndarray, np.ndarray]:
    return evaluated(infinite_network(network), network.as_input(left), network.as_input(right))


def evaluated(network: Any, left: Any, right: Any) -> tuple[np.ndarray, np.ndarray]:
    import jax

    nngp, ntk = jax.jit(lambda x, y: network[2](x, y, get=("nngp", "ntk")))(left, right)
    return np.array(nngp), np.array(ntk)


@pytest.mark.parametrize(
    ("network", "pair", "nngp", "ntk"),
    [
        (Architecture("dense", 1, "relu", 1, 0), (X, Y), 0.152249445261, 0.235582778594),
        (Architecture("dense", 2, "relu", 1, 0), (X, Y), 0.085488206362, 0.168934945140),
        (Architecture("dense", 2, "relu", 1, 0), (Z, W), 0.146840978398, 0.162541905383),
        (Architecture("dense", 2, "relu", 2**0.5, 0.1), (Z, W), 1.200842927432, 1.338192293228),
        (Architecture("dense", 1, "erf", 1, 0), (Z, W), -0.128966812079, -0.259727292580),
    ],
)
def test_values_computed_elsewhere(
    network: Architecture, pair: tuple[np.ndarray, np.ndarray], nngp: float, ntk: float
) -> None:
    """Our standard deviations are those of the formulas: nothing is rescaled."""
    found = kernels(network, pair[0][..., None], pair[1][..., None])
    assert found[0].item() == pytest.approx(nngp, abs=1e-11)
    assert found[1].item() == pytest.approx(ntk, abs=1e-11)


@pytest.mark.parametrize(
    ("network", "depth"), [("dense", 1), ("dense", 3), ("healpix", 1), ("healpix", 2)]
)
def test_the_recursion_written_out(network: str, depth: int) -> None:
    built = architecture(network, depth)
    left, right = images(3, 32, 2), images(4, 32, 2, seed=1)
    for found, expected in zip(
        kernels(built, left, right), relu_kernels(built, left, right), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_patch_as_channels_is_a_convolution_over_it() -> None:
    """``as_input`` joins the first level's patches: the same network as one on the pixels."""
    stax = import_neural_tangents().stax
    network = architecture("healpix", 1, activation="gelu")
    maps = images(3, 16, 2)
    std = {"W_std": network.weight_std, "b_std": network.bias_std}
    layers = [
        stax.Conv(1, (4,), (4,), "VALID", dimension_numbers=("NHC", "HIO", "NHC"), **std),
        stax.Gelu(), stax.Flatten(), stax.Dense(1, **std), stax.Gelu(), stax.Dense(1, **std),
    ]  # fmt: skip
    plain = evaluated(stax.serial(*layers), maps, maps[:2])
    for found, expected in zip(kernels(network, maps, maps[:2]), plain, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-7)  # of an input with itself, no better
        np.testing.assert_allclose(found[2], expected[2], rtol=1e-13)


def test_where_patches_lie_matters_and_which_child_does_not() -> None:
    """Children of a patch share nothing but their mean; patches keep their identity."""
    network = architecture("healpix", 1)
    left, right = images(1, 16), images(1, 16, seed=1)
    nngp, _ = kernels(network, left, right)
    children = np.array([1, 3, 0, 2])
    places = (4 * np.arange(4)[:, None] + children).reshape(-1)
    within, _ = kernels(network, left[:, places], right[:, places])
    np.testing.assert_allclose(within, nngp, rtol=1e-13)
    shifted, _ = kernels(network, np.roll(left, 4, axis=1), right)
    assert abs(shifted.item() / nngp.item() - 1) > 1e-3


@pytest.mark.parametrize(
    "activation",
    ["relu", *(pytest.param(name, marks=pytest.mark.slow) for name in ("erf", "gelu"))],
)
def test_finite_networks_agree_on_average(activation: str) -> None:
    import jax

    network = architecture("healpix", 2, activation=activation)
    phases = np.arange(3)[:, None] + np.linspace(0, 3, 32)
    inputs = network.as_input(1 + np.sin(phases)[..., None])
    expected = evaluated(infinite_network(network), inputs, inputs)
    # Many outputs for the NNGP, each another draw of the read-out; the tangent kernel takes one.
    many, one = (infinite_network(network, width=256, outputs=n) for n in (256, 1))

    @jax.jit
    def draw(key: Any) -> Any:
        values = many[1](many[0](key, inputs.shape)[1], inputs)
        tangents = jax.jacobian(one[1])(one[0](key, inputs.shape)[1], inputs)
        flat = [leaf.reshape(len(inputs), -1) for leaf in jax.tree_util.tree_leaves(tangents)]
        return values @ values.T / values.shape[1], sum(leaf @ leaf.T for leaf in flat)

    found = [draw(key) for key in jax.random.split(jax.random.PRNGKey(3), 48)]
    for place, limit in enumerate(expected):
        draws = np.stack([np.array(both[place]) for both in found])
        error = draws.std(axis=0, ddof=1) / len(draws) ** 0.5
        gap = np.abs(draws.mean(axis=0) - limit)
        assert (gap <= 3 * error).all(), gap / error
        assert (gap <= 0.05 * limit).all(), gap / limit


def test_what_there_is_not() -> None:
    with pytest.raises(ValueError, match="network is 'cubic'; expected one of dense, healpix"):
        architecture("cubic")
    with pytest.raises(ValueError, match="activation is 'tanh'; expected one of relu, erf, gelu"):
        architecture(activation="tanh")
    with pytest.raises(ValueError, match="depth is 0; expected at least 1"):
        architecture(depth=0)
    with pytest.raises(ValueError, match=r"weight_std and bias_std are 0 and 0\.2; expected above"):
        architecture(weight_std=0)
    with pytest.raises(ValueError, match=r"maps has shape \(3, 8\); expected \(n, pixels, channel"):
        architecture().as_input(np.zeros((3, 8)))
    with pytest.raises(ValueError, match=r"maps has 24 pixels; expected a multiple of 4\^2"):
        architecture("healpix").as_input(np.zeros((3, 24, 1)))
