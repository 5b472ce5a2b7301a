"""Flows in closed form against the ends of time, an integrated ODE and a network in training."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.errors import UserError
from geocore.kernels.composed import serial
from geocore.kernels.gradient_flow import GradientFlow, KernelPredictor
from geocore.kernels.layers import Dense, Erf, Relu
from geocore.kernels.regression import Regressor, ensemble_limit
from geocore.kernels.twins import finite_twin

F64 = torch.float64
TIMES = [0.0, 0.3, 5.0, 80.0, math.inf]


def numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


STARTS, TANGENTS = numbers(0, 13, 30), numbers(1, 13, 40)  # 8 to learn from, 5 to be asked
NNGP, NTK = STARTS @ STARTS.T / 30, TANGENTS @ TANGENTS.T / 40
GRAM, CROSS = NTK[:8, :8], NTK[8:, :8]
K, K_CROSS, PRIOR = NNGP[:8, :8], NNGP[8:, :8], NNGP[8:, 8:]
Y = numbers(2, 8, 2)


@pytest.mark.parametrize("ridge", [0.0, 0.2])
def test_the_ends_of_time(ridge: float) -> None:
    """At 0 the prior, at infinity ``ensemble_limit``; 1e-11 of numbers of order 1."""
    flow = GradientFlow.of(GRAM, nngp=K, ridge=ridge)
    found = flow.ensemble(CROSS, Y, [0.0, math.inf], nngp_cross=K_CROSS, prior=PRIOR)
    assert found.covariance is not None
    assert torch.equal(found.mean[0], torch.zeros(5, 2, dtype=F64))
    torch.testing.assert_close(found.covariance[0], PRIOR, rtol=0, atol=0)
    mean, variance = ensemble_limit(
        Regressor.of(GRAM, ridge), CROSS, PRIOR.diagonal(), Y, nngp=K, nngp_cross=K_CROSS
    )
    torch.testing.assert_close(found.mean[1], mean, rtol=0, atol=1e-11)
    torch.testing.assert_close(found.variance[1], variance, rtol=0, atol=1e-11)


@pytest.mark.parametrize("ridge", [0.0, 0.2])
def test_the_flow_solves_its_equation(ridge: float) -> None:
    """``f' = -(rate / n) Theta(., X) a'``, by Runge and Kutta: 1e-9 is 500 steps' error."""
    rate, time, steps = 1.7, 6.0, 500
    flow = GradientFlow.of(GRAM, ridge=ridge, rate=rate)
    start = numbers(3, 13, 2)
    kept = ridge * float(GRAM.diagonal().mean())

    def slope(a: Tensor) -> Tensor:  # f = start + Theta(., X) a, with the loss's gradient in a
        return -(rate / 8) * (start[:8] + GRAM @ a - Y + kept * a)

    a, h = torch.zeros(8, 2, dtype=F64), time / steps
    for _ in range(steps):
        one = slope(a)
        two = slope(a + h / 2 * one)
        three = slope(a + h / 2 * two)
        a = a + h / 6 * (one + 2 * two + 2 * three + slope(a + h * three))
    found = flow.trained(CROSS, Y, [time], start=(start[:8], start[8:]))[0]
    torch.testing.assert_close(found, start[8:] + CROSS @ a, rtol=0, atol=1e-9)
    found = flow.trained(GRAM, Y, [time], start=(start[:8], start[:8]))[0]
    torch.testing.assert_close(found, start[:8] + GRAM @ a, rtol=0, atol=1e-9)


