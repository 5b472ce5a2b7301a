"""The Chamfer distance: all pairs by brute force, published forms, its laws, memory, both paths."""

from __future__ import annotations

import importlib.util
import math
from functools import partial
from typing import Literal

import pytest
import torch
from torch import Tensor

from geocore.measure.chamfer import chamfer, chamfer_reference, nearest
from geocore.so3.rotation import quaternion_to_matrix
from geocore.testing import assert_parity

Method = Literal["auto", "brute", "tree"]
METHODS = pytest.mark.parametrize(
    "method",
    [
        "brute",
        pytest.param(
            "tree",
            marks=pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="no scipy"),
        ),
    ],
)
BOTH = pytest.mark.parametrize("squared", [False, True])


def cloud(count: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, generator=generator, dtype=torch.float64).to(dtype) * 10


def by_brute_force(first: Tensor, second: Tensor, squared: bool) -> float:
    p, q = first.tolist(), second.tolist()
    power = 2 if squared else 1
    there = [min(math.dist(a, b) for b in q) ** power for a in p]
    back = [min(math.dist(a, b) for a in p) ** power for b in q]
    return math.fsum(there) / len(p) + math.fsum(back) / len(q)


@METHODS
@BOTH
def test_equals_brute_force(method: Method, squared: bool) -> None:
    first, second = cloud(70, 0), cloud(45, 1)
    expected = by_brute_force(first, second, squared)
    found = chamfer(first, second, squared=squared, method=method)
    assert float(found) == pytest.approx(expected, rel=1e-14)
    reference = chamfer_reference(first, second, squared=squared)
    assert float(reference) == pytest.approx(expected, rel=1e-14)


@BOTH
def test_clouds_counted_by_hand(squared: bool) -> None:
    first = torch.tensor([[0.0, 0, 0], [4, 0, 0]])
    second = torch.tensor([[0.0, 3, 0]])
    # From the first cloud 3 and 5, from the second 3.
    expected = 17 + 9 if squared else 4 + 3
    assert float(chamfer(first, second, squared=squared)) == expected


@METHODS
@BOTH
def test_values_and_gradients_are_those_of_all_pairs(method: Method, squared: bool) -> None:
    # More than one block, in both clouds.
    first, second = cloud(1300, 2), cloud(1100, 3)
    fast = partial(chamfer, squared=squared, method=method)
    reference = partial(chamfer_reference, squared=squared)
    # The order of summation alone.
    assert_parity(fast, reference, first, second, atol=1e-15, rtol=1e-12)


def test_float32_keeps_small_distances() -> None:
    # Far from the origin; by way of the matrix product they would be lost.
    first = cloud(300, 4, torch.float32) + 1000
    second = first + 1e-2
    expected = float(chamfer_reference(first.double(), second.double()))
    assert float(chamfer(first, second, method="brute")) == pytest.approx(expected, rel=1e-6)


@METHODS
def test_laws(method: Method) -> None:
    first, second = cloud(60, 5), cloud(80, 6)
    plain = chamfer(first, second, method=method)
    assert torch.allclose(chamfer(second, first, method=method), plain, rtol=1e-14)
    turn = quaternion_to_matrix(torch.tensor([0.1, 0.7, -0.5, 0.5], dtype=torch.float64))
    moved = [points @ turn.T + 5 for points in (first, second)]
    assert torch.allclose(chamfer(*moved, method=method), plain, rtol=1e-12)
    assert torch.allclose(chamfer(3 * first, 3 * second, method=method), 3 * plain, rtol=1e-14)
    shuffled = first[torch.randperm(60, generator=torch.Generator().manual_seed(0))]
    assert float(chamfer(first, shuffled, method=method)) == 0
    assert float(chamfer(first, first[:59], method=method)) > 0


@METHODS
def test_batches_and_points_that_are_not_there(method: Method) -> None:
    first = torch.stack([cloud(50, 7), cloud(50, 8)])
    second = torch.stack([cloud(40, 9), cloud(40, 10)])
    generator = torch.Generator().manual_seed(0)
    here, there = (torch.rand(2, n, generator=generator) < 0.5 for n in (50, 40))
    poisoned = torch.where(there[..., None], second, torch.nan)
    found = chamfer(first, poisoned, first_valid=here, second_valid=there, method=method)
    expected = [
        by_brute_force(first[n][here[n]], second[n][there[n]], squared=False) for n in (0, 1)
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-14)
    single = chamfer(first[0], poisoned[0], first_valid=here[0], second_valid=there[0])
    assert torch.equal(single, found[0])
    none = chamfer(first, second, second_valid=torch.tensor([[True] * 40, [False] * 40]))
    assert not none[0].isnan()
    assert none[1].isnan()


def test_coinciding_points_have_a_gradient() -> None:
    first = torch.zeros(3, 3, requires_grad=True)
    chamfer(first, torch.zeros(2, 3)).backward()
    assert first.grad is not None
    assert torch.equal(first.grad, torch.zeros(3, 3))


def test_both_paths_find_the_same_distances() -> None:
    pytest.importorskip("scipy")
    points, others = cloud(2000, 11, torch.float32), cloud(3000, 12, torch.float32)
    places = [nearest(points, others, method=method) for method in ("brute", "tree", "auto")]
    assert torch.equal(places[0], places[1])
    assert torch.equal(places[2], places[1])


def test_blocks_bound_the_memory() -> None:
    # 20,000 x 20,000 distances would be 1.6 GB; torch's own memory is told by its profiler.
    points, others = cloud(20_000, 13, torch.float32), cloud(20_000, 14, torch.float32)
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        nearest(points[:2048], others, method="brute")
    largest = max(event.cpu_memory_usage for event in profile.events())
    assert largest <= 8 * 2**20


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@BOTH
def test_the_same_on_a_gpu(squared: bool) -> None:
    first, second = cloud(3000, 15, torch.float32), cloud(2500, 16, torch.float32)
    expected = chamfer(first, second, squared=squared)
    found = chamfer(first.cuda(), second.cuda(), squared=squared)
    assert found.device.type == "cuda"
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    ends = [points.clone().requires_grad_() for points in (first, second)]
    there = [points.detach().cuda().requires_grad_() for points in (first, second)]
    for pair in (ends, there):
        chamfer(*pair, squared=squared).backward()
    for one, other in zip(ends, there, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.allclose(one.grad, other.grad.cpu(), atol=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (torch.zeros(4), torch.zeros(4), r"first is torch.float32 of shape \(4,\)"),
        (torch.zeros(4, 3).long(), torch.zeros(4, 3), "first is torch.int64"),
        (torch.zeros(4, 3), torch.zeros(4, 2), "expected one type, batch and dimension"),
        (torch.zeros(2, 4, 3), torch.zeros(3, 4, 3), "expected one type, batch and dimension"),
        (torch.zeros(4, 3), torch.zeros(4, 3).double(), "expected one type, batch and dimension"),
        (torch.full((4, 3), torch.nan), torch.zeros(4, 3), "first holds numbers that are not"),
    ],
)
def test_what_it_refuses(first: Tensor, second: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        chamfer(first, second)


def test_a_mask_or_a_method_of_another_kind() -> None:
    with pytest.raises(ValueError, match=r"second_valid is torch.bool of shape \(3,\); expected"):
        chamfer(torch.zeros(4, 3), torch.zeros(4, 3), second_valid=torch.ones(3).bool())
    with pytest.raises(ValueError, match="method is 'fast'; expected 'auto', 'brute' or 'tree'"):
        chamfer(torch.zeros(4, 3), torch.zeros(4, 3), method="fast")  # type: ignore[arg-type]
