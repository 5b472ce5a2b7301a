"""Members trained together: gradient descent's own formula, company of no account."""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.kernels.composed import serial
from geocore.kernels.layers import Dense
from geocore.kernels.twins import finite_twin
from geocore.pipeline.limit_members import trained_answers
from geocore.pipeline.limit_networks import dense_network


def data() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x, y, asked = (
        torch.randn(count, size, dtype=torch.float64, generator=generator)
        for count, size in ((6, 4), (6, 2), (3, 4))
    )
    return x, y, asked


def test_a_linear_network_is_gradient_descent_on_its_kernel() -> None:
    """``f_k = f_0 + Theta(x, X) (1 - (1 - h Theta / n)^k) / Theta (y - f_0(X))``, float32."""
    x, y, asked = data()
    network, steps, lr = serial(Dense()), (0, 1, 7), 0.5
    found = trained_answers(network, 1, [3, 8], x, y, asked, steps, lr)
    gram, cross = network.kernel(x).ntk, network.kernel(asked, x).ntk
    values, vectors = torch.linalg.eigh(gram / len(x))
    for place, seed in enumerate((3, 8)):
        generator = torch.Generator().manual_seed(seed)
        twin = finite_twin(network, (4,), 1, 2, generator, torch.float32).double()
        with torch.no_grad():
            start, at = twin(asked), twin(x)
        for number, step in enumerate(steps):
            kept = values > 1e-9
            moved = torch.where(kept, (1 - (1 - lr * values) ** step) / values, 0.0)
            expected = start + cross / len(x) @ (vectors * moved) @ vectors.T @ (y - at)
            torch.testing.assert_close(
                found[number, place].double(), expected, rtol=1e-4, atol=1e-5
            )


def test_a_member_is_the_same_in_any_company() -> None:
    x, y, asked = data()
    network = dense_network(2)
    told: list[int] = []
    both = trained_answers(network, 8, [1, 2], x, y, asked, (0, 4), 0.1, told.append)
    alone = trained_answers(network, 8, [2], x, y, asked, (0, 4), 0.1)
    torch.testing.assert_close(both[:, 1:], alone, rtol=1e-5, atol=1e-6)
    assert told == [1, 2, 3, 4]
    assert float((both[1] - both[0]).abs().max()) > 1e-3  # something was learned
    assert float((both[:, 0] - both[:, 1]).abs().max()) > 0.1  # by members that differ
