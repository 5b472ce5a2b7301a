"""Every method finds the exponents and directions of the singular value decomposition."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import nn

from geocore.explain.chain import row_space
from geocore.explain.hidden import HiddenMap
from geocore.explain.lyapunov import growth, jacobian, lyapunov_exponents
from tests.explain.networks import Residual, chain, inputs, members

METHODS = ["auto", "chain", "gram", "power"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stacked", [False, True])
def test_methods_agree_with_the_svd(method: Any, stacked: bool) -> None:
    hidden, x, given = HiddenMap(chain()), inputs(), members() if stacked else None
    expected = lyapunov_exponents(hidden, x, given, method="svd")
    more: dict[str, Any] = {"tolerance": 1e-9, "block": 2, "iterations": 500}
    found = lyapunov_exponents(hidden, x, given, method=method, chunk=4, **more)
    assert found.largest.shape == ((3, 11) if stacked else (11,))
    torch.testing.assert_close(found.largest, expected.largest, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.direction, expected.direction, rtol=0, atol=1e-7)
    assert float(found.residual.max()) <= (1e-9 if method == "power" else 0.0)


@pytest.mark.parametrize("stacked", [False, True])
def test_wide_inputs_are_looked_at_in_the_span_of_the_first_layer(stacked: bool) -> None:
    hidden, x = HiddenMap(chain(inputs=40)), inputs(11, 40)
    given = members(inputs=40) if stacked else None
    expected = lyapunov_exponents(hidden, x, given, method="svd")
    methods: list[Any] = ["auto", "chain"]
    for method in methods:
        found = lyapunov_exponents(hidden, x, given, method=method, chunk=4)
        torch.testing.assert_close(found.largest, expected.largest, rtol=0, atol=1e-12)
        torch.testing.assert_close(found.direction, expected.direction, rtol=0, atol=1e-7)
    # A wide first layer, or none at the start, is left as it is.
    assert row_space(HiddenMap(chain(inputs=7)), {}) is None
    acted = nn.Sequential(nn.Tanh(), nn.Linear(5, 3), nn.Linear(3, 1))
    assert row_space(HiddenMap(acted), {}) is None
    space = row_space(hidden, {})
    assert space is not None and space.axes.shape == (1, 40, 7)
    weight = chain(inputs=40).get_parameter("1.weight").detach()
    torch.testing.assert_close((space.first @ space.axes.mT)[0], weight, rtol=0, atol=1e-13)


@pytest.mark.parametrize("sizes", [(5, 9), (9, 3)])
def test_the_definition(sizes: tuple[int, int]) -> None:
    # Few inputs (forward products) and few hidden units (backward ones).
    torch.manual_seed(0)
    layers = [nn.Linear(sizes[0], 8), nn.Tanh(), nn.Linear(8, sizes[1]), nn.Tanh()]
    hidden = HiddenMap(nn.Sequential(*layers, nn.Linear(sizes[1], 1)).double())
    x = inputs(6, sizes[0])
    found = lyapunov_exponents(hidden, x, method="gram")
    for row, exponent, direction in zip(x, found.largest, found.direction, strict=True):
        matrix = torch.func.jacrev(lambda at: hidden(at[None])[0])(row)
        norm = torch.linalg.matrix_norm(matrix.detach(), ord=2)
        assert float(exponent) == pytest.approx(float(norm.log()) / 2, abs=1e-12)
        assert float((matrix.detach() @ direction).norm()) == pytest.approx(float(norm), rel=1e-12)
        assert float(direction.norm()) == pytest.approx(1, abs=1e-12)
        assert float(direction[direction.abs().argmax()]) > 0


def test_any_network_with_a_named_layer() -> None:
    hidden, x = HiddenMap(Residual(), layer="last", depth=2), inputs()
    expected = lyapunov_exponents(hidden, x, method="svd")
    state = Residual().state_dict()
    stacked = {name: torch.stack([value, 2 * value]) for name, value in state.items()}
    for method in ("gram", "power"):
        found = lyapunov_exponents(hidden, x, stacked, method=method, tolerance=1e-9)
        torch.testing.assert_close(found.largest[0], expected.largest, rtol=0, atol=1e-12)
        assert not torch.allclose(found.largest[1], expected.largest)


def test_growth_is_largest_along_the_stretching_direction() -> None:
    hidden, x = HiddenMap(chain()), inputs()
    found = lyapunov_exponents(hidden, x)
    along = growth(hidden, x, 3 * found.direction)
    torch.testing.assert_close(along, found.largest, rtol=0, atol=1e-12)
    assert bool((growth(hidden, x, inputs(seed=7)) < found.largest).all())


def test_convolutions_keep_the_shape_of_their_inputs() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Conv2d(2, 2, 3), nn.Flatten(), nn.Linear(50, 2)
    ).double()
    x = torch.randn(3, 1, 9, 9, dtype=torch.float64)
    hidden = HiddenMap(network)
    expected = lyapunov_exponents(hidden, x, method="svd")
    found = lyapunov_exponents(hidden, x, method="power", tolerance=1e-8, iterations=2000)
    assert found.direction.shape == x.shape
    torch.testing.assert_close(found.largest, expected.largest, rtol=0, atol=1e-9)
    assert lyapunov_exponents(hidden, x).residual.max() == 0  # 50 hidden units: the whole Jacobian


def test_dead_units_and_single_precision() -> None:
    first = nn.Linear(3, 4)
    first.bias.data.fill_(-100)
    hidden = HiddenMap(nn.Sequential(first, nn.ReLU(), nn.Linear(4, 1)))
    for method in ("chain", "gram", "power", "svd"):
        dead = lyapunov_exponents(hidden, torch.ones(2, 3), method=method)
        assert dead.largest.tolist() == [-math.inf] * 2
        assert bool(dead.direction.isfinite().all())
    x, tiny = inputs().float(), 1e-25  # whose square float32 does not hold
    shrunk = nn.Linear(5, 4, bias=False)
    expected = torch.linalg.matrix_norm(shrunk.weight.data, ord=2).log() + math.log(tiny)
    shrunk.weight.data.mul_(tiny)
    hidden = HiddenMap(nn.Sequential(shrunk, nn.Linear(4, 1)))
    for method in ("chain", "gram", "power"):
        found = lyapunov_exponents(hidden, x, method=method)  # type: ignore[arg-type]
        assert found.largest.dtype == torch.float32
        torch.testing.assert_close(found.largest, expected.expand(11), rtol=0, atol=1e-3)


def test_total_is_depth_times_the_exponent() -> None:
    found = lyapunov_exponents(HiddenMap(chain()), inputs())
    matrix = jacobian(HiddenMap(chain()), inputs())
    norms = torch.linalg.matrix_norm(matrix, ord=2).log()
    torch.testing.assert_close(found.total, norms, rtol=0, atol=1e-12)
    assert not found.largest.requires_grad and not matrix.requires_grad


def test_bad_input() -> None:
    hidden, x = HiddenMap(chain()), inputs()
    with pytest.raises(TypeError, match=r"x is torch.int64; expected floats"):
        lyapunov_exponents(hidden, torch.ones(2, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"x has shape \(0, 5\); expected \(batch, ...\)"):
        lyapunov_exponents(hidden, x[:0])
    with pytest.raises(ValueError, match="method is 'qr'; expected auto, chain, gram, power"):
        lyapunov_exponents(hidden, x, method="qr")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="chunk is 0; expected at least 1"):
        lyapunov_exponents(hidden, x, chunk=0)
    with pytest.raises(ValueError, match="block, iterations are 0, 100; expected at least 1"):
        lyapunov_exponents(hidden, x, method="power", block=0)
    with pytest.raises(ValueError, match="x and direction have shapes"):
        growth(hidden, x, x[:3])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_inputs_that_are_not_finite(value: float) -> None:
    x = inputs()
    x[3, 1] = value
    with pytest.raises(ValueError, match=f"x is {value} at some place; expected finite numbers"):
        lyapunov_exponents(HiddenMap(chain()), x)


def test_a_deep_float32_chain_does_not_vanish() -> None:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for fan_in, out in itertools.pairwise([20] * 60 + [4]):  # its shorter side is its end
        linear = nn.Linear(fan_in, out, bias=False)
        nn.init.normal_(linear.weight, std=0.1 * fan_in**-0.5)
        layers += [linear, nn.Tanh()]
    network, x = nn.Sequential(*layers, nn.Linear(4, 1)), torch.randn(3, 20)
    found = lyapunov_exponents(HiddenMap(network), x)
    expected = lyapunov_exponents(HiddenMap(network.double()), x.double(), method="svd")
    assert float(expected.total.max()) < -104  # the log of float32's smallest number
    torch.testing.assert_close(found.largest.double(), expected.largest, rtol=0, atol=1e-5)
