"""Regression against the plain inverse, against training, and its laws."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.errors import UserError
from geocore.kernels.regression import Regressor, ensemble_limit, posterior, targets


def features(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


TRAINING, TEST = features(0, 12, 30), features(1, 5, 30)
TANGENT = features(2, 17, 40)
Y = targets(torch.arange(12) % 3, 3)
GRAM, CROSS, PRIOR = TRAINING @ TRAINING.T, TEST @ TRAINING.T, (TEST * TEST).sum(dim=1)
NTK, NTK_CROSS = TANGENT[:12] @ TANGENT[:12].T, TANGENT[12:] @ TANGENT[:12].T


def test_targets_sum_to_nought() -> None:
    assert targets(torch.tensor([2, 0]), 4).tolist() == [
        [-0.25, -0.25, 0.75, -0.25],
        [0.75, -0.25, -0.25, -0.25],
    ]


@pytest.mark.parametrize("ridge", [0.0, 1e-3, 0.5])
def test_the_posterior_is_that_of_the_plain_inverse(ridge: float) -> None:
    matrix = (GRAM + ridge * GRAM.diagonal().mean() * torch.eye(12).double()).numpy()
    mean, variance = posterior(Regressor.of(GRAM, ridge), CROSS, PRIOR, Y)
    expected = CROSS.numpy() @ np.linalg.solve(matrix, Y.numpy())
    np.testing.assert_allclose(mean.numpy(), expected, rtol=1e-10)
    explained = CROSS.numpy() @ np.linalg.solve(matrix, CROSS.T.numpy())
    np.testing.assert_allclose(variance.numpy(), PRIOR.numpy() - explained.diagonal(), rtol=1e-10)


def test_without_a_ridge_the_targets_come_back_and_nothing_is_unsure() -> None:
    own = GRAM.diagonal().clone()
    mean, variance = posterior(Regressor.of(GRAM), GRAM, own, Y)
    torch.testing.assert_close(mean, Y, rtol=0, atol=1e-10)
    assert float(variance.max()) < 1e-9 * float(own.max()) and float(variance.min()) >= 0
    mean, variance = ensemble_limit(
        Regressor.of(NTK), NTK, own, Y, nngp=GRAM, nngp_cross=GRAM
    )  # fmt: skip
    torch.testing.assert_close(mean, Y, rtol=0, atol=1e-10)
    assert float(variance.max()) < 1e-9 * float(own.max()) and float(variance.min()) >= 0


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_the_limit_is_where_gradient_flow_ends(ridge: float) -> None:
    """Linear models on the tangent features, from starts with the NNGP's covariance, trained."""
    starts = features(3, 4000, 30)  # weights of f_0 on the NNGP's features
    at_training, at_test = starts @ TRAINING.T, starts @ TEST.T
    kept = ridge * NTK.diagonal().mean()
    tangent, across = TANGENT[:12], TANGENT[12:]
    pull = tangent.T @ torch.linalg.inv(tangent @ tangent.T + kept * torch.eye(12).double())
    moved = (Y[:, 0] - at_training) @ pull.T  # the weights that the flow adds
    ends = at_test + moved @ across.T
    mean, variance = ensemble_limit(
        Regressor.of(NTK, ridge), NTK_CROSS, PRIOR, Y[:, :1], nngp=GRAM, nngp_cross=CROSS
    )
    error = (variance / len(starts)).sqrt()
    assert ((ends.mean(dim=0) - mean[:, 0]).abs() <= 4 * error).all()
    assert (ends.var(dim=0) / variance - 1).abs().max() <= 0.1


def test_of_the_nngp_the_limit_is_the_posterior() -> None:
    regressor = Regressor.of(GRAM)
    mean, variance = ensemble_limit(regressor, CROSS, PRIOR, Y, nngp=GRAM, nngp_cross=CROSS)
    expected = posterior(regressor, CROSS, PRIOR, Y)
    torch.testing.assert_close(mean, expected[0], rtol=1e-12, atol=0)
    torch.testing.assert_close(variance, expected[1], rtol=1e-9, atol=0)


