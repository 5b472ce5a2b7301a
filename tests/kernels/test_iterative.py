"""Block conjugate gradients against Cholesky, over matrices, mapped files and kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from geocore.errors import UserError
from geocore.kernels.composed import InfiniteNetwork, serial
from geocore.kernels.iterative import KernelRows, MatrixRows, Preconditioner, pivoted, solve
from geocore.kernels.layers import Dense, Erf, Relu
from geocore.kernels.regression import Regressor, targets


def digits(count: int) -> tuple[Tensor, Tensor]:
    data = load_digits()
    y = targets(torch.from_numpy(data.target[:count]).long(), 10)
    return torch.from_numpy(data.data[:count] / 16), y


def network() -> InfiniteNetwork:
    return serial(Dense(), Relu(), Dense(), Erf(), Dense())


def numbers(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


X, Y = digits(500)
GRAM = network().kernel(X).ntk


@pytest.mark.parametrize("ridge", [0.0, 1e-3])
@pytest.mark.parametrize("rank", [0, 100])
def test_it_is_cholesky(ridge: float, rank: int) -> None:
    """1e-8 of the largest entry: residuals of 1e-12 times the condition, 1e4 or so.

    The rows of centred one-hot targets sum to 0: the right sides depend on each other.
    """
    operator = MatrixRows(GRAM, block=128)
    near = pivoted(operator, rank, seed=0)
    found = solve(operator, Y, ridge=ridge, preconditioner=near, tolerance=1e-12)
    regressor = Regressor.of(GRAM, ridge)
    expected = regressor.solve(Y)
    scale = float(expected.abs().max())
    torch.testing.assert_close(found.solution, expected, rtol=0, atol=1e-8 * scale)
    assert float(found.residuals.max()) <= 1e-12 and found.shift == regressor.shift
    true = Y - GRAM @ found.solution - found.shift * found.solution
    torch.testing.assert_close(
        found.residuals, true.norm(dim=0) / Y.norm(dim=0), rtol=0, atol=1e-13
    )
    assert len(found.history) < found.products <= len(found.history) + 4


def test_the_preconditioner_saves_products() -> None:
    """Of one right side and of ten; and the block saves them, too."""
    operator = MatrixRows(GRAM)
    near = pivoted(operator, 150, seed=0)
    products = {
        (columns, name): solve(
            operator, Y[:, :columns], ridge=1e-4, preconditioner=one, tolerance=1e-8
        ).products
        for columns in (1, 10)
        for name, one in (("plain", None), ("near", near))
    }
    assert products[1, "near"] < 0.6 * products[1, "plain"]
    assert products[10, "near"] < products[10, "plain"] < 0.7 * products[1, "plain"]


def test_pivots_explain_a_matrix_of_low_rank_whole() -> None:
    factor = numbers(0, 60, 7)
    matrix = factor @ factor.T
    found = pivoted(MatrixRows(matrix), 20, seed=3)
    assert found.vectors.shape == (60, 7)
    whole = (found.vectors * found.values) @ found.vectors.T
    torch.testing.assert_close(whole, matrix, rtol=0, atol=1e-12)
    again = pivoted(MatrixRows(matrix), 20, seed=3)
    assert torch.equal(again.vectors, found.vectors)
    assert not torch.equal(
        pivoted(MatrixRows(GRAM), 5, 1).values, pivoted(MatrixRows(GRAM), 5, 2).values
    )


def test_roots_of_the_preconditioner() -> None:
    """``P^-1/2 (G + r) P^-1/2`` is 1 times the least eigenvalue, if the rank is whole."""
    matrix = numbers(1, 12, 20)
    gram = matrix @ matrix.T
    near = pivoted(MatrixRows(gram), 12, seed=0)
    eye = torch.eye(12, dtype=torch.float64)
    half = near.root(eye, 0.5, -0.5)
    least = float(torch.linalg.eigvalsh(gram)[0]) + 0.5
    torch.testing.assert_close(half @ (gram + 0.5 * eye) @ half, least * eye, rtol=0, atol=1e-11)
    torch.testing.assert_close(near.root(half, 0.5, 0.5), eye, rtol=0, atol=1e-12)
    nothing = Preconditioner(eye[:, :0], eye[0, :0])
    assert torch.equal(nothing.root(eye, 0.5, 0.5), eye)


def test_a_mapped_matrix_and_a_kernel_are_the_same(tmp_path: Path) -> None:
    """float32 on disk is the float64 of its rounded entries; a kernel's rows are made again."""
    written = np.memmap(tmp_path / "gram", dtype="float32", mode="w+", shape=(90, 90))
    written[:] = GRAM[:90, :90].numpy()
    written.flush()
    mapped = torch.from_numpy(np.memmap(tmp_path / "gram", "float32", mode="c", shape=(90, 90)))
    operator, made = MatrixRows(mapped, 32), KernelRows(network(), X[:90], block=32)
    v, places = numbers(0, 90, 3), torch.tensor([70, 3])
    exact = mapped.double()
    torch.testing.assert_close(operator.product(v), exact @ v, rtol=1e-13, atol=1e-12)
    assert torch.equal(operator.rows(places), exact[places])
    gram = GRAM[:90, :90]
    assert made.size == operator.size == 90
    torch.testing.assert_close(made.product(v), gram @ v, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(made.rows(places), gram[places], rtol=1e-12, atol=0)
    torch.testing.assert_close(made.diagonal(), gram.diagonal(), rtol=1e-12, atol=0)
    found = solve(made, Y[:90], ridge=1e-2, preconditioner=pivoted(made, 20, 0))
    expected = Regressor.of(gram, 1e-2).solve(Y[:90])
    torch.testing.assert_close(found.solution, expected, rtol=0, atol=1e-8)


def test_more_right_sides_than_rows_and_right_sides_of_nought() -> None:
    right = torch.cat([numbers(0, 12, 20), torch.zeros(12, 1, dtype=torch.float64)], dim=1)
    gram = GRAM[:12, :12]
    found = solve(MatrixRows(gram), right)
    expected = torch.linalg.solve(gram, right)
    torch.testing.assert_close(found.solution, expected, rtol=0, atol=1e-7)
    assert float(found.solution[:, 20].abs().max()) == 0


@pytest.mark.parametrize(
    ("rank", "columns", "apart"), [(10, 5, 3), (10, 5, 5), (40, 6, 2), (3, 8, 8), (10, 12, 12)]
)
@pytest.mark.parametrize("near", [0, 5, 20])
def test_dependent_right_sides_of_a_singular_matrix(
    rank: int, columns: int, apart: int, near: int
) -> None:
    """Right sides from the matrix's range; the solution of least length stays of order 1."""
    factor = numbers(0, 50, rank)
    matrix = factor @ factor.T
    right = matrix @ numbers(1, 50, apart) @ numbers(2, apart, columns)
    operator = MatrixRows(matrix)
    found = solve(operator, right, preconditioner=pivoted(operator, near, 0))
    expected = torch.linalg.pinv(matrix, hermitian=True) @ right
    assert float(found.residuals.max()) <= 1e-10
    torch.testing.assert_close(found.solution, expected, rtol=0, atol=1e-6)
    assert found.products <= rank + 3


def test_no_right_sides() -> None:
    found = solve(MatrixRows(GRAM), Y[:, :0])
    assert found.solution.shape == (500, 0) and found.products == 0


def test_what_does_not_converge_is_named() -> None:
    with pytest.raises(UserError) as error:
        solve(MatrixRows(GRAM), Y, tolerance=1e-12, limit=5, name="the ntk of the digits")
    said = str(error.value)
    assert said.startswith("conjugate gradients on the ntk of the digits: 10 of 10 right sides are")
    assert "products; expected at most 1e-12: try a larger ridge, rank, limit or tolerance" in said
    with pytest.raises(UserError, match=r"the ntk is not positive definite: .* a larger ridge"):
        solve(MatrixRows(GRAM - 2 * torch.eye(500).double()), Y, name="the ntk")


def test_wrong_input_is_named() -> None:
    operator = MatrixRows(GRAM)
    nan = GRAM.clone()
    nan[4, 3] = nan[3, 4] = torch.nan
    with pytest.raises(UserError, match="a product with the ntk is not finite; expected finite"):
        solve(MatrixRows(nan), Y, name="the ntk")
    with pytest.raises(UserError, match="the ntk has a diagonal of mean nan; expected finite"):
        solve(MatrixRows(GRAM * torch.nan), Y, name="the ntk")
    for call, message in (
        (lambda: MatrixRows(GRAM[:3]), r"matrix has shape \(3, 500\), block is 1024; expected"),
        (lambda: KernelRows(network(), X, "K"), "kind is 'K', block is 256"),  # type: ignore[arg-type]
        (lambda: solve(operator, Y[:3]), r"right has shape \(3, 10\); expected finite \(500, m\)"),
        (lambda: solve(operator, Y, ridge=-1), "ridge, tolerance and limit are -1, 1e-10 and 1000"),
        (
            lambda: solve(operator, Y, preconditioner=pivoted(MatrixRows(GRAM[:9, :9]), 3, 0)),
            "preconditioner is of size 9; expected 500, the matrix's",
        ),
        (lambda: solve(operator, Y, ridge=float("inf")), "ridge, tolerance and limit are inf, "),
        (lambda: pivoted(operator, 501, 0), "rank is 501; expected 0 to 500, the size"),
        (lambda: pivoted(MatrixRows(-GRAM), 1, 0), "the diagonal has an entry -"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
