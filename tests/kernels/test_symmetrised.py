"""Averaged kernels: invariant, the group-convolutional network's, and what they ask of the base."""

from __future__ import annotations

import math

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
    left, right = SymmetrisedKernel(uneven(), action, "one", math.inf), two
    right = SymmetrisedKernel(uneven(), action, "two")
    assert float((left.kernel(x).ntk - right.kernel(x).ntk).abs().max()) > 1e-3


def oblong() -> InfiniteNetwork:
    """Filters that a quarter turn stands up."""
    return serial(Convolution((1, 3), padding="circular"), Relu(), GlobalAveragePool(), Dense())


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_what_one_side_averages_away_is_refused(dtype: torch.dtype) -> None:
    x = numbers(0, 3, 2, 6, 6).to(dtype)
    for kernel in (
        SymmetrisedKernel(oblong(), OnImages(C4)),
        SymmetrisedKernel(uneven(), OnImages(C4)),
        EquivariantKernel(oblong(), OnImages(C4), torch.stack([C4.matrix(g) for g in C4])),
    ):
        with pytest.raises(
            ValueError, match=r"the kernel moves by .* where C4 on images moves both"
        ):
            kernel.kernel(x)
    with pytest.raises(ValueError, match="the kernel moves by "):
        SymmetrisedKernel(oblong(), OnImages(C4)).diagonal(x)
    two = SymmetrisedKernel(oblong(), OnImages(C4), "two")
    off = (two.kernel(x.rot90(1, (-2, -1)), x).ntk - two.kernel(x, x).ntk).abs().max()
    assert float(off) < (1e-14 if dtype == F64 else 1e-5)
    SymmetrisedKernel(plain(), OnImages(C4)).kernel(x)
    SymmetrisedKernel(plain(), OnImages(D4)).kernel(x)


def test_a_group_that_interpolates_is_refused_on_one_side() -> None:
    x, c8 = numbers(0, 3, 1, 9, 9), OnImages(PlanarGroup(8))
    with pytest.raises(ValueError, match="of C8 on images moves a sample as no element does"):
        SymmetrisedKernel(plain(), c8).kernel(x)
    assert bool(SymmetrisedKernel(plain(), c8, "two").kernel(x).ntk.isfinite().all())


def test_moves_that_are_no_group_are_refused() -> None:
    half = Maps([lambda x: x, lambda x: x.rot90(1, (-2, -1))], "half a circle")
    with pytest.raises(
        ValueError, match="element 1 after 1 of half a circle moves a sample as no "
    ):
        SymmetrisedKernel(plain(), half).kernel(numbers(0, 3, 2, 5, 5))


def test_matrices_that_are_no_representation_are_refused() -> None:
    """Not closed under products, at once; closed but of another group's order, with samples."""
    turns = torch.stack([C4.matrix(g) for g in C4])
    with pytest.raises(
        ValueError, match=r"a product of matrices\[1\] .*; expected a representation"
    ):
        EquivariantKernel(plain(), OnImages(C4), turns[[0, 1, 1, 1]])
    x = numbers(0, 3, 2, 5, 5)
    EquivariantKernel(plain(), OnImages(C4), turns).kernel(x)
    EquivariantKernel(plain(), OnImages(C4), turns[[0, 2, 0, 2]]).kernel(x)
    swapped = EquivariantKernel(plain(), OnImages(C4), turns[[0, 2, 1, 3]])
    with pytest.raises(
        ValueError, match=r"matrices\[1\] matrices\[1\] is not the matrix of the el"
    ):
        swapped.kernel(x)


def test_a_nan_is_a_deviation() -> None:
    x = numbers(0, 2, 3)
    x[1, 0] = torch.nan

    class Broken:
        def kernel(self, x1: Tensor, x2: Tensor | None = None) -> Kernels:
            k = x1 @ (x1 if x2 is None else x2).T
            return Kernels(k, k)

        def diagonal(self, x: Tensor) -> Kernels:
            return Kernels(*[x.square().sum(dim=1)] * 2)

        def describe(self) -> str:
            return "broken"

    signs = Maps([lambda x: x, lambda x: -x])
    assert math.isnan(joint_deviation(Broken(), signs, x))
    with pytest.raises(
        ValueError, match=r"of maps moves a sample|the kernel moves by nan of itself"
    ):
        SymmetrisedKernel(Broken(), signs).kernel(x)


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
    with pytest.raises(ValueError, match="tolerance is -1; expected 0 or more, or None"):
        SymmetrisedKernel(plain(), OnImages(C4), tolerance=-1)
    with pytest.raises(ValueError, match="sides is 'left'; expected 'one' or 'two'"):
        SymmetrisedKernel(plain(), OnImages(C4), "left")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"matrices has shape \(4, 3, 2\); expected \(4, d, d\)"):
        EquivariantKernel(plain(), OnImages(C4), torch.zeros(4, 3, 2))
    with pytest.raises(ValueError, match=r"matrices is off orthogonal ones, .* by 3; expected th"):
        EquivariantKernel(plain(), OnImages(C4), 2 * torch.eye(2).expand(4, 2, 2))
