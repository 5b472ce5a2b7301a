"""Kernels against published values, a recursion in numpy, and finite networks of random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.kernels.composed import InfiniteNetwork, Kernels, serial
from geocore.kernels.empirical import empirical_ntk
from geocore.kernels.network import (
    Activation,
    dense_inputs,
    dense_network,
    healpix_inputs,
    healpix_network,
)
from geocore.kernels.twins import finite_twin
from tests.kernels.references import images, relu_kernels

X, Y = [[1.0, 0.0]], [[0.5, 3**0.5 / 2]]
Z, W = [[2.0, -1.0, 0.5]], [[0.3, 1.0, -1.5]]


def kernels(kind: str, depth: int, left: np.ndarray, right: np.ndarray) -> Kernels:
    return built(kind, depth).kernel(*(inputs(kind, depth, maps) for maps in (left, right)))


def built(kind: str, depth: int, activation: Activation = "relu") -> InfiniteNetwork:
    build = dense_network if kind == "dense" else healpix_network
    return build(depth, activation, weight_std=1.3, bias_std=0.2)


def inputs(kind: str, depth: int, maps: np.ndarray) -> Tensor:
    x = torch.from_numpy(maps)
    return dense_inputs(x) if kind == "dense" else healpix_inputs(x, depth)


@pytest.mark.parametrize(
    ("network", "pair", "nngp", "ntk"),
    [
        (dense_network(1, "relu"), (X, Y), 0.152249445261, 0.235582778594),
        (dense_network(2, "relu"), (X, Y), 0.085488206362, 0.168934945140),
        (dense_network(2, "relu"), (Z, W), 0.146840978398, 0.162541905383),
        (
            dense_network(2, "relu", weight_std=2**0.5, bias_std=0.1), (Z, W),
            1.200842927432, 1.338192293228,
        ),
        (dense_network(1, "erf"), (Z, W), -0.128966812079, -0.259727292580),
    ],
)  # fmt: skip
def test_values_computed_elsewhere(
    network: InfiniteNetwork, pair: tuple[list[list[float]], ...], nngp: float, ntk: float
) -> None:
    """Our standard deviations are those of the formulas: nothing is rescaled."""
    found = network.kernel(*(torch.tensor(x, dtype=torch.float64) for x in pair))
    assert found.nngp.item() == pytest.approx(nngp, abs=1e-11)
    assert found.ntk.item() == pytest.approx(ntk, abs=1e-11)


@pytest.mark.parametrize(
    ("kind", "depth"), [("dense", 1), ("dense", 3), ("healpix", 1), ("healpix", 2)]
)
def test_the_recursion_written_out(kind: str, depth: int) -> None:
    left, right = images(3, 32, 2), images(4, 32, 2, seed=1)
    for found, expected in zip(
        kernels(kind, depth, left, right), relu_kernels(kind, depth, left, right), strict=True
    ):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_where_patches_lie_matters_and_which_child_does_not() -> None:
    """Children of a patch share nothing but their mean; patches keep their identity."""
    left, right = images(1, 16), images(1, 16, seed=1)
    nngp, _ = kernels("healpix", 1, left, right)
    children = np.array([1, 3, 0, 2])
    places = (4 * np.arange(4)[:, None] + children).reshape(-1)
    within, _ = kernels("healpix", 1, left[:, places], right[:, places])
    torch.testing.assert_close(within, nngp, rtol=1e-13, atol=0)
    shifted, _ = kernels("healpix", 1, np.roll(left, 4, axis=1), right)
    assert abs(shifted.item() / nngp.item() - 1) > 1e-3


@pytest.mark.parametrize(
    "activation",
    ["relu", *(pytest.param(name, marks=pytest.mark.slow) for name in ("erf", "gelu"))],
)
def test_finite_networks_agree_on_average(activation: Activation) -> None:
    """Within 3 standard errors and 5 %, by 64 draws of width 192, on smooth maps."""
    network = built("healpix", 1, activation)
    phases = np.arange(3)[:, None] + np.linspace(0, 3, 16)
    x = inputs("healpix", 1, 1 + np.sin(phases)[..., None])
    generator = torch.Generator().manual_seed(7)
    nngp, ntk = [], []
    for _ in range(64):
        many = finite_twin(network, (1, 1, 16), 192, outputs=256, generator=generator)
        values = many(x)
        nngp.append(values @ values.T / values.shape[1])
        one = finite_twin(network, (1, 1, 16), 192, generator=generator)
        ntk.append(empirical_ntk(one, x))
    for draws, limit in zip((nngp, ntk), network.kernel(x), strict=True):
        found = torch.stack([draw.detach().reshape(3, 3) for draw in draws])
        error = found.std(dim=0) / len(found) ** 0.5
        gap = (found.mean(dim=0) - limit).abs()
        assert (gap <= 3 * error).all(), gap / error
        assert (gap <= 0.05 * limit).all(), gap / limit


def test_what_there_is_not() -> None:
    with pytest.raises(ValueError, match="activation is 'tanh'; expected one of relu, erf, gelu"):
        dense_network(1, "tanh")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="depth is 0; expected at least 1"):
        healpix_network(0, "relu")
    with pytest.raises(ValueError, match="weight_std is 0; expected above 0"):
        dense_network(1, "relu", weight_std=0)
    with pytest.raises(ValueError, match=r"maps has shape \(3, 8\); expected \(n, pixels, channel"):
        dense_inputs(torch.zeros(3, 8))
    with pytest.raises(ValueError, match=r"maps has 24 pixels; expected a multiple of 4\^2"):
        healpix_inputs(torch.zeros(3, 24, 1), 2)


def test_a_hierarchy_is_what_its_layers_say() -> None:
    assert len(healpix_network(3, "relu").layers) == 3 * 2 + 1 + 2 + 1
    assert len(dense_network(3, "relu").layers) == 3 * 2 + 1
    x = torch.rand(2, 48, 1, dtype=torch.float64)
    same = serial(*dense_network(2, "gelu").layers)
    assert torch.equal(same.kernel(x[..., 0]).ntk, dense_network(2, "gelu").kernel(x[..., 0]).ntk)
