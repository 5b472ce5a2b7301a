"""Orbits: every image once, element by element, on planar images and on HEALPix maps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.groups.orbit import full_orbit, orbit
from geocore.groups.planar_action import OnImages
from geocore.healpix.symmetry import GridSymmetries, QuarterTurns
from geocore.measure.orbit import orbit_deviation
from geocore.testing import Group

CASES: list[tuple[Group, tuple[int, ...]]] = [
    (OnImages(PlanarGroup(4)), (3, 2, 5, 5)),
    (OnImages(PlanarGroup(4, reflections=True)), (3, 2, 6, 6)),
    (QuarterTurns(2), (3, 48, 2)),
    (GridSymmetries(2), (3, 48, 2)),
    (GridSymmetries(4, (0, 1, 2, 3), "ring", rotations=True), (2, 64, 1)),
]
WHICH = pytest.mark.parametrize(("group", "shape"), CASES)


def batch(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


class Broken:
    """A group whose elements do what they are told."""

    def __init__(self, *images: Tensor) -> None:
        self.images = images

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.images)))

    def act(self, element: int, x: Tensor, /) -> Tensor:
        return self.images[element]


@WHICH
def test_every_image_is_there_the_identity_first(group: Group, shape: tuple[int, ...]) -> None:
    x = batch(shape)
    found = orbit(group, x)
    elements = list(group)
    assert found.shape == (len(elements), *shape)
    assert torch.equal(found[0], x)
    for element, image in zip(elements, found, strict=True):
        assert torch.equal(image, group.act(element, x))
    # A generic input has as many images as there are elements.
    assert len(torch.unique(found[:, 0].flatten(1), dim=0)) == len(elements)


@WHICH
def test_the_orbit_of_an_image_is_the_same_set(group: Group, shape: tuple[int, ...]) -> None:
    x = batch(shape)[:1]
    plain = {tuple(image.flatten().tolist()) for image in orbit(group, x)}
    for element in group:
        moved = orbit(group, group.act(element, x))
        assert {tuple(image.flatten().tolist()) for image in moved} == plain


@WHICH
def test_sums_over_the_orbit_are_invariant(group: Group, shape: tuple[int, ...]) -> None:
    x, weights = batch(shape), batch(shape).flip(0)[:1].flatten(1).T / 20

    def symmetrised(values: Tensor) -> Tensor:
        return (orbit(group, values).flatten(2) @ weights).tanh().mean(dim=0)

    outputs = torch.stack([symmetrised(image) for image in orbit(group, x)])
    assert float(orbit_deviation(outputs).max()) < 1e-14
    single = (orbit(group, x).flatten(2) @ weights).tanh()
    assert float(orbit_deviation(single).min()) > 0.01


def test_interpolated_turns_keep_the_batch_itself() -> None:
    x = batch((2, 1, 7, 7), torch.float32)
    found = orbit(OnImages(PlanarGroup(16)), x)
    assert found.shape == (16, 2, 1, 7, 7) and found.dtype == torch.float32
    assert torch.equal(found[0], x)
    torch.testing.assert_close(found[4], x.rot90(1, (-2, -1)), rtol=0, atol=0)
    # A turn by 22.5 degrees and one back lose what bilinear weights blur, of a smooth image little.
    axis = torch.linspace(-1, 1, 33, dtype=torch.float64)
    bump = torch.exp(-8 * (axis[:, None] ** 2 + (axis - 0.2) ** 2))
    group = OnImages(PlanarGroup(16))
    there = orbit(group, bump[None])[1]
    back = group.act(15, there)
    assert float((there - bump).abs().max()) > 0.01
    assert float((back - bump).abs().max()) < 0.03


@WHICH
def test_full_orbit_is_element_by_element(group: Group, shape: tuple[int, ...]) -> None:
    x, labels = batch(shape), torch.arange(shape[0])
    inputs, targets = full_orbit(group, x, labels)
    order = len(list(group))
    assert len(inputs) == len(targets) == order * len(x)
    assert torch.equal(inputs[: len(x)], x)
    for k, element in enumerate(group):
        for i in range(len(x)):
            assert torch.equal(inputs[k * len(x) + i], group.act(element, x[i : i + 1])[0])
            assert targets[k * len(x) + i] == i


def test_targets_may_be_moved_along() -> None:
    group = OnImages(PlanarGroup(4, reflections=True))
    x = batch((3, 5, 5))
    inputs, targets = full_orbit(group, x, 2 * x, group.act)
    assert torch.equal(targets, 2 * inputs)
    _, kept = full_orbit(group, x, 2 * x)
    assert not torch.equal(kept, targets)
    # Vectors of the plane turn by the group's matrices.
    vectors = batch((3, 2))
    plane = group.group
    _, turned = full_orbit(group, x, vectors, lambda g, v: v @ plane.matrix(g).T)
    for g in plane:
        assert torch.equal(turned[3 * g : 3 * g + 3], vectors @ plane.matrix(g).T)


def test_a_full_orbit_step_of_a_linear_model_keeps_it_equivariant() -> None:
    # An invariant linear readout has an invariant gradient on full orbits, but not on the batch.
    group = OnImages(PlanarGroup(4))
    x, y = batch((6, 4, 4)), torch.arange(6.0, dtype=torch.float64)
    inputs, targets = full_orbit(group, x, y)

    def gradient(images: Tensor, values: Tensor) -> Tensor:
        weight = torch.ones(4, 4, dtype=torch.float64, requires_grad=True)
        loss = ((images * weight).sum(dim=(1, 2)) - values).square().mean()
        return torch.autograd.grad(loss, weight)[0]

    whole, plain = gradient(inputs, targets), gradient(x, y)
    for turn in group:
        torch.testing.assert_close(group.act(turn, whole), whole, rtol=0, atol=1e-12)
    assert float((group.act(1, plain) - plain).abs().max()) > 0.1


def test_what_they_refuse() -> None:
    x = batch((2, 3, 3))
    for group, line in [
        (Broken(), "group has no elements; expected at least one"),
        (Broken(x, x[:, :2]), "g x has shape (2, 2, 3); expected (2, 3, 3) as x has"),
        (Broken(x + 1, x), "group has a first element that moves x; expected the identity first"),
    ]:
        with pytest.raises(ValueError) as error:
            orbit(group, x)
        assert str(error.value) == line
    good = OnImages(PlanarGroup(4))
    with pytest.raises(ValueError) as error:
        full_orbit(good, x, x[:1])
    assert str(error.value) == (
        "inputs and targets have shapes (2, 3, 3) and (1, 3, 3); expected (n, ...) of one n"
    )
    with pytest.raises(ValueError, match=r"^act_out is 'same'; expected 'invariant' or an action$"):
        full_orbit(good, x, x, "same")  # type: ignore[arg-type]