def test_a_scaled_kernel_predicts_the_same() -> None:
    first = posterior(Regressor.of(GRAM, 0.1), CROSS, PRIOR, Y)
    second = posterior(Regressor.of(9 * GRAM, 0.1), 9 * CROSS, 9 * PRIOR, Y)
    torch.testing.assert_close(second[0], first[0], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(second[1], 9 * first[1], rtol=1e-12, atol=1e-14)


def test_jitter_comes_when_it_is_needed_and_is_told() -> None:
    assert Regressor.of(GRAM).jitter == 0.0
    twice = torch.cat([TRAINING, TRAINING])
    gram = twice @ twice.T
    regressor = Regressor.of(gram)
    assert 1e-14 <= regressor.jitter <= 1e-12
    assert regressor.reason is not None and Regressor.of(GRAM).reason is None
    # A second copy, from the 13th row on: rounding decides which.
    assert re.match(r"gram is not positive def.* row (1[3-9]|2[0-4]) of 24", regressor.reason)
    assert regressor.reason.endswith(f"{regressor.shift:.3g}, was added to the diagonal")
    assert regressor.shift == regressor.jitter * float(gram.diagonal().mean())
    mean, _ = posterior(regressor, CROSS.repeat(1, 2), PRIOR, Y.repeat(2, 1))
    torch.testing.assert_close(
        mean, posterior(Regressor.of(GRAM), CROSS, PRIOR, Y)[0], rtol=0, atol=1e-3
    )
    assert Regressor.of(gram, ridge=1e-6).jitter == 0.0


def test_single_precision_is_taken() -> None:
    """1e-4: float32's 6e-8 over the condition, about 30, and sums of 12 terms."""
    exact = Regressor.of(GRAM, 0.1)
    found = Regressor.of(GRAM.float(), 0.1)
    assert found.factor.dtype == torch.float32
    one, two = (
        posterior(found, CROSS.float(), PRIOR.float(), Y),
        posterior(exact, CROSS, PRIOR, Y),
    )
    torch.testing.assert_close(one[0].double(), two[0], rtol=0, atol=1e-4)
    torch.testing.assert_close(one[1].double(), two[1], rtol=1e-4, atol=0)
    twice = torch.cat([TRAINING, TRAINING]).float()
    assert 1e-7 <= Regressor.of(twice @ twice.T).jitter <= 1e-4


def test_a_mapped_matrix_is_only_read(tmp_path: Path) -> None:
    """Copied once, into the factor; a file opened for reading stays as it was."""
    written = np.memmap(tmp_path / "gram", dtype="float64", mode="w+", shape=(12, 12))
    written[:] = GRAM.numpy()
    written.flush()
    mapped = np.memmap(tmp_path / "gram", dtype="float64", mode="c", shape=(12, 12))
    gram = torch.from_numpy(mapped)
    torch.testing.assert_close(
        Regressor.of(gram, 0.1).factor,
        torch.linalg.cholesky(GRAM + 0.1 * GRAM.diagonal().mean() * torch.eye(12).double()),
        rtol=1e-13,
        atol=1e-13,
    )
    assert np.array_equal(mapped, GRAM.numpy())


def test_many_test_samples_go_through_in_parts() -> None:
    many = features(5, 2500, 30)
    cross, own = many @ TRAINING.T, (many * many).sum(dim=1)
    regressor = Regressor.of(GRAM, 0.1)
    for found, one in (
        (posterior(regressor, cross, own, Y), posterior(regressor, cross[2000:], own[2000:], Y)),
        (
            ensemble_limit(regressor, cross, own, Y, nngp=NTK, nngp_cross=cross),
            ensemble_limit(
                regressor, cross[2000:], own[2000:], Y, nngp=NTK, nngp_cross=cross[2000:]
            ),
        ),
    ):
        for whole, part in zip(found, one, strict=True):
            assert len(whole) == 2500
            torch.testing.assert_close(whole[2000:], part, rtol=1e-10, atol=1e-10)


def test_what_has_no_factor() -> None:
    with pytest.raises(UserError) as error:
        Regressor.of(-torch.eye(3).double(), name="the kernel")
    assert str(error.value) == (
        "the kernel is not positive definite, nor is it with 1e-06 of its mean diagonal, -1, "
        "added; expected a larger ridge, or samples that differ"
    )
    with pytest.raises(ValueError, match=r"gram is torch.float16 of shape \(3, 3\); expected floa"):
        Regressor.of(torch.eye(3).half())
    with pytest.raises(ValueError, match=r"ridge is -1; expected 0 or more"):
        Regressor.of(GRAM, -1)


def test_shapes_that_would_broadcast_are_refused() -> None:
    gram = torch.eye(4).double()
    regressor, y = Regressor.of(gram), torch.ones(4, 2).double()
    cross, prior = torch.ones(3, 4).double(), torch.ones(3).double()
    for changes, line in (
        ({"prior": torch.ones(3, 3)}, r"prior has shape \(3, 3\); expected \(3,\)"),
        ({"prior": torch.ones(1)}, r"prior has shape \(1,\); expected \(3,\)"),
        ({"cross": cross[:, :3]}, r"cross has shape \(3, 3\); expected \(3, 4\)"),
        ({"y": y[:, 0]}, r"y has shape \(4,\); expected \(4, outputs\)"),
    ):
        given = {"cross": cross, "prior": prior, "y": y} | changes
        with pytest.raises(ValueError, match=line):
            posterior(regressor, **given)
        with pytest.raises(ValueError, match=line):
            ensemble_limit(regressor, **given, nngp=gram, nngp_cross=cross)
    with pytest.raises(ValueError, match=r"nngp_cross has shape \(1, 4\); expected \(3, 4\)"):
        ensemble_limit(regressor, cross, prior, y, nngp=gram, nngp_cross=cross[:1])


def test_what_is_no_kernel_is_named() -> None:
    gram = torch.eye(3).double()
    for value in (math.nan, math.inf):
        wrong = gram.clone()
        wrong[2, 1] = value
        with pytest.raises(UserError, match=r"gram has entries that add up to (nan|inf); expected"):
            Regressor.of(wrong)
    with pytest.raises(ValueError, match="ridge is inf; expected 0 or more, and finite"):
        Regressor.of(gram, math.inf)
    with pytest.raises(
        ValueError, match=r"gram is of shape \(0, 0\); expected at least one sample"
    ):
        Regressor.of(gram[:0, :0])
