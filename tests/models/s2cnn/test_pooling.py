"""SO3ToS2 is the convolution averaged over the last angle; the Haar integral is invariant."""

from __future__ import annotations

import math

import pytest
import torch

from geocore.models.s2cnn.convolution import SO3Convolution
from geocore.models.s2cnn.kernels import so3_kernel_grid
from geocore.models.s2cnn.pooling import SO3Invariant, SO3ToS2
from geocore.testing import assert_equivariant
from tests.models.s2cnn.signals import Rotations, rotation_angles, signal_so3, value_s2, value_so3

DOUBLE = torch.float64


def layer(b_in: int, b_out: int) -> SO3ToS2:
    generator = torch.Generator().manual_seed(0)
    kernel = so3_kernel_grid(0.8, 3, 2, 4)
    made = SO3ToS2(3, 2, b_in, b_out, kernel, dtype=DOUBLE, generator=generator)
    assert made.bias is not None
    torch.nn.init.normal_(made.bias, generator=generator)
    return made


def test_averages_the_convolution_over_the_last_angle() -> None:
    f, pool = signal_so3(2, 3, bandlimit=4), layer(4, 4)
    full = SO3Convolution(3, 2, 4, 4, so3_kernel_grid(0.8, 3, 2, 4), dtype=DOUBLE)
    full.load_state_dict(pool.state_dict())
    whole, pooled = full(f), pool(f)
    # Orders up to 3: eight equal steps integrate exactly.
    turns = [(0.0, 0.0, 2 * math.pi * k / 8) for k in range(8)]
    for rotation in rotation_angles(3):
        expected = torch.stack([value_so3(whole, rotation, turn) for turn in turns]).mean(0)
        torch.testing.assert_close(value_s2(pooled, rotation), expected, atol=1e-11, rtol=0)


@pytest.mark.parametrize("b_out", [4, 6, 8])
def test_commutes_with_rotations(b_out: int) -> None:
    f = signal_so3(2, 3, bandlimit=6)
    on_sphere = Rotations("s2").act
    assert_equivariant(layer(6, b_out), Rotations("so3"), f, 1e-10, act_out=on_sphere)


def test_the_haar_integral_is_invariant() -> None:
    f = signal_so3(2, 3, bandlimit=6)
    assert_equivariant(SO3Invariant(), Rotations("so3"), f, 1e-12, act_out="invariant")
    # The mean over rotations: harmonics of degree 1 and 2 have none.
    constant = torch.zeros(1, 1, 3, 3, 5, dtype=torch.complex128)
    constant[0, 0, 0, 0, 2] = 1.5
    assert float(SO3Invariant()(constant)) == 1.5
    constant[0, 0, 1:] = signal_so3(bandlimit=3)[1:]
    assert float(SO3Invariant()(constant)) == 1.5


def test_gradients_reach_all_weights() -> None:
    pool = layer(4, 5)
    f = signal_so3(1, 3, bandlimit=4).requires_grad_()
    torch.view_as_real(pool(f)).square().sum().backward()
    assert f.grad is not None and f.grad.abs().max() > 0
    assert all(p.grad is not None and p.grad.abs().min() > 0 for p in pool.parameters())


def test_bad_input_is_told_in_a_line() -> None:
    with pytest.raises(ValueError, match=r"expected \(batch, 3, 6, 6, 11\)"):
        layer(6, 6)(signal_so3(1, 3, bandlimit=5))
    with pytest.raises(ValueError, match=r"expected \(batch, 3, 4, 4, 7\)"):
        SO3Invariant()(signal_so3(1, 3, bandlimit=5)[..., :4, :])
