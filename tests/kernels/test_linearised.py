"""A linearised network is the tangent plane of the network, with its tangent kernel for ever."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from geocore.kernels.empirical import empirical_ntk
from geocore.kernels.linearised import Linearised

F64 = torch.float64


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)).double()


def inputs(seed: int = 1) -> Tensor:
    return torch.randn(5, 4, dtype=F64, generator=torch.Generator().manual_seed(seed))


def moved(model: Linearised, by: float) -> dict[str, Tensor]:
    """Move every parameter along a fixed direction; the moves by name."""
    generator = torch.Generator().manual_seed(2)
    moves = {}
    with torch.no_grad():
        for name, p in model.theta.named_parameters():
            moves[name] = by * torch.randn(p.shape, generator=generator, dtype=F64)
            p.add_(moves[name])
    return moves


def test_it_is_the_jacobian_at_the_start() -> None:
    plain, x = network(), inputs()
    model = Linearised(plain)
    assert torch.equal(model(x), plain(x))
    moves = moved(model, 3.0)
    parameters = {n: p.detach() for n, p in plain.named_parameters()}
    rows = torch.func.jacrev(lambda p: torch.func.functional_call(plain, p, (x,)))(parameters)
    change = sum((rows[n].flatten(2) * moves[n].flatten()).sum(dim=2) for n in moves)
    torch.testing.assert_close(model(x), plain(x) + change, rtol=1e-12, atol=1e-12)


def test_it_leaves_the_network_to_second_order() -> None:
    x, errors = inputs(), []
    for by in (1e-2, 1e-3):
        model = Linearised(network())
        moved(model, by)
        errors.append(float((model(x) - model.theta(x)).abs().max().detach()))
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.2)


def test_its_tangent_kernel_never_changes() -> None:
    plain, x = network(), inputs()
    model = Linearised(plain)
    expected = empirical_ntk(plain, x)
    moved(model, 1.0)
    rows = []
    for value in model(x).flatten():
        grads = torch.autograd.grad(value, list(model.theta.parameters()), retain_graph=True)
        rows.append(torch.cat([grad.flatten() for grad in grads]))
    jacobian = torch.stack(rows).unflatten(0, (5, 2))
    found = torch.einsum("iap,jbp->ijab", jacobian, jacobian)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(empirical_ntk(model.theta, x), expected)


def test_gradient_descent_follows_the_kernel() -> None:
    # One step of the rate h on 1/2 |f - y|^2 moves the outputs by -h Theta (f - y), exactly.
    plain, x, y = network(), inputs(), inputs(3)[:, :2]
    model, rate = Linearised(plain), 0.1
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=rate)
    kernel = empirical_ntk(plain, x)
    for _ in range(3):
        before = model(x)
        expected = before - rate * torch.einsum("ijab,jb->ia", kernel, before - y)
        optimiser.zero_grad()
        (0.5 * (before - y).square().sum()).backward()
        optimiser.step()
        torch.testing.assert_close(model(x), expected, rtol=1e-12, atol=1e-12)
    kept = dict(model.start.named_parameters())
    assert all(torch.equal(kept[name], p) for name, p in plain.named_parameters())


def test_frozen_parameters_stay() -> None:
    plain = network()
    plain[0].requires_grad_(False)
    model = Linearised(plain)
    assert {n for n, p in model.named_parameters() if p.requires_grad} == {
        "theta.2.weight", "theta.2.bias",
    }  # fmt: skip
    assert torch.equal(model(inputs()), plain(inputs()))
    with pytest.raises(ValueError, match="network is Sequential without trainable parameters"):
        Linearised(plain.requires_grad_(False))
