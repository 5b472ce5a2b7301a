"""Features are representations, and their action is the one that the design names."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import OnGroupMaps
from geocore.groups.steerable_fields import Feature, Fields, OnFields, Symmetry
from tests.groups.steerable_cases import CASES, features


@pytest.mark.parametrize(("symmetry", "kind"), CASES, ids=lambda case: getattr(case, "name", case))
def test_matrices_are_an_orthogonal_representation(symmetry: Symmetry, kind: str) -> None:
    fields = Fields(symmetry, features(symmetry)[kind])
    step = 2 * math.pi / (symmetry.n or 17)
    mirrors = (False, True) if symmetry.reflections else (False,)
    for one in [(2 * step, m) for m in mirrors]:
        for two in [(3 * step, m) for m in mirrors]:
            # R(a) F^s R(b) F^t = R(a + (-1)^s b) F^(s + t), the law of PlanarGroup.
            product = (one[0] + (-two[0] if one[1] else two[0]), one[1] != two[1])
            apart = fields.matrix(one) @ fields.matrix(two)
            torch.testing.assert_close(fields.matrix(product), apart, atol=1e-13, rtol=0)
        whole = torch.eye(fields.size, dtype=torch.float64)
        there = fields.matrix(one)
        torch.testing.assert_close(there @ there.T, whole, atol=1e-13, rtol=0)


@pytest.mark.parametrize("name", ["C4", "D4", "C8", "D8", "SO2", "O2"])
def test_tensors_turn_as_the_squares_of_points(name: str) -> None:
    symmetry = Symmetry.named(name)
    vector = Fields(symmetry, (Feature("vector"),))
    tensor = Fields(symmetry, (Feature("tensor"),))

    def squared(v: Tensor) -> Tensor:
        return torch.stack([v[0] ** 2 - v[1] ** 2, 2 * v[0] * v[1]])

    point = torch.tensor([0.3, -1.1], dtype=torch.float64)
    for k in (0, 1, 3):
        for mirrored in (False, True)[: 1 + symmetry.reflections]:
            element = (2 * math.pi * k / (symmetry.n or 7), mirrored)
            there = squared(vector.matrix(element) @ point)
            expected = tensor.matrix(element) @ squared(point)
            torch.testing.assert_close(there, expected, atol=1e-14, rtol=0)


@pytest.mark.parametrize("reflections", [False, True])
def test_vectors_turn_as_points_and_regular_fields_as_functions(reflections: bool) -> None:
    symmetry, group = Symmetry(4, reflections), PlanarGroup(4, reflections)
    vector = Fields(symmetry, (Feature("vector"),))
    regular = Fields(symmetry, (Feature("regular", 3),))
    x = torch.randn(2, 3, group.order, 5, 5, generator=torch.Generator().manual_seed(0))
    for g in group:
        r, s = group.parts(g)
        element = (2 * math.pi * r / 4, bool(s))
        torch.testing.assert_close(vector.matrix(element), group.matrix(g), atol=1e-15, rtol=0)
        found = OnFields(regular).act(element, x.flatten(1, 2))
        expected = OnGroupMaps(group).act(g, x).flatten(1, 2)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_a_frequency_turns_so_many_times_as_fast() -> None:
    angle = 0.4
    for k in (1, 2, 5):
        fields = Fields(Symmetry.named("SO2"), (Feature("irreducible", frequency=k),))
        cos, sin = math.cos(k * angle), math.sin(k * angle)
        expected = torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)
        torch.testing.assert_close(fields.matrix((angle, False)), expected, atol=1e-14, rtol=0)


def test_what_is_refused() -> None:
    def made(name: str, *args: object, **more: object) -> None:
        Fields(Symmetry.named(name), (Feature(*args, **more),))  # type: ignore[arg-type]

    for match, name, kind, more in (
        ("kind is 'regular' of SO2; expected a finite group", "SO2", "regular", {}),
        ("kind is 'quotient'; expected one of trivial, regular", "C4", "quotient", {}),
        ("frequency is 3 of C4; expected at most 2", "C4", "irreducible", {"frequency": 3}),
        ("frequency is 1 of a regular feature; expected 0", "C4", "regular", {"frequency": 1}),
        ("kind is 'circle' of C8; expected SO2 or O2", "C8", "circle", {"frequency": 2}),
        ("frequency is 0 of a circle feature; expected at least 1", "O2", "circle", {}),
        ("frequency is 9; expected 0 to 6", "O2", "irreducible", {"frequency": 9}),
        ("multiplicity is 0; expected at least 1", "C4", "regular", {"multiplicity": 0}),
        ("subgroup is 3 of C4; expected a proper divisor of 4", "C4", "induced", {"subgroup": 3}),
        ("subgroup is None of C4; expected a proper divisor of 4", "C4", "induced", {}),
        ("subgroup is None of SO2; expected one of finite index", "SO2", "induced", {}),
        ("subgroup is 4 of O2; expected one of finite index", "O2", "induced", {"subgroup": 4}),
        ("subgroup is 2 of trivial; expected None", "C4", "trivial", {"subgroup": 2}),
        ("odd is True of SO2; expected a group with refl", "SO2", "irreducible", {"odd": True}),
        ("odd is True of regular 0; expected irreducible 0", "D4", "regular", {"odd": True}),
    ):
        with pytest.raises(ValueError, match=match):
            made(name, kind, **more)
    with pytest.raises(ValueError, match="name is 'SU2'; expected C<n>, D<n>, SO2 or O2"):
        Symmetry.named("SU2")
    with pytest.raises(ValueError, match="n is 0; expected at least 1, or None"):
        Symmetry(0)
    with pytest.raises(ValueError, match="n is 1 with reflections; expected at least 2"):
        Symmetry(1, True)
    with pytest.raises(ValueError, match=r"element is \(0.5, False\); expected one of C4"):
        Symmetry(4).element((0.5, False))
    with pytest.raises(ValueError, match="features is empty; expected at least one"):
        Fields(Symmetry(4), ())
