"""Group kernels: published values, invariance, the mean over the group, reduced against full."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import OnImages, moved
from geocore.kernels.composed import InfiniteNetwork, Kernels, serial
from geocore.kernels.convolution import Convolution
from geocore.kernels.group_layers import (
    GroupConvolution,
    GroupPool,
    LiftingConvolution,
    permutes_pixels,
)
from geocore.kernels.layers import (
    AveragePool,
    Dense,
    Erf,
    Flatten,
    GlobalAveragePool,
    Layer,
    Relu,
)
from geocore.testing import assert_equivariant

C4, D4, C8, D6 = (PlanarGroup(4), PlanarGroup(4, True), PlanarGroup(8), PlanarGroup(6, True))


def images(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 2, 5, 5, generator=generator, dtype=torch.float64)


def pools(group: PlanarGroup) -> tuple[Layer, Layer]:
    both = GroupPool(), GlobalAveragePool()
    return both if permutes_pixels(group) else both[::-1]


def network(group: PlanarGroup, support: bool, *head: Layer) -> InfiniteNetwork:
    return serial(
        LiftingConvolution(3, padding="circular", group=group, bias_std=0.2),
        Relu(),
        GroupConvolution(3, padding="same", rotation_support=support, weight_std=1.2),
        Erf(),
        *pools(group),
        Dense(),
        *head,
    )


@pytest.mark.parametrize("storage", ["reduced", "full"])
def test_the_c4_values_computed_elsewhere(storage: str) -> None:
    """Lift, ReLU, pool, dense on 4 x 4 images; published code has twice the lift in Theta."""
    axes = [torch.arange(n, dtype=torch.float64) for n in (2, 2, 4, 4)]
    b, c, i, j = torch.meshgrid(*axes, indexing="ij")
    lift = LiftingConvolution(3, padding="circular", storage=storage)  # type: ignore[arg-type]
    found = serial(lift, Relu(), GroupPool(), GlobalAveragePool(), Dense()).kernel(
        torch.sin(1 + i + 2 * j + 3 * c + 5 * b)
    )
    places = ([0, 0, 1], [0, 1, 1])
    nngp = torch.tensor([0.086576704192, 0.085881336282, 0.085274520708], dtype=torch.float64)
    ntk = torch.tensor([0.101767915618, 0.100722344141, 0.100279978876], dtype=torch.float64)
    torch.testing.assert_close(found.nngp[places], nngp, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.ntk[places], ntk, rtol=0, atol=1e-12)


def test_the_lift_alone_has_theta_equal_to_k() -> None:
    for group in (C4, C8):
        found = serial(LiftingConvolution(3, group=group), *pools(group)).kernel(images(2, 0))
        torch.testing.assert_close(found.ntk, found.nngp, rtol=0, atol=0)


@pytest.mark.parametrize(("group", "support"), [(C4, True), (D4, False)], ids=["C4", "D4"])
def test_pooled_kernels_are_invariant(group: PlanarGroup, support: bool) -> None:
    """In either argument alone; a head behind the pool has variances of its own."""
    net, fixed = network(group, support, Relu(), Dense()), images(2, 1)

    def both(x: Tensor) -> tuple[Kernels, Kernels]:
        return net.kernel(x, fixed), net.kernel(fixed, x)

    assert_equivariant(both, OnImages(group), images(2, 0), atol=1e-13, act_out="invariant")


def test_the_plain_kernel_is_not_invariant() -> None:
    plain = serial(Convolution(3), Relu(), Convolution(3), Erf(), Flatten(), Dense())
    fixed = images(2, 1)
    with pytest.raises(AssertionError, match=r"1e-03|0\.001"):
        assert_equivariant(
            lambda x: plain.kernel(x, fixed), OnImages(C4), images(2, 0), 1e-3, act_out="invariant"
        )


@pytest.mark.parametrize("group", [C4, D4, C8, D6], ids=lambda g: g.name)
def test_kernels_are_means_of_plain_ones_over_the_group(group: PlanarGroup) -> None:
    """Over ``g'`` alone where images move exactly; else over all pairs, where cosets are fewer."""
    x1, x2 = images(2, 0), images(1, 1)
    plain = serial(
        Convolution(3, padding="circular", bias_std=0.2),
        Relu(),
        Convolution(3, padding="same", weight_std=1.2),
        Erf(),
        GlobalAveragePool(),
        Dense(),
    )
    elements = [0] if permutes_pixels(group) else list(group)
    pairs = list(itertools.product(elements, group))
    each = [plain.kernel(moved(group, g, x1), moved(group, h, x2)) for g, h in pairs]
    found = network(group, support=False).kernel(x1, x2)
    for kind in (0, 1):
        mean = sum(kernels[kind] for kernels in each) / len(pairs)
        torch.testing.assert_close(found[kind], mean, rtol=0, atol=1e-14)


@pytest.mark.parametrize("end", ["flatten", "pool", "windows"])
def test_reduced_storage_is_the_full_one(end: str) -> None:
    """Maps behind the pool over the group, and variances behind either pool, too."""
    middle: dict[str, tuple[Layer, ...]] = {
        "flatten": (GroupPool(), Flatten()),
        "pool": (GroupPool(), Convolution(3), Relu(), GlobalAveragePool()),
        "windows": (
            AveragePool(3, 1),
            Relu(),
            GroupConvolution(1),
            GlobalAveragePool(),
            GroupPool(),
        ),
    }
    found = []
    for storage in ("reduced", "full"):
        net = serial(
            LiftingConvolution(3, group=D4, storage=storage),
            Relu(),
            GroupConvolution(3, padding="circular"),
            *middle[end],
            Dense(),
            Relu(),
            Dense(),
        )
        found.append(net.kernel(images(2, 0), images(1, 1)))
    for reduced, full in zip(*found, strict=True):
        torch.testing.assert_close(reduced, full, rtol=0, atol=1e-14)


def test_reduced_storage_holds_a_fraction() -> None:
    def entries(group: PlanarGroup, storage: str) -> int:
        lift = LiftingConvolution(3, group=group, storage=storage)  # type: ignore[arg-type]
        return serial(lift, Relu(), *pools(group), Dense()).entries(5, 5)

    fractions = [entries(g, "full") / entries(g, "reduced") for g in (C4, D4, C8, D6)]
    assert fractions == [4, 8, 4, 4]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((GroupConvolution(3),), "GroupConvolution is given images"),
        ((GroupPool(),), "GroupPool is given images"),
        ((LiftingConvolution(3), Convolution(3)), "expected GroupConvolution"),
        ((LiftingConvolution(3), GroupConvolution(3, stride=3)), "maps onto each other"),
        ((LiftingConvolution(3, group=C8), GroupConvolution(3)), "rotation_support with C8"),
        ((LiftingConvolution(3, group=C8), GroupPool()), "GroupPool of maps over C8"),
        ((LiftingConvolution(3), GlobalAveragePool()), "ends with functions of"),
    ],
)
def test_wrong_networks_are_named(layers: tuple[Layer, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        serial(*layers).kernel(images(1, 0))


def test_wrong_lifts_are_named() -> None:
    with pytest.raises(ValueError, match="kernel_size is 2; expected an odd number"):
        LiftingConvolution(2)
    with pytest.raises(ValueError, match="storage is 'half'"):
        LiftingConvolution(3, storage="half")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected it first"):
        serial(Convolution(3), LiftingConvolution(3))
    with pytest.raises(ValueError, match="expected square"):
        serial(LiftingConvolution(3), *pools(C4)).kernel(images(1, 0)[..., :4])
