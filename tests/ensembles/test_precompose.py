"""Actions are read exactly, and weights are composed as functions are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from geocore.ensembles.precompose import FixedMap, carried, end_layers, read_map
from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import OnImages
from geocore.healpix.symmetry import GridSymmetries
from tests.ensembles.orbit_cases import OnPoints, QuarterTurned, drawn


@pytest.mark.parametrize(
    ("action", "shape", "permutes"),
    [
        (OnImages(PlanarGroup(4, reflections=True)), (2, 5, 5), True),
        (GridSymmetries(2), (48, 3), True),
        (QuarterTurned(), (4, 3), True),
        (OnPoints(PlanarGroup(4)), (3, 2), True),  # but for a rounding of 6e-17
        (OnPoints(PlanarGroup(5, reflections=True)), (3, 2), False),
        (OnPoints(PlanarGroup(8)), (3, 2), False),
    ],
)
def test_a_map_is_the_action(action: OnPoints, shape: tuple[int, ...], permutes: bool) -> None:
    x = drawn(3, *shape)
    found = []
    for element in action:
        fixed = read_map(lambda y, g=element: action.act(g, y), shape, "action")  # type: ignore[misc]
        found.append(fixed)
        atol = 1e-14  # float64
        torch.testing.assert_close(fixed(x), action.act(element, x), rtol=0, atol=atol)
        torch.testing.assert_close(fixed.inverse()(fixed(x)), x, rtol=0, atol=atol)
        torch.testing.assert_close(fixed(x.float()), fixed(x).float(), rtol=0, atol=1e-6)
    assert all(fixed.permutes for fixed in found) == permutes
    for fixed, other in zip(found, FixedMap.alike(found), strict=True):
        torch.testing.assert_close(fixed(x), other(x), rtol=0, atol=1e-14)


def test_permutations_of_large_samples_are_read_and_matrices_are_not() -> None:
    action = OnImages(PlanarGroup(4))
    large = read_map(lambda y: action.act(1, y), (3, 224, 224), "action")
    x = drawn(1, 3, 224, 224)
    assert torch.equal(large(x), action.act(1, x))
    turned = OnPoints(PlanarGroup(5))
    with pytest.raises(ValueError, match="action mixes the 4000 numbers of a sample"):
        read_map(lambda y: turned.act(1, y), (2000, 2), "action")


def test_what_is_not_linear_or_not_orthogonal() -> None:
    with pytest.raises(ValueError, match="action is not linear"):
        read_map(lambda y: y * y[:, :1].sign() * y[:, 1:2].sign(), (3,), "action")
    shear = torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"by a factor of .* expected an orthogonal action"):
        read_map(lambda y: y @ shear, (2,), "action")


def test_a_linear_network_is_composed_on_both_sides() -> None:
    turn = OnPoints(PlanarGroup(5))
    front = read_map(lambda y: turn.act(1, y), (3, 2), "action")
    back = read_map(lambda y: turn.act(2, y), (2,), "action").inverse()
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 2)).double()
    x = drawn(7, 3, 2)
    ends = end_layers(net, x, last=True)
    assert ends == ("1", "1")
    weights = {name: value.detach() for name, value in net.named_parameters()}
    other = nn.Sequential(nn.Flatten(), nn.Linear(6, 2)).double()
    other.load_state_dict(carried(weights, *ends, front, back))
    torch.testing.assert_close(other(x), back(net(front(x))), rtol=0, atol=1e-14)


def test_the_whole_network_may_be_the_layer() -> None:
    net = nn.Linear(4, 2).double()
    assert end_layers(net, drawn(3, 4), last=True) == ("", "")
    moved = carried(
        dict(net.named_parameters()), "", "", FixedMap(torch.tensor([1, 2, 3, 0])), None
    )
    assert moved.keys() == {"weight", "bias"}


def test_one_kind_of_map() -> None:
    with pytest.raises(ValueError, match="index and matrix"):
        FixedMap()