@pytest.mark.parametrize("ridge", [0.0, 0.2])
def test_training_samples_are_asked_like_others(ridge: float) -> None:
    flow = GradientFlow.of(GRAM, nngp=K, ridge=ridge)
    own = flow.training(Y, TIMES)
    asked = flow.ensemble(GRAM, Y, TIMES, nngp_cross=K, prior=K)
    assert own.covariance is not None and asked.covariance is not None
    torch.testing.assert_close(own.mean, asked.mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(own.covariance, asked.covariance, rtol=0, atol=1e-12)
    if ridge == 0:  # what is learned by heart is exact, and not only to rounding of K
        torch.testing.assert_close(own.mean[-1], Y, rtol=0, atol=1e-12)
        assert float(own.variance[-1].max()) == 0


def test_the_covariance_is_that_of_many_starts() -> None:
    """``f_t`` of starts drawn from the prior, one by one; 5 standard errors of 4000 draws."""
    draws = numbers(4, 4000, 30) @ STARTS.T / math.sqrt(30)  # of covariance NNGP
    flow = GradientFlow.of(GRAM, nngp=K)
    start = draws.T[:8], draws.T[8:]
    ends = flow.trained(CROSS, Y[:, :1].expand(-1, 4000), [4.0], start=start)[0]
    found = flow.ensemble(CROSS, Y[:, :1], [4.0], nngp_cross=K_CROSS, prior=PRIOR)
    assert found.covariance is not None
    error = (found.variance[0] / 4000).sqrt()
    assert ((ends.mean(dim=1) - found.mean[0, :, 0]).abs() <= 5 * error).all()
    scale = found.variance[0].sqrt()
    off = (torch.cov(ends) - found.covariance[0]) / (scale[:, None] * scale)
    assert float(off.abs().max()) <= 5 * math.sqrt(2 / 4000)
    alone = flow.ensemble(CROSS, Y[:, :1], [4.0], nngp_cross=K_CROSS, prior=PRIOR.diagonal())
    torch.testing.assert_close(alone.variance, found.variance, rtol=1e-12, atol=1e-14)


def test_time_goes_by_the_mean_loss() -> None:
    """Every sample twice is the same loss: the same predictions at every time, not twice as fast.

    The doubled kernel has eight eigenvalues that are 0 to rounding; even an endless time leaves
    them alone.
    """
    flow = GradientFlow.of(GRAM)
    twice = GradientFlow.of(GRAM.repeat(2, 2))
    expected = flow.trained(CROSS, Y, TIMES)
    found = twice.trained(CROSS.repeat(1, 2), Y.repeat(2, 1), TIMES)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    faster = GradientFlow.of(GRAM, rate=3.0).trained(CROSS, Y, [1.0])
    torch.testing.assert_close(faster, flow.trained(CROSS, Y, [3.0]), rtol=1e-13, atol=0)
    assert not torch.allclose(faster, flow.trained(CROSS, Y, [1.0]), rtol=0.1)


def test_tiny_eigenvalues_keep_their_digits() -> None:
    """``phi_t(l) -> t / n`` where t l is 1e-12: by subtraction four digits would be left."""
    flow = GradientFlow.of(torch.diag(torch.tensor([1e-9, 1.0], dtype=F64)))
    found = flow.weights(torch.eye(2, dtype=F64), 2e-3)
    torch.testing.assert_close(found[0, 0], torch.tensor(1e-3, dtype=F64), rtol=1e-11, atol=0)
    for nought in (-1e-17, 1e-17):  # 0 to rounding, whatever its sign
        flow = GradientFlow.of(torch.diag(torch.tensor([nought, 1.0], dtype=F64)))
        assert float(flow.weights(torch.eye(2, dtype=F64), math.inf)[0, 0]) == 0


def test_what_a_negative_eigenvalue_freezes_is_told() -> None:
    values = torch.tensor([-1e-8, 0.0, 5e-9, 1e-3, 1.0], dtype=F64)
    flow = GradientFlow.of(torch.diag(values), name="the ntk")
    assert flow.frozen == 3 and flow.reason is not None
    assert flow.reason == (
        "the ntk is not positive semidefinite to rounding: an eigenvalue is -1e-08 beside 1; 3 of "
        "5 directions, of eigenvalues up to 1e-08, never move"
    )
    for whole, frozen in ((values.clamp(min=0), 2), (values.abs() + 1, 0)):
        flow = GradientFlow.of(torch.diag(whole))
        assert (flow.frozen, flow.reason) == (frozen, None)
    assert GradientFlow.of(torch.diag(values), ridge=0.1).frozen == 0


def test_times_span_the_spectrum() -> None:
    flow = GradientFlow.of(torch.diag(torch.tensor([0.1, 1.0, 10.0], dtype=F64)), rate=2.0)
    assert flow.times(3) == pytest.approx([0.15, 1.5, 15.0], rel=1e-12)


def test_single_precision_is_taken() -> None:
    """1e-4: rounding 6e-8 of the kernel, over its condition, about 1e3 here."""
    flow = GradientFlow.of(GRAM.float(), nngp=K.float())
    found = flow.ensemble(
        CROSS.float(), Y.float(), TIMES, nngp_cross=K_CROSS.float(), prior=PRIOR.float()
    )
    exact = GradientFlow.of(GRAM, nngp=K).ensemble(CROSS, Y, TIMES, nngp_cross=K_CROSS, prior=PRIOR)
    torch.testing.assert_close(found.mean, exact.mean, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.variance, exact.variance, rtol=0, atol=1e-4)


def test_a_wide_network_that_was_trained_follows() -> None:
    """Full-batch descent on ``torch.nn.MSELoss``: k steps of h are the time ``2 h k / outputs``.

    Theta of three layers of width 1024 is off by some 1 / sqrt(1024) = 3 % each, and moves by as
    much; the steps add 1 %: 12 % of the outputs' moves. Another reading of the time is off by more.
    """
    net = serial(Dense(bias_std=0.3), Erf(), Dense(bias_std=0.3), Relu(), Dense())
    x, y, asked = numbers(5, 6, 4), numbers(6, 6, 2), numbers(7, 3, 4)
    model = finite_twin(net, (4,), 1024, 2, torch.Generator().manual_seed(8))
    own, cross = net.kernel(x), net.kernel(asked, x).ntk
    flow = GradientFlow.of(own.ntk)
    step = 0.02 * 6 / float(flow.eigenvalues[-1])
    with torch.no_grad():
        start = model(x), model(asked)
    optimiser = torch.optim.SGD(model.parameters(), lr=step * 2 / 2)
    for _ in range(25):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(model(x), y).backward()
        optimiser.step()
    with torch.no_grad():
        found = model(asked)
    right, twice = flow.trained(cross, y, [25 * step, 50 * step], start=start)
    moved = float((right - start[1]).square().mean().sqrt())
    assert float((found - right).square().mean().sqrt()) <= 0.12 * moved
    assert float((found - twice).square().mean().sqrt()) >= 0.24 * moved


def test_a_predictor_is_its_kernels_flow() -> None:
    net = serial(Dense(), Erf(), Dense())
    x, asked = numbers(5, 6, 4), numbers(7, 3, 4)
    y = numbers(6, 6, 2)
    for kind in ("ntk", "nngp"):
        own, across = net.kernel(x), net.kernel(asked, x)
        predictor = KernelPredictor.of(net, x, y, kind=kind, ridge=0.1)
        flow = GradientFlow.of(getattr(own, kind), nngp=own.nngp, ridge=0.1)
        cross = getattr(across, kind)
        expected = flow.ensemble(
            cross, y, TIMES, nngp_cross=across.nngp, prior=net.kernel(asked).nngp
        )
        found = predictor.ensemble(asked, TIMES)
        assert torch.equal(found.mean, expected.mean)
        torch.testing.assert_close(found.covariance, expected.covariance, rtol=0, atol=1e-14)
        torch.testing.assert_close(predictor.mean(asked, TIMES), found.mean, rtol=0, atol=0)
        alone = predictor.ensemble(asked, TIMES, full=False)
        torch.testing.assert_close(alone.variance, found.variance, rtol=0, atol=1e-13)
        assert alone.covariance is None


def test_wrong_input_is_named() -> None:
    with pytest.raises(UserError, match=r"the ntk has an eigenvalue -0.99 beside 1.01; expected"):
        GradientFlow.of(torch.diag(torch.tensor([-1.0, 1.0])) + 0.01 * torch.eye(2), name="the ntk")
    nan = GRAM.clone()
    nan[2, 1] = math.nan
    for gram, nngp, message in (
        (nan, None, "the ntk has entries that add up to nan; expected finite ones"),
        (GRAM, nan, "the NNGP of the starts has entries that add up to nan; expected finite ones"),
    ):
        with pytest.raises(UserError, match=message):
            GradientFlow.of(gram, nngp=nngp, name="the ntk")
    flow = GradientFlow.of(GRAM)
    for call, message in (
        (lambda: GradientFlow.of(GRAM, rate=math.inf), "are 0.0, inf and 8; .* of both, finite"),
        (lambda: GradientFlow.of(GRAM, ridge=math.inf), "are inf, 1.0 and 8; expected 0 or more"),
        (lambda: GradientFlow.of(GRAM[:4]), r"gram is torch.float64 of shape \(4, 8\); expected"),
        (lambda: GradientFlow.of(GRAM, nngp=K[:4, :4]), r"nngp has shape \(4, 4\); expected \(8"),
        (lambda: GradientFlow.of(GRAM, rate=0), "ridge, rate and samples are 0.0, 0 and 8; expec"),
        (lambda: flow.trained(CROSS, Y, []), r"times is \[\]; expected at least one, from 0"),
        (lambda: flow.trained(CROSS, Y, [-1.0]), r"times is \[-1.0\]; expected"),
        (lambda: flow.trained(CROSS.T, Y, [1.0]), r"cross has shape \(8, 5\); expected \(m, 8\)"),
        (lambda: flow.trained(CROSS, Y[:3], [1.0]), r"y has shape \(3, 2\); expected \(8, out"),
        (lambda: flow.training(Y, [1.0]), "nngp is None; expected the NNGP"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
