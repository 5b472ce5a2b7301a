"""Norms and gates commute with rotations, know no batch, and undo a change of contrast."""

from __future__ import annotations

import pytest
import torch

from geocore.models.s2cnn.norm import EquivariantNorm, NormGate, mean_square
from geocore.testing import assert_equivariant
from tests.models.s2cnn.signals import Rotations, rotation_angles, signal_s2, signal_so3, value_so3

DOUBLE = torch.float64


def drawn(layer: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    return layer


def test_mean_square_is_that_of_the_signal() -> None:
    f = signal_so3(bandlimit=3)
    values = torch.stack([value_so3(f, angles) for angles in rotation_angles(1500)]).real
    # Of 1500 random rotations the mean has a relative standard error of about 2 %.
    assert abs(float(values.square().mean() / mean_square(f)) - 1) < 0.08


@pytest.mark.parametrize("over", ["sample", "channel"])
def test_norms_commute_with_rotations(over: str) -> None:
    so3 = drawn(EquivariantNorm(3, over, dtype=DOUBLE))  # type: ignore[arg-type]
    s2 = drawn(EquivariantNorm(3, over, "s2", dtype=DOUBLE))  # type: ignore[arg-type]
    assert_equivariant(so3, Rotations("so3"), signal_so3(2, 3, bandlimit=5), 1e-11)
    assert_equivariant(s2, Rotations("s2"), signal_s2(2, 3, bandlimit=5), 1e-11)


@pytest.mark.parametrize("domain", ["so3", "s2"])
def test_the_mean_square_becomes_one(domain: str) -> None:
    make = signal_so3 if domain == "so3" else signal_s2
    f = torch.cat([make(1, 3, bandlimit=5), 5 * make(1, 3, bandlimit=5, seed=1)])
    layer = EquivariantNorm(3, "channel", domain, eps=0, dtype=DOUBLE)  # type: ignore[arg-type]
    square = mean_square(layer(f), domain, constant=False)  # type: ignore[arg-type]
    torch.testing.assert_close(square, torch.ones(2, 3, dtype=DOUBLE), atol=1e-12, rtol=0)
    together = EquivariantNorm(3, "sample", domain, eps=0, dtype=DOUBLE)  # type: ignore[arg-type]
    square = mean_square(together(f), domain, constant=False)  # type: ignore[arg-type]
    torch.testing.assert_close(square.mean(1), torch.ones(2, dtype=DOUBLE), atol=1e-12, rtol=0)


def test_no_statistics_of_the_batch() -> None:
    f, layer = signal_so3(3, 2, bandlimit=4), drawn(EquivariantNorm(2, dtype=DOUBLE))
    torch.testing.assert_close(layer(f)[1:2], layer(f[1:2]), atol=1e-14, rtol=0)


def test_bias_is_added_to_the_constant_alone() -> None:
    layer = EquivariantNorm(2, dtype=DOUBLE)
    f = signal_so3(1, 2, bandlimit=3)
    before = layer(f)
    torch.nn.init.constant_(layer.bias, 2.0)
    expected = torch.zeros(3, 3, 5, dtype=torch.complex128)
    expected[0, 0, 2] = 2
    torch.testing.assert_close((layer(f) - before)[0, 1], expected, atol=1e-14, rtol=0)


def test_the_gate_commutes_with_rotations_and_lets_gradients_through() -> None:
    gate, f = drawn(NormGate(3, dtype=DOUBLE)), signal_so3(2, 3, bandlimit=5)
    assert_equivariant(gate, Rotations("so3"), f, 1e-11)
    silent = torch.zeros_like(f).requires_grad_()
    torch.view_as_real(gate(silent)).sum().backward()
    assert silent.grad is not None and bool(torch.isfinite(torch.view_as_real(silent.grad)).all())


def test_bad_input_is_told_in_a_line() -> None:
    with pytest.raises(ValueError, match="over is 'batch'"):
        EquivariantNorm(2, "batch")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="domain is 'plane'"):
        EquivariantNorm(2, domain="plane")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"expected \(batch, 2, 4, 4, 7\)"):
        EquivariantNorm(2)(signal_so3(1, 3, bandlimit=4))
