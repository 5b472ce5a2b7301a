"""Equivariance errors of functions whose error is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.measure.equivariance import equivariance_error, layer_errors, relative_error


def roll(x: Tensor) -> Tensor:
    return x.roll(1, dims=1)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(3, 8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_relative_error_by_hand() -> None:
    expected = torch.tensor([[[3.0, 4.0]], [[0.0, 1.0]]])
    found = torch.tensor([[[3.0, 4.5]], [[2.0, 1.0]]])
    assert relative_error(found, expected).tolist() == [0.1, 2.0]


def test_vanishing_norms() -> None:
    zero, one = torch.zeros(1, 2), torch.ones(1, 2)
    assert relative_error(zero, zero).tolist() == [0.0]
    assert relative_error(one, zero).tolist() == [math.inf]
    assert relative_error(zero, one).tolist() == [1.0]


def test_what_is_not_finite_is_no_small_error() -> None:
    nan, one = torch.full((1, 2), math.nan), torch.ones(1, 2)
    assert relative_error(nan, one).isnan().all()
    assert relative_error(one, nan).isnan().all()
    assert not relative_error(one, torch.full((1, 2), math.inf)).isfinite().any()


def test_sums_are_in_float64() -> None:
    # In float32 the squares of 1e-30 underflow and those of 1e30 overflow.
    for size in (1e-30, 1e30):
        expected = torch.full((1, 100), size)
        assert float(relative_error(expected * 1.5, expected)) == pytest.approx(0.5, rel=1e-6)


def test_complex_and_scalar_outputs() -> None:
    assert relative_error(torch.tensor([3 + 4j]), torch.tensor([3 + 0j])).tolist() == [4 / 3]
    assert relative_error(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])).tolist() == [0, 0.5]


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(2, 1\); expected one"):
        relative_error(torch.ones(2, 3), torch.ones(2, 1))


def test_a_pointwise_function_commutes_and_a_weighting_does_not(x: Tensor) -> None:
    assert equivariance_error(torch.tanh, x, roll).tolist() == [0, 0, 0]
    assert (equivariance_error(lambda x: x * torch.arange(8.0)[:, None], x, roll) > 0.1).all()


def test_invariant_output(x: Tensor) -> None:
    error = equivariance_error(lambda x: x.mean(dim=1), x, roll, "invariant")
    assert error.shape == (3,)
    assert float(error.max()) < 1e-15
    assert float(equivariance_error(lambda x: x[:, 0], x, roll, "invariant").min()) > 0.1


def test_the_error_is_relative_to_the_turned_output() -> None:
    ramp = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1)
    # f takes the first entry: f(g x) = 3 and f(x) = 1.
    assert equivariance_error(lambda x: x[:, 0], ramp, roll, "invariant").tolist() == [2]


def test_an_action_of_its_own_on_the_output(x: Tensor) -> None:
    # x -> -x is odd: f(-x) = -f(x), and its square is even.
    assert equivariance_error(torch.sin, x, torch.neg).tolist() == [0, 0, 0]
    assert equivariance_error(torch.square, x, torch.neg).tolist() == [2, 2, 2]
    assert equivariance_error(torch.square, x, torch.neg, lambda y: y).tolist() == [0, 0, 0]


def test_a_known_error(x: Tensor) -> None:
    # f adds e to entry 0 of a constant map: f(g x) - g f(x) is e at one place and -e at another.
    def mark(x: Tensor) -> Tensor:
        return x + 0.3 * torch.eye(8, 1, dtype=torch.float64)

    constant = torch.ones(1, 8, 1, dtype=torch.float64)
    expected = math.sqrt(2) * 0.3 / math.sqrt(7 + 1.3**2)
    assert float(equivariance_error(mark, constant, roll)) == pytest.approx(expected, abs=1e-15)


def test_layers_act_at_their_own_resolution(x: Tensor) -> None:
    def trace(x: Tensor) -> dict[str, Tensor]:
        fine = x.cumsum(dim=1)  # breaks the law
        coarse = x.unflatten(1, (4, 2)).mean(dim=2)  # keeps it for rolls by two
        return {"fine": fine, "coarse": coarse, "logits": x.mean(dim=1).repeat(1, 2)}

    def by_a_quarter(x: Tensor) -> Tensor:
        return x.roll(x.shape[1] // 4, dims=1)

    errors = layer_errors(trace(by_a_quarter(x)), trace(x), by_a_quarter)
    assert list(errors) == ["fine", "coarse", "logits"]
    assert (errors["fine"] > 0.1).all()
    assert float(errors["coarse"].max()) < 1e-15
    assert float(errors["logits"].max()) < 1e-14


def test_layers_must_agree(x: Tensor) -> None:
    with pytest.raises(ValueError, match="differ in the layers b; expected the same"):
        layer_errors({"a": x}, {"a": x, "b": x}, roll)
