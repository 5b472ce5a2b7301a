"""Averaged kernels: invariant, the group-convolutional network's, and what they ask of the base."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.groups.cube import OnVectors, cube_rotations
from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import OnImages
from geocore.kernels.composed import InfiniteNetwork, Kernels, serial
from geocore.kernels.convolution import Convolution
from geocore.kernels.group_layers import GroupConvolution, GroupPool, LiftingConvolution
from geocore.kernels.layers import Dense, Erf, Flatten, GlobalAveragePool, Relu
from geocore.kernels.protocol import PairKernel
from geocore.kernels.symmetrised import (
    EquivariantKernel,
    Maps,
    SymmetrisedKernel,
    joint_deviation,
)
from geocore.testing import assert_equivariant

F64 = torch.float64
C4, D4 = PlanarGroup(4), PlanarGroup(4, reflections=True)


def numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def plain() -> InfiniteNetwork:
    return serial(
        Convolution(3, padding="circular", bias_std=0.2),
        Relu(),
        Convolution(3, weight_std=1.2),
        Erf(),
        GlobalAveragePool(),
        Dense(),
    )


def uneven() -> InfiniteNetwork:
    """Windows that start at a corner: no turn maps them onto each other."""
    return serial(Convolution(3, stride=2, padding="valid"), Relu(), Flatten(), Dense())


@pytest.mark.parametrize("group", [C4, D4], ids=lambda g: g.name)
def test_a_gcnn_without_rotation_support_is_the_symmetrised_plain_network(
    group: PlanarGroup,
) -> None:
    """``Theta_GCNN(f, f') = 1/|G| sum_g Theta_plain(f, g f')``; to 1e-14 of numbers of order 1.

    So a plain network trained under full augmentation is, in the mean, the GCNN trained without.
    """
    convolutional = serial(
        LiftingConvolution(3, padding="circular", bias_std=0.2, group=group),
        Relu(),
        GroupConvolution(3, weight_std=1.2, rotation_support=False),
        Erf(),
        GroupPool(),
        GlobalAveragePool(),
        Dense(),
    )
    x1, x2 = numbers(0, 3, 2, 5, 5), numbers(1, 2, 2, 5, 5)
    averaged = SymmetrisedKernel(plain(), OnImages(group))
    for found, expected in (
        (averaged.kernel(x1, x2), convolutional.kernel(x1, x2)),
        (averaged.kernel(x1), convolutional.kernel(x1)),
        (averaged.diagonal(x1), convolutional.diagonal(x1)),
    ):
        for one, two in zip(found, expected, strict=True):
            torch.testing.assert_close(one, two, rtol=0, atol=1e-14)
    assert float((plain().kernel(x1).ntk - convolutional.kernel(x1).ntk).abs().max()) > 1e-3


@pytest.mark.parametrize("sides", ["one", "two"])
def test_it_is_a_kernel_and_invariant(sides: str) -> None:
    base = plain() if sides == "one" else uneven()
    size = 5 if sides == "one" else 6
    averaged = SymmetrisedKernel(base, OnImages(C4), sides)  # type: ignore[arg-type]
    assert isinstance(averaged, PairKernel)
    x, fixed = numbers(0, 3, 2, size, size), numbers(1, 2, 2, size, size)

    def both(images: Tensor) -> tuple[Kernels, Kernels]:
        return averaged.kernel(images, fixed), averaged.kernel(fixed, images)

    assert_equivariant(both, OnImages(C4), x, atol=1e-14, act_out="invariant")
    own = averaged.kernel(x)
    for k, diagonal in zip(own, averaged.diagonal(x), strict=True):
        assert torch.equal(k, k.T)
        torch.testing.assert_close(k.diagonal(), diagonal, rtol=0, atol=1e-14)
        assert float(torch.linalg.eigvalsh(k)[0]) > 0
    torch.testing.assert_close(averaged.kernel(x, x), own, rtol=0, atol=1e-14)


def test_one_side_is_enough_where_both_together_change_nothing() -> None:
    x, action = numbers(0, 3, 2, 6, 6), OnImages(C4)
    assert joint_deviation(plain(), action, x) < 1e-14
    assert joint_deviation(uneven(), action, x) > 1e-2
    one, two = (SymmetrisedKernel(plain(), action, sides) for sides in ("one", "two"))
    torch.testing.assert_close(one.kernel(x).ntk, two.kernel(x).ntk, rtol=0, atol=1e-14)
    left, right = (SymmetrisedKernel(uneven(), action, sides) for sides in ("one", "two"))
    assert float((left.kernel(x).ntk - right.kernel(x).ntk).abs().max()) > 1e-3


def test_a_group_may_be_a_list_of_maps() -> None:
    turns = Maps([lambda x, k=k: x.rot90(k, (-2, -1)) for k in range(4)], "turns")  # type: ignore[misc]
    x = numbers(0, 3, 2, 5, 5)
    found, expected = (SymmetrisedKernel(plain(), g).kernel(x) for g in (turns, OnImages(C4)))
    torch.testing.assert_close(found.ntk, expected.ntk, rtol=0, atol=1e-15)
    words = SymmetrisedKernel(plain(), turns).describe()
    assert words.startswith("symmetrised(serial(Convolution(") and words.endswith(", turns, one)")
    with pytest.raises(ValueError, match="group has a first element that moves x"):
        SymmetrisedKernel(plain(), Maps([lambda x: x.rot90(1, (-2, -1))])).kernel(x)


def test_vectors_transform_with_their_matrices() -> None:
    """The cube's rotations on points of space and on values: ``K(g x, x') = rho(g) K(x, x')``."""
    matrices = cube_rotations().double()
    matrices = torch.stack(sorted(matrices, key=lambda m: -float(m.trace())))  # the identity first
    group = OnVectors(matrices, "cube")
    network = serial(Dense(bias_std=0.3), Relu(), Dense())
    averaged = EquivariantKernel(network, group, matrices)
    x, fixed = numbers(0, 3, 3), numbers(1, 2, 3)
    blocks = averaged.blocks(x, fixed).ntk
    for g in (3, 17):
        found = averaged.blocks(group.act(g, x), fixed).ntk
        expected = torch.einsum("ac,icjb->iajb", matrices[g], blocks)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)
        found = averaged.blocks(x, group.act(g, fixed)).ntk
        expected = torch.einsum("iajc,bc->iajb", blocks, matrices[g])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)
    own = averaged.kernel(x).ntk
    assert own.shape == (9, 9) and torch.equal(own, own.T)
    assert float(torch.linalg.eigvalsh(own)[0]) > 0
    assert own[4, 2] == averaged.blocks(x).ntk[1, 1, 0, 2]


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match="sides is 'left'; expected 'one' or 'two'"):
        SymmetrisedKernel(plain(), OnImages(C4), "left")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"matrices has shape \(4, 3, 2\); expected \(4, d, d\)"):
        EquivariantKernel(plain(), OnImages(C4), torch.zeros(4, 3, 2))
    with pytest.raises(ValueError, match=r"matrices is off orthogonal ones, .* by 3; expected th"):
        EquivariantKernel(plain(), OnImages(C4), 2 * torch.eye(2).expand(4, 2, 2))
