"""The model in jax against the same one in torch: outputs, density, layout."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from geocore.ensembles.hmc_networks import BayesianNetwork

jax = pytest.importorskip("jax")


def tanh_perceptron() -> nn.Sequential:
    tanh = nn.Tanh()  # one layer, used twice
    hidden = nn.Sequential(nn.Linear(4, 4, bias=False), tanh)  # one inside another
    return nn.Sequential(nn.Linear(3, 4), tanh, hidden, nn.Linear(4, 3), tanh)


def pooled_images() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 2, bias=False), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(4, 5),
    )  # fmt: skip


def strided_images() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(0, 1)),
        nn.Tanh(), nn.MaxPool2d((1, 2)), nn.Flatten(), nn.Linear(36, 4),
    )  # fmt: skip


CASES = [
    (tanh_perceptron, (3,)),
    (pooled_images, (1, 7, 7)),
    (strided_images, (2, 8, 7)),
]


def drawn(network: BayesianNetwork, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    flat = torch.randn(network.parameters, generator=generator, dtype=torch.float64)
    return flat, torch.randn(11, *shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("build", "shape"), CASES)
def test_jax_and_torch_give_the_same_logits(build: type, shape: tuple[int, ...]) -> None:
    from jax.experimental import enable_x64

    network = BayesianNetwork(build())
    flat, x = drawn(network, shape)
    loaded = network.with_parameters(flat)
    # The layout is torch's own.
    assert torch.equal(parameters_to_vector(loaded.parameters()), flat)
    with torch.no_grad():
        expected = loaded(x)
    a, _ = network.arrays(x, torch.zeros(len(x), dtype=torch.int64), np.float64)
    with enable_x64():
        found = np.array(network.outputs(jax.numpy.asarray(flat.numpy()), a))
    assert expected.abs().max() > 0.1
    np.testing.assert_allclose(found.T, expected.numpy(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("noise", [None, 0.4])
@pytest.mark.parametrize(("build", "shape"), CASES)
def test_log_density_and_its_gradient_are_torchs(
    build: type, shape: tuple[int, ...], noise: float | None
) -> None:
    from jax.experimental import enable_x64

    network = BayesianNetwork(build(), prior_scale=0.7, noise=noise)
    flat, x = drawn(network, shape)
    flat.requires_grad_()
    out = torch.func.functional_call(network.module, network.unflatten(flat), (x,))
    if noise is None:
        y = torch.arange(len(x)) % out.shape[1]
        fit = torch.distributions.Categorical(logits=out).log_prob(y).sum()
    else:
        y = out.detach().flip(0)
        fit = (
            torch.distributions.Normal(out, torch.tensor(noise, dtype=torch.float64))
            .log_prob(y)
            .sum()
        )
    prior = torch.distributions.Normal(0.0, torch.tensor(0.7, dtype=torch.float64))
    expected = fit + prior.log_prob(flat).sum()
    (gradient,) = torch.autograd.grad(expected, flat)
    data = network.arrays(x, y, np.float64)
    with enable_x64():
        value, slope = jax.value_and_grad(network.log_density)(
            jax.numpy.asarray(flat.detach().numpy()), *data
        )
    assert float(value) == pytest.approx(float(expected.detach()), abs=1e-10, rel=1e-13)
    np.testing.assert_allclose(np.array(slope), gradient.numpy(), rtol=1e-10, atol=1e-10)


def test_unflatten_keeps_leading_axes() -> None:
    network = BayesianNetwork(nn.Sequential(nn.Linear(2, 3)))
    parts = network.unflatten(torch.arange(18.0).reshape(2, 9))
    assert parts["0.weight"][1].tolist() == [[9, 10], [11, 12], [13, 14]]
    assert parts["0.bias"][0].tolist() == [6, 7, 8]


def plain() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3))


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_a_scale_that_is_not_positive_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match=f"^prior_scale is {scale}; expected a positive number$"):
        BayesianNetwork(plain(), scale)
    with pytest.raises(ValueError, match=f"^noise is {scale}; expected a positive number$"):
        BayesianNetwork(plain(), 1.0, scale)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.Dropout(0.1), r"layer 0 is Dropout.*expected Linear, Conv2d"),
        (nn.Conv2d(2, 2, 3, groups=2), r"layer 0 is Conv2d.*expected one group"),
        (nn.Conv2d(2, 2, 3, padding="same"), r"layer 0 is Conv2d.*padding of zeros in pixels"),
        (nn.MaxPool2d(3, 2), r"layer 0 is MaxPool2d.*expected windows side by side"),
        (nn.Flatten(2), r"layer 0 is Flatten.*Flatten from axis 1"),
        (nn.ReLU(), r"module has no parameters; expected at least one"),
    ],
)
def test_a_layer_that_is_not_known_is_refused_by_name(layer: nn.Module, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        BayesianNetwork(nn.Sequential(layer))
    assert "\n" not in str(error.value)


def test_weights_that_two_layers_share_are_refused() -> None:
    layer = nn.Linear(2, 2)
    line = "^parameter 1.bias is another layer's as well; expected its own$"
    with pytest.raises(ValueError, match=line):
        BayesianNetwork(nn.Sequential(layer, layer))


def test_another_module_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^module is Linear; expected a nn\.Sequential$"):
        BayesianNetwork(nn.Linear(2, 3))  # type: ignore[arg-type]


def test_bad_data_is_refused_in_a_line() -> None:
    network = BayesianNetwork(plain())
    x, y = torch.zeros(4, 2), torch.tensor([0, 1, 2, 0])
    assert network.check_data(x, y) == 3
    broken = x.clone()
    broken[1, 0] = math.nan
    for bad, words in [
        ((broken, y), "x has 1 numbers that are not finite; expected none"),
        ((torch.zeros(0, 2), y), "x has shape (0, 2); expected (n, ...) with n >= 1"),
        ((torch.zeros(4, 3), y), "x has shape (4, 3); expected what the module takes"),
        ((x, y + 1), "y is 1 to 3; expected classes from 0 to 2"),
        ((x, y - 1), "y is -1 to 1; expected classes from 0 to 2"),
        ((x, y[:3]), "y is torch.int64 of shape (3,); expected int64 of shape (4,)"),
        ((x, y.double()), "y is torch.float64 of shape (4,); expected int64 of shape (4,)"),
    ]:
        with pytest.raises(ValueError) as error:
            network.check_data(*bad)
        assert str(error.value) == words
    real = BayesianNetwork(plain(), noise=0.5)
    with pytest.raises(ValueError, match=r"^y is torch\.int64 .*expected floats of shape \(4, 3\)"):
        real.check_data(x, y)
    with pytest.raises(ValueError, match=r"^y has 12 numbers that are not finite"):
        real.check_data(x, torch.full((4, 3), math.inf))


class Residual(torch.nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = x + super().forward(x)  # type: ignore[no-untyped-call]
        return out


def test_a_chain_with_a_forward_of_its_own_is_refused() -> None:
    with pytest.raises((ValueError, TypeError), match="Residual"):
        BayesianNetwork(torch.nn.Sequential(Residual(torch.nn.Linear(2, 2))))
