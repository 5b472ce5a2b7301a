"""Perceptrons with tanh: their formula, the size of signals, and their two halves."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from geocore.explain.tanh_network import parted, tanh_network
from tests.explain.networks import inputs


def test_the_formula() -> None:
    network = tanh_network((5, 4, 3), 0).double()
    x = inputs()
    first, second = (part for part in network if isinstance(part, nn.Linear))
    expected = torch.tanh(x @ first.weight.T + first.bias) @ second.weight.T + second.bias
    torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-14)
    bounded = tanh_network((5, 4, 3), 0, bounded=True).double()
    torch.testing.assert_close(bounded(x), expected.tanh(), rtol=0, atol=1e-14)
    other = tanh_network((5, 4, 3), 1).double()
    assert not torch.allclose(other(x), network(x), atol=0.1)


def test_weights_keep_the_size_of_a_signal() -> None:
    linear = tanh_network((400, 500), 3)[0]
    variance = float(linear.get_parameter("weight").detach().var())
    # The variance of a sample of 200,000 normal numbers is off by 0.3 %.
    assert variance * 400 == pytest.approx(1, abs=5 * math.sqrt(2 / 200_000))
    assert float(linear.get_parameter("bias").detach().abs().max()) == 0


def test_both_halves_make_the_network() -> None:
    network, x = tanh_network((5, 4, 2, 4, 3), 0).double(), inputs()
    first, second = parted(network, 2)
    assert first(x).shape == (11, 2)
    torch.testing.assert_close(second(first(x)), network(x), rtol=0, atol=0)
    assert second[0].weight is network[4].weight


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"widths are \[3\]; expected at least two, each"):
        tanh_network((3,), 0)
    with pytest.raises(ValueError, match=r"widths are \[2, 0\]; expected"):
        tanh_network((2, 0), 0)
    with pytest.raises(ValueError, match="layers is 2; expected 1 to 1 of 2"):
        parted(tanh_network((2, 3, 1), 0), 2)
