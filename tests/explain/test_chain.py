"""The product of a chain's layers is its Jacobian, at any depth."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from geocore.explain.chain import chain_jacobian, is_chain, linear_gaussian_exponent
from geocore.explain.hidden import HiddenMap
from geocore.explain.lyapunov import growth, jacobian, lyapunov_exponents
from tests.explain.networks import Residual, chain, inputs, members

ACTIVATIONS = [
    nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU(), nn.CELU(), nn.SELU(), nn.GELU(), nn.SiLU(),
    nn.Softplus(), nn.Sigmoid(), nn.Tanh(), nn.Hardtanh(), nn.Softsign(), nn.Identity(),
]  # fmt: skip


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: type(a).__name__)
def test_product_is_the_jacobian(activation: nn.Module) -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(5, 6), activation, nn.Linear(6, 4), activation, nn.Linear(4, 1)]
    hidden, x = HiddenMap(nn.Sequential(*layers).double()), inputs()
    expected = torch.stack([torch.func.jacrev(lambda at: hidden(at[None])[0])(row) for row in x])
    torch.testing.assert_close(chain_jacobian(hidden, x).value, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(jacobian(hidden, x), expected, rtol=0, atol=1e-10)


def test_members_at_once() -> None:
    x, stacked = inputs(), members()
    found = chain_jacobian(HiddenMap(chain()), x, stacked).value
    expected = torch.stack([jacobian(HiddenMap(chain(seed)), x) for seed in range(3)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    by_products = jacobian(HiddenMap(chain()), x, stacked)
    torch.testing.assert_close(by_products, expected, rtol=0, atol=1e-10)


def test_an_activation_may_come_first() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Tanh(), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    hidden, x = HiddenMap(network), inputs()
    found = chain_jacobian(hidden, x).value
    torch.testing.assert_close(found, jacobian(hidden, x), rtol=0, atol=1e-12)


def gaussian(width: int, depth: int, networks: int) -> tuple[HiddenMap, dict[str, Tensor]]:
    """Linear networks with entries of variance 1 / width."""
    layers = [nn.Linear(width, width, bias=False) for _ in range(depth)]
    network = nn.Sequential(*layers, nn.Linear(width, 1, bias=False)).double()
    generator = torch.Generator().manual_seed(width)
    shape = (networks, width, width)
    stacked = {
        f"{layer}.weight": torch.randn(shape, generator=generator, dtype=torch.float64)
        / math.sqrt(width)
        for layer in range(depth)
    }
    return HiddenMap(network), stacked


def test_linear_gaussian_reference_values() -> None:
    found = [linear_gaussian_exponent(1 / n, n) for n in (2, 10, 100)]
    assert found == pytest.approx([-0.28861, -0.05166, -0.00502], abs=5e-6)
    wider = linear_gaussian_exponent(math.e**2 / 10, 10)
    assert wider - linear_gaussian_exponent(0.1, 10) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("width", "depth", "networks"), [(2, 100, 200), (10, 50, 100)])
def test_growth_of_a_vector_has_the_law_of_linear_gaussian_layers(
    width: int, depth: int, networks: int
) -> None:
    hidden, stacked = gaussian(width, depth, networks)
    x = torch.zeros(1, width, dtype=torch.float64)
    found = growth(hidden, x, torch.eye(width, dtype=torch.float64)[:1], stacked)[:, 0]
    error = float(found.std()) / math.sqrt(networks)
    assert error < 0.01  # so that the wrong law, off by 0.05 and more, cannot pass
    assert abs(float(found.mean()) - linear_gaussian_exponent(1 / width, width)) < 3 * error


def test_largest_exponent_has_it_as_depth_grows() -> None:
    # From depth 50 to 100: what the first layers win by choosing the direction cancels.
    (full, stacked), (half, _) = gaussian(2, 100, 200), gaussian(2, 50, 1)
    x = torch.zeros(1, 2, dtype=torch.float64)
    first = {f"{layer}.weight": stacked[f"{layer}.weight"] for layer in range(50)}
    more = lyapunov_exponents(full, x, stacked).total - lyapunov_exponents(half, x, first).total
    error = float(more.std()) / 50 / math.sqrt(200)
    assert abs(float(more.mean()) / 50 - linear_gaussian_exponent(0.5, 2)) < 3 * error


def test_deep_networks_neither_vanish_nor_overflow() -> None:
    depth = 200
    for scale in (1e-3, 1e3):
        layers = [nn.Linear(3, 3, bias=False) for _ in range(depth)]
        network = nn.Sequential(*layers, nn.Linear(3, 1))
        for layer in layers:
            layer.weight.data = scale * torch.eye(3)
        found = lyapunov_exponents(HiddenMap(network), torch.ones(2, 3), method="chain")
        assert found.largest.tolist() == pytest.approx([math.log(scale)] * 2, rel=1e-6)


def test_bad_input() -> None:
    hidden = HiddenMap(Residual(), layer="last", depth=2)
    assert not is_chain(hidden) and is_chain(HiddenMap(chain()))
    with pytest.raises(ValueError, match="network is Residual; expected a chain of linear maps"):
        chain_jacobian(hidden, inputs())
    with pytest.raises(ValueError, match="variance, width are 0, 3; expected above 0"):
        linear_gaussian_exponent(0, 3)


@pytest.mark.parametrize("kind", [nn.ReLU, nn.ELU, nn.LeakyReLU])
def test_an_activation_may_overwrite_its_input(kind: type[nn.ReLU]) -> None:
    torch.manual_seed(0)
    linears = [nn.Linear(5, 6), nn.Linear(6, 1)]
    x, found = inputs(), []
    for inplace in (False, True):
        network = nn.Sequential(linears[0], kind(inplace=inplace), linears[1]).double()
        found.append(chain_jacobian(HiddenMap(network), x).value)
    torch.testing.assert_close(*found, rtol=0, atol=1e-14)
