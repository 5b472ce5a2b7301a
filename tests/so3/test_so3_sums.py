"""The two sums: each is the other's derivative, and they work under torch.func."""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.so3.quadrature import driscoll_healy_weights
from geocore.so3.so3_sums import analysis, synthesis
from geocore.so3.wigner_tables import wigner_table
from tests.so3.signals import so3_coefficients

B, FINE = 3, 4


def table() -> Tensor:
    return wigner_table(B, driscoll_healy_weights(FINE)[0]).flatten(0, 1)


def samples() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    size = 2 * FINE
    return torch.randn(2, size, size, size, generator=generator, dtype=torch.float64)


def test_adjoint_up_to_the_multiplicity_of_orders() -> None:
    f, c, epsilon = samples(), so3_coefficients(B, real=True), torch.tensor([1.0, 2.0, 2.0])
    c[:, :, 0] = torch.randn_like(c[:, :, 0])  # whatever the symmetry of m = 0
    left = (analysis(f, table()) * epsilon[:, None] * c.conj()).real.sum()
    right = (f * synthesis(c, table(), 2 * FINE)).sum()
    torch.testing.assert_close(left, right, atol=1e-12, rtol=1e-13)


def test_first_and_second_derivatives_both_ways() -> None:
    f = samples()[:1].requires_grad_()
    c = so3_coefficients(B, real=True, count=1).requires_grad_()

    def there(f: Tensor) -> Tensor:
        return analysis(f, table())

    def back(c: Tensor) -> Tensor:
        return synthesis(c, table(), 2 * FINE)

    assert torch.autograd.gradcheck(there, (f,), fast_mode=True, check_forward_ad=True)
    assert torch.autograd.gradcheck(back, (c,), fast_mode=True, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda f: there(f).abs().square(), (f,), fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda c: back(c).square(), (c,), fast_mode=True)


def test_many_members_as_one() -> None:
    f = torch.stack([samples(), 2 * samples()])
    together = torch.func.vmap(lambda f: analysis(f, table()))(f)
    alone = torch.stack([analysis(each, table()) for each in f])
    torch.testing.assert_close(together, alone, atol=1e-14, rtol=0)

    def energy(f: Tensor) -> Tensor:
        return analysis(f, table()).abs().square().sum()

    gradients = torch.func.vmap(torch.func.grad(energy))(f)
    torch.testing.assert_close(gradients[1], 2 * gradients[0], atol=1e-12, rtol=0)
