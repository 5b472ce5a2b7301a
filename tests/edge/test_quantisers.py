"""Grids: weights of two values and of three by hand, activations at their ends, gradients."""

from __future__ import annotations

import pytest
import torch

from geocore.edge.bits import WeightBits
from geocore.edge.float_graph import FloatConvolution, FloatDense
from geocore.edge.nodes import IMAGES
from geocore.edge.quantisers import ActivationGrid, QuantisedWeights, fraction_of

WEIGHTS = [[0.9, -0.1, 0.3], [-0.6, 0.0, 0.02]]


def weights(bits: WeightBits, values: list[list[float]] | None = None) -> QuantisedWeights:
    held = torch.tensor(values or WEIGHTS, dtype=torch.float64)
    made = QuantisedWeights(FloatDense("d", (IMAGES,), held, held[:, 0]), bits)
    return made.double()


def test_binary_weights_are_signs() -> None:
    value, step = weights("binary")()
    # The mean magnitude is 0.32, and 1/4 is next to it in the logarithm.
    assert step.item() == 0.25
    assert value.tolist() == [[0.25, -0.25, 0.25], [-0.25, 0.25, 0.25]]


def test_ternary_weights_leave_out_the_small_ones() -> None:
    value, step = weights("ternary")()
    # Above 0.7 of the mean, 0.224, are 0.9, 0.6 and 0.3: 0.6 on average, and 1/2 is next to it.
    assert step.item() == 0.5
    assert value.tolist() == [[0.5, 0.0, 0.5], [-0.5, 0.0, 0.0]]


@pytest.mark.parametrize("bits", [2, 3, 8, 16])
def test_fixed_point_weights_take_the_least_step(bits: int) -> None:
    value, step = weights(bits)()
    assert step.item() == 2.0 ** (1 - bits)  # 0.9 lies below 1 = 2^(bits-1) steps
    clipped = torch.tensor(WEIGHTS).double().clamp(max=1 - step.item())
    assert (value - clipped).abs().max() <= step / 2


@pytest.mark.parametrize("bits", [4, "ternary", "binary"])
def test_a_layer_of_zeros_has_a_step(bits: WeightBits) -> None:
    value, step = weights(bits, [[0.0, 0.0]])()
    assert 0 < step.item() < 1e-4 and value.abs().max() <= step
    if bits != "binary":  # which has no zero
        assert not value.any()


@pytest.mark.parametrize("bits", ["ternary", "binary"])
def test_gradients_of_signs_are_those_of_the_weights(bits: WeightBits) -> None:
    made = weights(bits)
    value, step = made()
    (value * torch.arange(6.0).reshape(2, 3)).sum().backward()
    assert made.layer.weight.grad.flatten().tolist() == list(range(6))
    made.bias(step).sum().backward()
    assert made.layer.bias.grad.tolist() == [1.0, 1.0]


def test_a_bias_lies_on_the_products_grid() -> None:
    made = weights(4)
    found = made.bias(torch.tensor(2.0**-3, dtype=torch.float64))
    assert found.tolist() == [0.875, -0.625]


@pytest.mark.parametrize(("signed", "lowest", "highest"), [(False, 0.0, 3.75), (True, -4.0, 3.5)])
def test_an_activation_grid_holds_its_peak(signed: bool, lowest: float, highest: float) -> None:
    grid = ActivationGrid(4, 3.1, signed=signed).double()
    step = (highest - lowest) / 15
    assert float(grid.step) == step
    assert (grid.format.bits, grid.format.signed) == (4, signed)
    given = torch.tensor([-9.0, 9.0, 0.6, step / 2, 3 * step / 2], dtype=torch.float64)
    wanted = [lowest, highest, round(0.6 / step) * step, 0.0, 2 * step]  # ties to even
    assert grid(given).tolist() == wanted


@pytest.mark.parametrize("signed", [False, True])
def test_an_activation_grid_is_brevitas_own(signed: bool) -> None:
    grid = ActivationGrid(4, 1.9, signed=signed).double()
    generator = torch.Generator().manual_seed(0)
    given = 2 * torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    pulled = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    (parameter,) = grid.parameters()
    found = []
    for layer in (grid, grid.layer):
        values = given.clone().requires_grad_()
        value = layer(values)
        found.append((value, *torch.autograd.grad((value * pulled).sum(), [values, parameter])))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-12)
    assert float(found[0][2].abs()) > 0.1


@pytest.mark.parametrize("bits", [2, 5, 16])
def test_fixed_point_weights_are_brevitas_own(bits: int) -> None:
    generator = torch.Generator().manual_seed(bits)
    held = torch.randn(4, 3, 3, 3, generator=generator, dtype=torch.float64)
    pulled = torch.randn(4, 3, 3, 3, generator=generator, dtype=torch.float64)
    made = QuantisedWeights(FloatConvolution("c", (IMAGES,), held, held[:, 0, 0, 0]), bits).double()
    theirs = made.layer.quant_weight()
    value, step = made()
    assert torch.equal(value, theirs.value) and float(step.detach()) == float(theirs.scale.detach())
    mine, other = (
        torch.autograd.grad((found * pulled).sum(), made.layer.weight)[0]
        for found in (value, theirs.value)
    )
    torch.testing.assert_close(mine, other, atol=1e-10, rtol=1e-10)


def test_a_step_that_is_no_power_of_two_is_refused() -> None:
    assert fraction_of(torch.tensor(0.25)) == 2
    for wrong in (torch.tensor(0.3), torch.tensor([1.0, 1.0])):
        with pytest.raises(ValueError, match="expected one power of two"):
            fraction_of(wrong)
