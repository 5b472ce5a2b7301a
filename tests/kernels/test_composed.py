"""Whole networks: published values, neural-tangents, and that only what is needed is computed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

from geocore.kernels import composed
from geocore.kernels.composed import InfiniteNetwork, Residual, serial
from geocore.kernels.convolution import Convolution
from geocore.kernels.group_layers import GroupConvolution, GroupPool, LiftingConvolution
from geocore.kernels.layers import (
    AveragePool,
    Dense,
    Elementwise,
    Erf,
    Flatten,
    Gelu,
    GlobalAveragePool,
    LayerNorm,
    LeakyRelu,
    Relu,
)
from tests.kernels.oracle import by_neural_tangents


def row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


def images(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 2, 4, 4, generator=generator, dtype=torch.float64)


def dense(depth: int, activation: Elementwise | None = None, **std: float) -> InfiniteNetwork:
    hidden = [Dense(**std), activation or Relu()] * depth
    return serial(*hidden, Dense(**std))


X, Y = row(1, 0), row(0.5, 3**0.5 / 2)
Z, W = row(2, -1, 0.5), row(0.3, 1, -1.5)


@pytest.mark.parametrize(
    ("network", "pair", "nngp", "ntk"),
    [
        (dense(1), (X, Y), 0.152249445261, 0.235582778594),
        (dense(2), (X, Y), 0.085488206362, 0.168934945140),
        (dense(2), (Z, W), 0.146840978398, 0.162541905383),
        (dense(2, weight_std=2**0.5, bias_std=0.1), (Z, W), 1.200842927432, 1.338192293228),
        (dense(1, Erf()), (Z, W), -0.128966812079, -0.259727292580),
    ],
)
def test_values_computed_elsewhere(
    network: InfiniteNetwork, pair: tuple[Tensor, Tensor], nngp: float, ntk: float
) -> None:
    found = network.kernel(*pair)
    assert found.nngp.item() == pytest.approx(nngp, abs=1e-12)
    assert found.ntk.item() == pytest.approx(ntk, abs=1e-12)


NETWORKS = {
    "dense": serial(
        Flatten(),
        Dense(weight_std=1.4, bias_std=0.1),
        Gelu(),
        Dense(),
        LayerNorm(),
        LeakyRelu(0.1),
        Dense(),
    ),
    "pools": serial(
        Convolution(3, padding="circular"),
        Residual(Relu(), Convolution(3)),
        AveragePool(2),
        Erf(),
        GlobalAveragePool(),
        Dense(),
        Relu(),
        Dense(),
    ),
    "projected": serial(
        Convolution(3),
        Residual(Relu(), Convolution(3, stride=2), shortcut=[Convolution(1, stride=2)]),
        Relu(),
        Flatten(),
        Dense(),
    ),
}


@pytest.mark.filterwarnings("ignore:`FanIn` layers")
@pytest.mark.parametrize("name", NETWORKS)
def test_kernels_are_those_of_neural_tangents(name: str) -> None:
    network, x1, x2 = NETWORKS[name], images(2, 0), images(3, 1)
    for ours, theirs in zip(
        network.kernel(x1, x2), by_neural_tangents(network, x1, x2), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", NETWORKS)
def test_one_half_and_the_diagonal_are_those_of_the_whole(name: str) -> None:
    network, x = NETWORKS[name], images(4, 0)
    for half, whole, diagonal in zip(
        network.kernel(x), network.kernel(x, x.clone()), network.diagonal(x), strict=True
    ):
        assert torch.equal(half, half.T)
        torch.testing.assert_close(half, whole, rtol=1e-13, atol=1e-14)
        torch.testing.assert_close(half.diagonal(), diagonal, rtol=1e-13, atol=1e-14)


C4 = serial(
    LiftingConvolution(3, padding="circular"),
    Relu(),
    GroupConvolution(3, padding="circular"),
    Relu(),
    GroupPool(),
    GlobalAveragePool(),
    Dense(),
)


@pytest.mark.parametrize("network", [NETWORKS["pools"], C4], ids=["pools", "C4"])
@pytest.mark.parametrize("tile", [1, 300, 2000])
def test_how_many_pairs_at_a_time_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tile: int, network: InfiniteNetwork
) -> None:
    whole = network.kernel(images(3, 0), images(2, 1))
    monkeypatch.setattr(composed, "_TILE", tile)
    for some, all_ in zip(network.kernel(images(3, 0), images(2, 1)), whole, strict=True):
        torch.testing.assert_close(some, all_, rtol=1e-13, atol=1e-14)


def test_two_threads_find_the_same_bytes() -> None:
    x1, x2 = images(3, 0), images(2, 1)
    alone = C4.kernel(x1, x2)
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda _: C4.kernel(x1, x2), range(4)):
            assert torch.equal(found.ntk, alone.ntk) and torch.equal(found.nngp, alone.nngp)


def test_scales_of_many_layers_stay_in_range() -> None:
    """Each convolution of 3 x 3 is a factor of 9, which is not taken out at once."""
    hidden = [Convolution(3, padding="circular", weight_std=2**0.5), Relu()] * 40
    x = images(2, 0)
    for head in (Flatten(), GlobalAveragePool()):
        network = serial(*hidden, head, Dense())
        exact, rounded = network.kernel(x), network.kernel(x.float())
        for one, two in zip(exact, rounded, strict=True):
            # After 40 layers all angles are small: what is taken for 0 is 2e-3 of Theta.
            torch.testing.assert_close(two.double(), one, rtol=3e-3, atol=0)


def test_networks_say_what_decides_their_kernel() -> None:
    assert serial(Dense(bias_std=0.5)).describe() == "serial(Dense(weight_std=1.0, bias_std=0.5))"
    assert "group=C4" in C4.describe() and "0x" not in C4.describe()


def test_positions_meet_only_where_something_pools() -> None:
    hidden = (Convolution(3), Relu())
    assert serial(*hidden, Flatten(), Dense()).entries(8, 8) == 64
    assert serial(*hidden, GlobalAveragePool(), Dense()).entries(8, 8) == 64**2
    assert not serial(*hidden, GlobalAveragePool(), Dense()).needs_own
    assert NETWORKS["pools"].needs_own


def test_no_weights_no_tangent_kernel() -> None:
    """Theta starts from 0."""
    kernels = serial(Dense()).kernel(X)
    assert kernels.ntk.item() == kernels.nngp.item() == 0.5


def test_wrong_networks_are_named() -> None:
    with pytest.raises(ValueError, match="layers are none"):
        serial()
    for layers, message in (
        ((Dense(), Relu(), Relu(), Dense()), "Relu follows no affine layer"),
        ((Dense(), Relu()), "ends with no affine layer"),
        ((Dense(), Residual(Relu()), Dense()), "branch of Residual ends with no affine layer"),
    ):
        with pytest.raises(ValueError, match=message):
            serial(*layers).kernel(X)
    with pytest.raises(ValueError, match=r"ends with maps \(4, 4\)"):
        serial(Convolution(3)).kernel(images(1, 0))
    with pytest.raises(ValueError, match=r"give maps \(4, 4\) and \(2, 2\)"):
        layer = Residual(Convolution(3), shortcut=[Convolution(3, stride=2)])
        serial(layer, Flatten(), Dense()).kernel(images(1, 0))


def test_wrong_inputs_are_named() -> None:
    network = serial(Dense())
    with pytest.raises(ValueError, match="expected one dtype and shape of a sample"):
        network.kernel(X, Z)
    with pytest.raises(ValueError, match="expected one dtype and shape of a sample"):
        network.kernel(X, Y.float())
    with pytest.raises(ValueError, match=r"torch.int64 of shape \(1, 2\); expected float32"):
        network.kernel(X.long())
    with pytest.raises(ValueError, match=r"shape \(0, 2\)"):
        network.kernel(X, X[:0])
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        network.kernel(X[0])


@pytest.mark.parametrize(
    "layers",
    [
        (Dense, Relu, Dense),
        (Dense(), "relu"),
        (Dense(), Residual(Relu, Dense()), Dense()),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_layer(layers: Any) -> None:
    with pytest.raises(TypeError, match=r"layer is .*; expected a layer, such as"):
        serial(*layers)
