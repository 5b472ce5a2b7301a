"""Sums of features: found where they are there, and honest about what they cannot say."""

from __future__ import annotations

import numpy as np
import pytest

from geocore.edge.estimate_model import LEAST, Sum, fit_logarithm, fit_sum


def rows(count: int, seed: int = 0) -> list[dict[str, float]]:
    draw = np.random.default_rng(seed)
    return [
        {"1": 1.0, "a": float(draw.uniform(1, 99)), "b": float(draw.uniform(1, 99))}
        for _ in range(count)
    ]


def test_what_is_a_sum_is_found() -> None:
    given = rows(30)
    found, off = fit_sum(given, [5 + 2 * row["a"] for row in given])
    wanted = {"1": 5.0, "a": 2.0, "b": 0.0}
    assert {"b": 0.0} | dict(found.coefficients) == pytest.approx(wanted, abs=1e-6)
    assert found.error < 1e-9 and np.abs(off).max() < 1e-9 and found.rows == 30
    assert found({"1": 1.0, "a": 10.0, "b": 7.0}) == pytest.approx(25.0, rel=1e-4)


def test_coefficients_are_negative_only_where_they_may_be() -> None:
    given = rows(30)
    values = [400 - 2 * row["a"] for row in given]
    assert fit_sum(given, values)[0].error > 0.05
    signed, _ = fit_sum(given, values, signed=True)
    assert signed.coefficients["a"] == pytest.approx(-2.0) and signed.error < 1e-9


def test_the_error_is_that_of_rows_that_were_left_out() -> None:
    """Of pure noise of 10 % on twice as many rows as features, the fit itself is closer."""
    draw = np.random.default_rng(1)
    given = [{f"{n}": float(draw.uniform(1, 9)) for n in range(10)} for _ in range(20)]
    values = [float(sum(row.values()) * draw.normal(1, 0.1)) for row in given]
    found, off = fit_sum(given, values)
    inside = [(found(row) - y) / max(y, LEAST) for row, y in zip(given, values, strict=True)]
    assert found.error == pytest.approx(np.sqrt(np.mean(off**2)), rel=1e-4)
    assert found.error > 1.15 * np.sqrt(np.mean(np.square(inside)))


def test_small_figures_err_in_units() -> None:
    given = [{"1": 1.0}] * 40
    found, off = fit_sum(given, [1.0, 3.0] * 20)
    assert found.coefficients["1"] == pytest.approx(2.0, abs=0.01)
    assert np.abs(off) == pytest.approx(1 / LEAST, rel=0.15)


def test_a_logarithm_of_a_power_law() -> None:
    given = [{"1": 1.0, "log a": float(np.log(row["a"]))} for row in rows(25)]
    found, off = fit_logarithm(given, [3 * np.exp(row["log a"]) ** 0.7 for row in given])
    assert found.coefficients == pytest.approx({"1": np.log(3), "log a": 0.7}, rel=1e-4)
    assert np.abs(off).max() < 1e-9
    assert found == Sum(found.coefficients, found.error, 25)
