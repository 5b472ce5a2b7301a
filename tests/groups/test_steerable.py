"""Steerable networks move with their input: on the pixels exactly, else as sampling allows."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from geocore.groups.convolution import GroupConvolution, GroupPool, LiftingConvolution
from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import OnGroupMaps, OnImages
from geocore.groups.smooth_law import bumps, centre_error
from geocore.groups.steerable import Layer, SteerableConvolution, SteerableNetwork
from geocore.groups.steerable_fields import Feature, Fields, OnFields, Symmetry
from geocore.groups.steerable_plain import PlainSteerable
from geocore.testing import assert_equivariant, assert_parity
from tests.groups.steerable_cases import CASES, SCALARS, drawn, features, network, seeded


@pytest.mark.parametrize("nonlinearity", ["own", "gated"])
@pytest.mark.parametrize(("symmetry", "kind"), CASES, ids=lambda case: getattr(case, "name", case))
def test_the_pixels_own_symmetries_hold_exactly(
    symmetry: Symmetry, kind: str, nonlinearity: str
) -> None:
    model, x = network(symmetry, kind, nonlinearity), drawn(1, 2, 9, 9)
    on_fields = OnFields(model.fields_out)
    assert len(list(on_fields)) == (8 if symmetry.reflections else 4)
    with torch.no_grad():
        assert model(x).abs().mean() > 1e-2
        assert_equivariant(model, OnFields(model.fields_in), x, 1e-13, act_out=on_fields.act)
        pooled = network(symmetry, kind, nonlinearity, outputs=3)  # the same weights before it
        assert_equivariant(pooled, OnFields(model.fields_in), x, 1e-13, act_out="invariant")


@pytest.mark.parametrize("name", ["C6", "C8", "D8", "SO2", "O2"])
@pytest.mark.parametrize("kind", ["irreducible", "vector", "induced", "regular", "circle"])
def test_other_angles_hold_as_far_as_sampling_does(name: str, kind: str) -> None:
    """Measured at bumps of width 3: .002 to .03 after two layers, .001 to .005 after one kernel."""
    symmetry = Symmetry.named(name)
    if kind not in features(symmetry):
        pytest.skip("the group has no such features")
    model = network(symmetry, kind, inputs=(Feature("trivial"),), pool=None)
    first, worst, linear, rough = model.convolutions[0], 0.0, 0.0, 0.0
    assert isinstance(first, SteerableConvolution)
    for k in (1, 3, 6):
        element = (2 * math.pi * k / (symmetry.n or 19), symmetry.reflections)
        matrix = model.fields_out.matrix(element)
        worst = max(worst, centre_error(model, matrix, element, 21))
        rough = max(rough, centre_error(model, matrix, element, 21, width=1.0))
        linear = max(linear, centre_error(first, first.fields_out.matrix(element), element, 21))
    assert 1e-5 < linear < 0.01
    assert worst < 0.04
    if kind != "circle":  # whose error is that of the angles at which it is sampled
        assert rough > 2 * worst  # what is not smooth is not resolved: the error is the pixels'


@pytest.mark.parametrize("reflections", [False, True])
def test_regular_kernels_are_those_of_our_group_convolutions(reflections: bool) -> None:
    """A steerable filter into regular features is one filter moved by every element."""
    symmetry, group = Symmetry(4, reflections), PlanarGroup(4, reflections)
    scalar, regular = Fields(symmetry, SCALARS), Fields(symmetry, (Feature("regular", 3),))
    x = drawn(1, 2, 9, 9)
    first = SteerableConvolution(scalar, regular, 5, generator=seeded(), dtype=torch.float64)
    second = SteerableConvolution(regular, regular, 3, generator=seeded(), dtype=torch.float64)
    lift = LiftingConvolution(group, 2, 3, 5).double()
    convolve = GroupConvolution(group, 3, 3).double()
    with torch.no_grad():
        lift.weight.copy_(first.filters().unflatten(0, (3, group.order))[:, 0])
        wide = second.filters().unflatten(0, (3, group.order))[:, 0]
        convolve.weight.copy_(wide.unflatten(1, (3, group.order)))
    steerable = nn.Sequential(first, nn.ReLU(), second, nn.Unflatten(1, (3, group.order)))
    ours = nn.Sequential(lift, nn.ReLU(), convolve)
    assert_parity(steerable, ours, x, atol=1e-13)
    assert_equivariant(steerable, OnImages(group), x, 1e-13, act_out=OnGroupMaps(group).act)
    pooled = nn.Sequential(steerable, GroupPool())
    assert_equivariant(pooled, OnImages(group), x, 1e-13)


def test_it_learns() -> None:
    model = network(Symmetry.named("C8"), "regular", outputs=2, dtype=torch.float32, pool=None)
    fine, coarse = (bumps(6, 11, width, channels=2).float() for width in (1.0, 2.5))
    x, label = torch.cat([fine, coarse]), torch.arange(12) // 6
    optimiser = torch.optim.Adam(model.parameters(), 1e-1)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(x), label)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    x = drawn(1, 2, 9, 9)
    model = model.double()
    turned = OnFields(model.fields_in)
    assert_equivariant(model, turned, x, 1e-6, act_out="invariant")  # the basis stays float32's


def test_equal_seeds_are_equal_weights() -> None:
    one, two = (network(Symmetry.named("D4"), "regular", outputs=2) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), two.buffers(), strict=True))


def test_what_is_refused() -> None:
    c4, scalars = Symmetry.named("C4"), Fields(Symmetry.named("C4"), SCALARS)
    with pytest.raises(ValueError, match="kernel_size is 4; expected an odd number"):
        SteerableConvolution(scalars, scalars, 4)
    with pytest.raises(ValueError, match="fields_out are of C8; expected C4"):
        SteerableConvolution(scalars, Fields(Symmetry(8), SCALARS))
    with pytest.raises(ValueError, match=r"x has shape \(1, 3, 5, 5\); expected \(batch, 2"):
        SteerableConvolution(scalars, scalars)(torch.zeros(1, 3, 5, 5))
    with pytest.raises(ValueError, match="no kernel of size 5 reaches feature 0, irreducible"):
        o2 = Symmetry.named("O2")
        sign = Fields(o2, (Feature("irreducible", odd=True),))
        SteerableConvolution(Fields(o2, SCALARS), sign)
    turning = (Feature("irreducible", frequency=1),)
    with pytest.raises(ValueError, match="nonlinearity is 'relu' on fields that turn; expected"):
        SteerableNetwork(c4, SCALARS, [Layer(turning, nonlinearity="relu")])
    with pytest.raises(ValueError, match="pool is 'max' on fields that turn; expected 'average'"):
        SteerableNetwork(c4, SCALARS, [Layer(turning, pool="max")])
    with pytest.raises(ValueError, match="layers is empty; expected at least one"):
        SteerableNetwork(c4, SCALARS, [])
    assert isinstance(network(c4, "regular").export(), PlainSteerable)
