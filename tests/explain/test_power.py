"""Subspace iteration finds the largest singular value, and says how surely."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.explain.power import leading

F64 = torch.float64


def linear(values: list[float], seed: int = 0) -> Tensor:
    """A matrix with these singular values."""
    generator = torch.Generator().manual_seed(seed)
    size = len(values)
    left, right = (
        torch.linalg.qr(torch.randn(size, size, dtype=F64, generator=generator))[0] for _ in "lr"
    )
    found: Tensor = left @ torch.diag(torch.tensor(values, dtype=F64)) @ right
    return found


def found(matrix: Tensor, **more: float) -> tuple[Tensor, Tensor, Tensor]:
    return leading(lambda x: x @ matrix.mT, torch.zeros(1, len(matrix), dtype=F64), **more)  # type: ignore[arg-type]


def test_value_vector_residual() -> None:
    matrix = linear([3.0, 2.0, 1.0, 0.5, 0.2])
    value, vector, residual = found(matrix, block=2, tolerance=1e-10, iterations=200)
    assert float(value) == pytest.approx(3, abs=1e-12)
    gram = matrix.mT @ matrix
    off = (gram @ vector[0] - 9 * vector[0]).norm() / 9
    assert float(off) == pytest.approx(float(residual), abs=1e-12)
    assert float(residual) <= 1e-10


def test_a_block_sees_past_equal_values() -> None:
    # Two equal largest values: their vectors are not unique, the value and the residual are good.
    value, _, residual = found(linear([3.0, 3.0, 1.0, 0.5]), block=3, tolerance=1e-10)
    assert float(value) == pytest.approx(3, abs=1e-12) and float(residual) <= 1e-10


def test_few_iterations_leave_a_residual_that_bounds_the_error() -> None:
    values = [3.0, 2.99, 2.9, 2.5, 2.0, 1.0]
    value, _, residual = found(linear(values), block=1, tolerance=0, iterations=2)
    assert float(residual) > 1e-4
    off = min(abs(float(value) - s) for s in values)
    assert off <= float(residual) * 3


def test_a_larger_block_needs_fewer_rounds() -> None:
    matrix = linear([3.0, 2.9, 2.8, 0.1, 0.1, 0.1])
    errors = [abs(float(found(matrix, block=b, tolerance=0, iterations=6)[0]) - 3) for b in (1, 4)]
    assert errors[1] < 1e-12 < errors[0]


def test_samples_keep_to_themselves() -> None:
    matrices = torch.stack([linear([3.0, 1.0, 0.1], 1), linear([0.5, 0.2, 0.1], 2)])
    value, vector, _ = leading(
        lambda x: torch.einsum("bij,bj->bi", matrices, x), torch.zeros(2, 3, dtype=F64),
        tolerance=1e-12,
    )  # fmt: skip
    assert value.tolist() == pytest.approx([3.0, 0.5], abs=1e-12)
    grown = torch.einsum("bij,bj->bi", matrices, vector).norm(dim=1)
    assert grown.tolist() == pytest.approx([3.0, 0.5], abs=1e-12)
