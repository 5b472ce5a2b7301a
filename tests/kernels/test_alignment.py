"""Alignment is the cosine of two kernels, centred or not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.kernels.alignment import kernel_alignment, target_alignment

F64 = torch.float64


def kernel(seed: int, n: int = 6) -> Tensor:
    root = torch.randn(n, 4, dtype=F64, generator=torch.Generator().manual_seed(seed))
    return root @ root.mT


def test_a_kernel_is_aligned_with_its_multiples_alone() -> None:
    one, two = kernel(1), kernel(2)
    for centred in (False, True):
        assert kernel_alignment(one, 7 * one, centred=centred) == pytest.approx(1, abs=1e-14)
        found = kernel_alignment(one, two, centred=centred)
        assert 0 < found < 1
        assert kernel_alignment(two, one, centred=centred) == pytest.approx(found, abs=1e-14)


def test_closed_forms() -> None:
    y = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=F64)
    # <1, y y^T> = n, |1| = sqrt(n), |y y^T| = n
    assert target_alignment(torch.eye(4, dtype=F64), y) == pytest.approx(1 / 2, abs=1e-15)
    # H 1 H = H of norm sqrt(n - 1), and y is centred already
    found = target_alignment(torch.eye(4, dtype=F64), y, centred=True)
    assert found == pytest.approx(1 / math.sqrt(3), abs=1e-15)
    assert target_alignment(torch.outer(y, y), y) == pytest.approx(1, abs=1e-15)


def test_centring_takes_away_what_all_share() -> None:
    y = torch.tensor([1.0, 2.0, -1.0, 5.0], dtype=F64)
    shifted = torch.outer(y, y) + 100
    assert kernel_alignment(shifted, torch.outer(y, y)) < 0.5
    centred = y - y.mean()
    found = kernel_alignment(shifted, torch.outer(centred, centred), centred=True)
    assert found == pytest.approx(1, abs=1e-12)
    assert kernel_alignment(torch.full((4, 4), 3.0), shifted, centred=True) == 0.0
    assert target_alignment(kernel(1, 4), torch.ones(4), centred=True) == 0.0


def test_centred_alignment_by_its_matrix() -> None:
    one, two = kernel(1), kernel(2)
    h = torch.eye(6, dtype=F64) - 1 / 6
    expected = kernel_alignment(h @ one @ h, h @ two @ h)
    assert kernel_alignment(one, two, centred=True) == pytest.approx(expected, abs=1e-13)


def test_several_outputs() -> None:
    y = torch.randn(6, 3, dtype=F64, generator=torch.Generator().manual_seed(3))
    expected = kernel_alignment(kernel(1), sum((torch.outer(c, c) for c in y.T), torch.zeros(6, 6)))
    assert target_alignment(kernel(1), y) == pytest.approx(expected, abs=1e-13)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"second has shape \(5, 5\); expected \(n, n\), equal"):
        kernel_alignment(kernel(1), kernel(1, 5))
    with pytest.raises(ValueError, match="first is empty or has entries that are not finite"):
        kernel_alignment(torch.full((2, 2), math.nan), torch.eye(2))
    with pytest.raises(ValueError, match="a kernel is all zeros; expected one with a direction"):
        kernel_alignment(torch.zeros(2, 2), torch.eye(2))
    with pytest.raises(ValueError, match=r"targets has shape \(3,\); expected \(2,\) or"):
        target_alignment(torch.eye(2), torch.ones(3))
