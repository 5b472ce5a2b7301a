"""The Clebsch-Gordan nonlinearity commutes with rotations to rounding, and is a product."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from geocore.models.s2cnn.norm import mean_square
from geocore.models.s2cnn.tensor_product import TensorProduct
from geocore.so3.coupling import clebsch_gordan
from geocore.testing import assert_equivariant
from tests.models.s2cnn.signals import Rotations, all_orders, rotation_angles, signal_so3, value_so3

DOUBLE = torch.float64


def layer(b_in: int = 5, b_out: int = 5, **options: Any) -> TensorProduct:
    generator = torch.Generator().manual_seed(3)
    return TensorProduct(3, 4, b_in, b_out, 2, dtype=DOUBLE, generator=generator, **options)


@pytest.mark.parametrize("b_out", [3, 5, 7])
@pytest.mark.parametrize("options", [{}, {"reach": 1}, {"gate": True}])
def test_commutes_with_rotations(b_out: int, options: dict[str, Any]) -> None:
    f = signal_so3(2, 3, bandlimit=5)
    assert_equivariant(layer(5, b_out, **options), Rotations("so3"), f, 1e-10)


def test_the_output_is_a_real_signal() -> None:
    out = layer()(signal_so3(1, 3, bandlimit=5))
    values = torch.stack([value_so3(out, angles) for angles in rotation_angles(5)])
    assert values.imag.abs().max() < 1e-12
    assert values.real.abs().max() > 0.1


def test_is_the_sum_over_degrees() -> None:
    """Against the formula, degree by degree, with plain tables of couplings."""
    product, bandlimit = layer(), 5
    left, right = (
        signal_so3(2, bandlimit=bandlimit)[..., 4],
        signal_so3(2, bandlimit=5, seed=1)[..., 4],
    )
    left[..., 0], right[..., 0] = left[..., 0].real + 0j, right[..., 0].real + 0j
    torch.nn.init.ones_(product.path_weight)
    found = product._product(
        *(all_orders(half[None], so3=False).flatten(-2) for half in (left, right))
    )
    u, v = all_orders(left, False), all_orders(right, False)
    for degree in range(bandlimit):
        expected = torch.zeros(2, degree + 1, dtype=torch.complex128)
        for l1 in range(bandlimit):
            for l2 in range(bandlimit):
                if not abs(l1 - l2) <= degree <= l1 + l2:
                    continue
                reached = len(range(abs(l1 - l2), min(l1 + l2 + 1, bandlimit)))
                square = (2 * l1 + 1) * (2 * l2 + 1) / (4 * torch.pi * (2 * degree + 1) * reached)
                table = clebsch_gordan(l1, l2, degree).to(u.dtype)
                one = u[:, l1, 4 - l1 : 5 + l1]
                other = v[:, l2, 4 - l2 : 5 + l2]
                term = torch.einsum("tm,tn,mnk->tk", one, other, table)[:, degree:]
                expected += 1j ** ((l1 + l2 - degree) % 2) * square**0.5 * term
        torch.testing.assert_close(found[0, :, degree, : degree + 1], expected, atol=1e-12, rtol=0)


def test_grows_like_its_input_and_is_not_linear() -> None:
    f, g = signal_so3(1, 3, bandlimit=5), signal_so3(1, 3, bandlimit=5, seed=1)
    product = layer()
    torch.testing.assert_close(product(3 * f), 3 * product(f), atol=1e-10, rtol=0)
    assert float((product(f + g) - product(f) - product(g)).detach().norm()) > 0.1


def test_initial_weights_keep_the_mean_square() -> None:
    generator = torch.Generator().manual_seed(0)
    wide = TensorProduct(8, 40, 5, 5, 20, dtype=DOUBLE, generator=generator)
    found = mean_square(wide(signal_so3(4, 8, bandlimit=5))).detach().mean()
    assert 0.6 < float(found) < 1.6


def test_gradients_reach_all_weights() -> None:
    product = layer(4, 4, gate=True)
    f = signal_so3(1, 3, bandlimit=4).requires_grad_()
    torch.view_as_real(product(f)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in product.parameters())
    small = TensorProduct(1, 1, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    x = signal_so3(1, 1, bandlimit=2).requires_grad_()
    # Perturbed in one entry of a redundant row the signal is not real any more: that is fine here.
    assert torch.autograd.gradcheck(lambda x: torch.view_as_real(small(x)), (x,))


def test_bad_input_is_told_in_a_line() -> None:
    with pytest.raises(ValueError, match=r"expected \(batch, 3, 5, 5, 9\)"):
        layer()(signal_so3(1, 2, bandlimit=5))
    with pytest.raises(ValueError, match="expected positive integers"):
        layer(0)
    with pytest.raises(ValueError, match="reach is -1"):
        layer(reach=-1)
