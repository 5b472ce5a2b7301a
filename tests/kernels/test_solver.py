"""Which way a regression is solved, and that both ways tell the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.errors import UserError
from geocore.kernels import solver
from geocore.kernels.regression import Regressor, ensemble_limit, posterior
from geocore.kernels.solver import IterativeRegressor, regressor


def numbers(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


X, ASKED, Y = numbers(0, 90, 120), numbers(1, 70, 120), numbers(2, 90, 3)
GRAM, CROSS, PRIOR = X @ X.T, ASKED @ X.T, ASKED.square().sum(dim=1)


def test_both_ways_predict_the_same() -> None:
    """1e-9 of a residual, over a condition of 1e2 with the ridge, of numbers of order 10."""
    factored, iterated = (regressor(GRAM, 0.1, solver=s) for s in ("cholesky", "iterative"))
    assert isinstance(factored, Regressor) and isinstance(iterated, IterativeRegressor)
    assert factored.shift == iterated.shift and factored.size == iterated.size == 90
    assert (iterated.jitter, iterated.reason) == (0.0, None)
    for found, expected in zip(
        (
            *posterior(iterated, CROSS, PRIOR, Y),
            *ensemble_limit(iterated, CROSS, PRIOR, Y, nngp=2 * GRAM, nngp_cross=CROSS),
        ),
        (
            *posterior(factored, CROSS, PRIOR, Y),
            *ensemble_limit(factored, CROSS, PRIOR, Y, nngp=2 * GRAM, nngp_cross=CROSS),
        ),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_the_size_alone_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(regressor(GRAM), Regressor)
    monkeypatch.setattr(solver, "FACTOR_BYTES", 90 * 90 * 8 - 1)
    assert isinstance(regressor(GRAM), IterativeRegressor)
    assert isinstance(regressor(GRAM.float()), Regressor)
    assert isinstance(regressor(GRAM, solver="cholesky"), Regressor)


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match="solver is 'lu'; expected 'auto', 'cholesky' or 'iter"):
        regressor(GRAM, solver="lu")  # type: ignore[arg-type]
    twins = regressor(torch.ones(5, 5), solver="iterative", name="the ntk")
    with pytest.raises(
        UserError, match=r"on the ntk: 1 of 1 right sides are left|the ntk is not pos"
    ):
        twins.solve(numbers(3, 5, 1))
