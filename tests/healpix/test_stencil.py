"""The sparse operator equals its dense matrix, forwards and backwards."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.healpix.stencil import Stencil
from geocore.testing import assert_parity

COLUMNS, ROWS = 37, 50


def stencil(dtype: torch.dtype = torch.float64) -> tuple[Stencil, Tensor]:
    """A random operator, a third of whose rows are zero, and its dense matrix."""
    generator = torch.Generator().manual_seed(0)
    index = torch.randint(COLUMNS, (ROWS, 4), generator=generator)
    weight = torch.randn(ROWS, 4, dtype=torch.float64, generator=generator)
    weight[::3] = 0
    dense = torch.zeros(ROWS, COLUMNS, dtype=torch.float64).scatter_add_(1, index, weight)
    return Stencil(index, weight.to(dtype), COLUMNS), dense


def maps(batch: int, channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, COLUMNS, channels, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(("batch", "channels"), [(1, 1), (700, 1), (5, 3), (3, 600)])
def test_it_is_the_dense_matrix(batch: int, channels: int) -> None:
    operator, dense = stencil()
    x = maps(batch, channels)
    expected = torch.einsum("pq,bqc->bpc", dense, x)
    torch.testing.assert_close(operator(x), expected, atol=1e-13, rtol=0)
    assert_parity(operator, operator.reference, x, atol=1e-13)
    single, _ = stencil(torch.float32)
    torch.testing.assert_close(single(x.float()).double(), expected, atol=1e-5, rtol=0)


def test_the_gradient_is_the_transpose() -> None:
    operator, dense = stencil()
    x = maps(300, 2).requires_grad_()
    cotangent = torch.randn(300, ROWS, 2, dtype=torch.float64)
    (operator(x) * cotangent).sum().backward()
    assert x.grad is not None
    expected = torch.einsum("pq,bpc->bqc", dense, cotangent)
    torch.testing.assert_close(x.grad, expected, atol=1e-12, rtol=0)
    with torch.no_grad():
        assert torch.equal(operator(x), operator(x.detach()))


def test_a_map_does_not_depend_on_its_batch() -> None:
    operator, _ = stencil(torch.float32)
    x = maps(1000, 1).float()
    whole = operator(x)
    assert torch.equal(operator(x[13:14]), whole[13:14])
    assert torch.equal(operator(x[500:517]), whole[500:517])


def test_an_operator_of_zeros_and_an_empty_batch() -> None:
    nothing = Stencil(torch.zeros(5, 4, dtype=torch.int64), torch.zeros(5, 4), 3)
    assert torch.equal(nothing(torch.ones(2, 3, 1)), torch.zeros(2, 5, 1))
    assert torch.equal(nothing.reference(torch.ones(2, 3, 1)), torch.zeros(2, 5, 1))
    operator, _ = stencil()
    assert operator(maps(0, 2)).shape == (0, ROWS, 2)


def test_zero_rows_stay_zero_whatever_the_input_holds() -> None:
    operator, dense = stencil()
    x = torch.full((1, COLUMNS, 1), float("nan"), dtype=torch.float64)
    assert (operator(x)[0, (dense == 0).all(dim=1)] == 0).all()


def test_it_moves_and_is_saved_with_its_constants() -> None:
    operator, _ = stencil()
    assert {"index", "weight", "offsets", "place"} == set(operator.state_dict())
    assert operator.float()(maps(2, 1).float()).dtype == torch.float32


def test_wrong_arguments_are_named() -> None:
    operator, _ = stencil()
    with pytest.raises(ValueError, match=r"x has shape \(2, 36, 1\); expected \(batch, 37"):
        operator(torch.zeros(2, 36, 1).double())
    with pytest.raises(TypeError, match=r"x is torch\.float32; expected torch\.float64"):
        operator(torch.zeros(2, 37, 1))
    with pytest.raises(ValueError, match="index runs from 0 to 5; expected 0 to 4"):
        Stencil(torch.tensor([[0, 5]]), torch.ones(1, 2), 5)
    with pytest.raises(ValueError, match=r"index and weight have shapes \(1, 2\) and \(1, 3\)"):
        Stencil(torch.tensor([[0, 5]]), torch.ones(1, 3), 9)
