"""Convolutions are correlations with point masses, commute with rotations and keep the scale."""

from __future__ import annotations

import pytest
import torch

from geocore.models.s2cnn.convolution import S2Convolution, SO3Convolution
from geocore.models.s2cnn.kernels import s2_kernel_grid, so3_kernel_grid
from geocore.models.s2cnn.norm import mean_square
from geocore.testing import assert_equivariant
from tests.models.s2cnn.signals import (
    Rotations,
    rotation_angles,
    signal_s2,
    signal_so3,
    value_s2,
    value_so3,
)

DOUBLE = torch.float64


def s2_layer(b_in: int, b_out: int, out: int = 4) -> S2Convolution:
    generator = torch.Generator().manual_seed(5)
    layer = S2Convolution(
        3, out, b_in, b_out, s2_kernel_grid(0.8, 3, 2), dtype=DOUBLE, generator=generator
    )
    assert layer.bias is not None
    torch.nn.init.normal_(layer.bias, generator=generator)
    return layer


def so3_layer(b_in: int, b_out: int, out: int = 4) -> SO3Convolution:
    generator = torch.Generator().manual_seed(6)
    kernel = so3_kernel_grid(0.8, 3, 2, 4)
    layer = SO3Convolution(3, out, b_in, b_out, kernel, dtype=DOUBLE, generator=generator)
    assert layer.bias is not None
    torch.nn.init.normal_(layer.bias, generator=generator)
    return layer


def test_s2_convolution_sums_the_signal_at_the_moved_points() -> None:
    layer, f = s2_layer(5, 5), signal_s2(2, 3, bandlimit=5)
    out, grid = layer(f), s2_kernel_grid(0.8, 3, 2)
    points = [(a, b, 0.0) for b in grid.betas for a in grid.alphas]
    for rotation in rotation_angles(3, seed=2):
        moved = torch.stack([value_s2(f, rotation, point) for point in points], dim=-1).real
        assert layer.bias is not None
        expected = torch.einsum("zip,oip->zo", moved, layer.values()) + layer.bias
        found = value_so3(out, rotation)
        torch.testing.assert_close(found.real, expected, atol=1e-11, rtol=0)
        assert found.imag.abs().max() < 1e-11


def test_so3_convolution_sums_the_signal_at_the_moved_points() -> None:
    layer, f = so3_layer(4, 4), signal_so3(2, 3, bandlimit=4)
    out, grid = layer(f), so3_kernel_grid(0.8, 3, 2, 4)
    pairs = list(zip(grid.alphas, grid.gammas, strict=True))
    points = [(a, b, c) for b in grid.betas for a, c in pairs]
    for rotation in rotation_angles(3, seed=2):
        moved = torch.stack([value_so3(f, rotation, point) for point in points], dim=-1).real
        assert layer.bias is not None
        expected = torch.einsum("zip,oip->zo", moved, layer.values()) + layer.bias
        found = value_so3(out, rotation)
        torch.testing.assert_close(found.real, expected, atol=1e-10, rtol=0)
        assert found.imag.abs().max() < 1e-10


@pytest.mark.parametrize("b_out", [4, 6, 8])
def test_commute_with_rotations(b_out: int) -> None:
    on_so3 = Rotations("so3")
    s2, so3 = s2_layer(6, b_out), so3_layer(6, b_out)
    f, g = signal_s2(2, 3, bandlimit=6), signal_so3(2, 3, bandlimit=6)
    assert_equivariant(s2, Rotations("s2"), f, 1e-10, act_out=on_so3.act)
    assert_equivariant(so3, on_so3, g, 1e-10)
    two = torch.nn.Sequential(s2_layer(6, b_out, out=3), so3_layer(b_out, 5))
    assert_equivariant(two, Rotations("s2"), f, 1e-10, act_out=on_so3.act)


def test_output_bandlimits_cut_and_pad() -> None:
    f, g = signal_s2(1, 3, bandlimit=6), signal_so3(1, 3, bandlimit=6)
    for make, x in ((s2_layer, f), (so3_layer, g)):
        same, cut, padded = (make(6, b_out)(x) for b_out in (6, 4, 8))
        torch.testing.assert_close(cut, same[..., :4, :4, 2:-2], atol=1e-12, rtol=0)
        torch.testing.assert_close(padded[..., :6, :6, 2:-2], same, atol=1e-12, rtol=0)
        assert padded[..., 6:, :, :].abs().max() == 0


def test_initial_weights_keep_the_mean_square() -> None:
    generator = torch.Generator().manual_seed(0)
    f = signal_s2(4, 6, bandlimit=6)
    lift = S2Convolution(6, 60, 6, 6, s2_kernel_grid(), dtype=DOUBLE, generator=generator)
    on_so3 = lift(f)
    before, after = (float(x.detach().mean()) for x in (mean_square(f, "s2"), mean_square(on_so3)))
    assert abs(after / before - 1) < 0.2
    kernel = so3_kernel_grid()
    more = SO3Convolution(60, 60, 6, 6, kernel, gain=2, dtype=DOUBLE, generator=generator)
    doubled = float(mean_square(more(on_so3)).detach().mean())
    assert abs(doubled / after / 2 - 1) < 0.2


def test_gradients() -> None:
    s2, so3 = s2_layer(3, 3, out=3), so3_layer(3, 2, out=1)
    f = signal_s2(1, 3, bandlimit=3).requires_grad_()

    def loss(f: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return torch.view_as_real(so3(s2(f)))

    parameters = [*s2.parameters(), *so3.parameters()]
    assert torch.autograd.gradcheck(loss, (f, *parameters))


def test_single_precision() -> None:
    g = signal_so3(2, 3, bandlimit=6)
    layer = so3_layer(6, 6)
    expected = layer(g)
    found = layer.to(torch.float32)(g.to(torch.complex64))
    torch.testing.assert_close(found, expected.to(torch.complex64), atol=1e-4, rtol=0)


def test_the_generator_decides_the_weights() -> None:
    def drawn(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return SO3Convolution(2, 2, 3, 3, so3_kernel_grid(), generator=generator).weight

    assert torch.equal(drawn(1), drawn(1)) and not torch.equal(drawn(1), drawn(2))


def test_bad_input_is_told_in_a_line() -> None:
    with pytest.raises(
        ValueError, match=r"coefficients has shape \(1, 3, 5, 5\); expected \(batch"
    ):
        s2_layer(6, 6)(signal_s2(1, 3, bandlimit=5))
    with pytest.raises(ValueError, match=r"expected \(batch, 3, 6, 6, 11\)"):
        so3_layer(6, 6)(signal_so3(1, 2, bandlimit=6))
    with pytest.raises(TypeError, match=r"coefficients is torch\.float64; expected complex"):
        s2_layer(6, 6)(signal_s2(1, 3, bandlimit=6).real)
    with pytest.raises(ValueError, match=r"bandlimits are \(6, 0\) \(in, out\)"):
        s2_layer(6, 0)
    with pytest.raises(ValueError, match="grid has no gammas"):
        SO3Convolution(1, 1, 4, 4, s2_kernel_grid())
