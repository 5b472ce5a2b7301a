"""Activations act on samples; how far they commute with rotations is what the grid resolves."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from geocore.models.s2cnn.activation import S2Activation, SO3Activation, second_moment
from geocore.so3.s2_transform import S2Transform
from geocore.so3.so3_transform import SO3Transform
from geocore.testing import assert_parity
from tests.models.s2cnn.signals import Rotations, relative_error, signal_s2, signal_so3

DOUBLE = torch.float64


def error(layer: torch.nn.Module, domain: Any, f: torch.Tensor, count: int) -> float:
    """The mean over rotations of ``|fn(R f) - R fn(f)| / |fn(f)|``."""
    group, plain = Rotations(domain, count), layer(f)
    errors = [relative_error(layer(group.act(g, f)), group.act(g, plain)) for g in group]
    return sum(errors) / len(errors)


# White noise of full band, b = 10, oversampling 2, Driscoll-Healy: .013 .003 .001 on the sphere.
@pytest.mark.parametrize(("fn", "bound"), [("relu", 0.02), ("gelu", 0.005), ("silu", 0.005)])
def test_error_at_oversampling_two(fn: Any, bound: float) -> None:
    sphere = signal_s2(1, 8, bandlimit=10)
    assert error(S2Activation(fn, 10, dtype=DOUBLE), "s2", sphere, 20) <= bound
    group = signal_so3(1, 1, bandlimit=10)
    assert error(SO3Activation(fn, 10, dtype=DOUBLE), "so3", group, 3) <= bound


def test_oversampling_lowers_the_error() -> None:
    f = signal_s2(1, 8, bandlimit=10)
    errors = [
        error(S2Activation("relu", 10, oversampling=o, dtype=DOUBLE), "s2", f, 5)
        for o in (1, 1.5, 2, 3, 4)
    ]
    assert errors[0] > 0.1
    assert all(later < 0.6 * earlier for earlier, later in pairwise(errors))


def test_acts_on_the_samples() -> None:
    """Where the grid holds all of ``fn(f)``, its samples come back: ``silu`` of a small signal."""
    f = 0.01 * signal_so3(2, 2, bandlimit=3)
    # silu(x) = x / 2 + x^2 / 4 + O(x^4): degrees up to 4, the rest of order 1e-8 / 48.
    found = SO3Activation("silu", 3, 5, oversampling=2, dtype=DOUBLE)(f)
    fine = SO3Transform(5, sampling=12, dtype=DOUBLE)
    coarse = SO3Transform(3, sampling=12, dtype=DOUBLE)
    expected = F.silu(coarse.inverse(f))
    torch.testing.assert_close(fine.inverse(found), expected, atol=1e-7, rtol=0)
    g = 0.01 * signal_s2(2, 2, bandlimit=3)
    found = S2Activation("silu", 3, 5, oversampling=2, dtype=DOUBLE)(g)
    expected = F.silu(S2Transform(3, sampling=12, dtype=DOUBLE).inverse(g))
    there = S2Transform(5, sampling=12, dtype=DOUBLE).inverse(found)
    torch.testing.assert_close(there, expected, atol=1e-7, rtol=0)


@pytest.mark.parametrize("grid", ["driscoll-healy", "gauss-legendre"])
def test_bandlimits_cut_and_grow(grid: Any) -> None:
    f = signal_so3(1, 2, bandlimit=4)
    whole = SO3Activation("gelu", 4, 6, oversampling=2, grid=grid, dtype=DOUBLE)(f)
    assert whole.shape == (1, 2, 6, 6, 11)
    # The same grid (12), fewer degrees.
    cut = SO3Activation("gelu", 4, 3, oversampling=3, grid=grid, dtype=DOUBLE)(f)
    torch.testing.assert_close(cut, whole[:, :, :3, :3, 3:-3], atol=1e-12, rtol=0)


def test_sampling_is_rounded_up() -> None:
    assert SO3Activation("relu", 5, 3, oversampling=1.5).sampling == 8
    assert S2Activation("relu", 3, 5).sampling == 10


@pytest.mark.parametrize("fn", ["relu", "gelu", "silu"])
def test_second_moments(fn: Any) -> None:
    x = torch.linspace(-9, 9, 20001, dtype=DOUBLE)
    density = torch.exp(-x.square() / 2) / (2 * torch.pi) ** 0.5
    expected = torch.trapezoid(getattr(F, fn)(x).square() * density, x)
    assert abs(second_moment(fn) - float(expected)) < 1e-3


def test_gradients() -> None:
    f = signal_so3(1, 1, bandlimit=2).requires_grad_()
    layer = SO3Activation("silu", 2, dtype=DOUBLE)
    assert torch.autograd.gradcheck(lambda f: torch.view_as_real(layer(f)), (f,))


def test_chunks_of_maps_are_all_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    f, layer = signal_so3(2, 3, bandlimit=3), SO3Activation("relu", 3, dtype=DOUBLE)
    expected = layer(f)
    monkeypatch.setattr("geocore.models.s2cnn.activation._CHUNK", 2 * 12**3)
    torch.testing.assert_close(layer(f), expected, atol=1e-14, rtol=0)


def test_sampling_anew_changes_no_gradient() -> None:
    f = signal_so3(2, 3, bandlimit=4)
    kept, anew = (SO3Activation("relu", 4, recompute=r, dtype=DOUBLE) for r in (False, True))
    assert_parity(
        lambda f: torch.view_as_real(anew(f)), lambda f: torch.view_as_real(kept(f)), f, atol=1e-14
    )


def test_bad_input_is_told_in_a_line() -> None:
    with pytest.raises(ValueError, match="fn is 'tanh'; expected 'relu', 'gelu' or 'silu'"):
        SO3Activation("tanh", 4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"oversampling is 0\.5; expected at least 1"):
        SO3Activation("relu", 4, oversampling=0.5)
    with pytest.raises(ValueError, match=r"bandlimits are \(4, 0\)"):
        S2Activation("relu", 4, 0)
    with pytest.raises(ValueError, match=r"expected \(batch, 2, 4, 4, 7\)"):
        SO3Activation("relu", 4)(signal_so3(1, 2, bandlimit=5).to(torch.complex64))
    with pytest.raises(ValueError, match=r"expected \(batch, 2, 4, 4\)"):
        S2Activation("relu", 4)(signal_s2(1, 2, bandlimit=5).to(torch.complex64))
