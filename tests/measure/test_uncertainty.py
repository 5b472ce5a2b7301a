"""Entropies, mixtures and disagreement against reference values, and the laws that they obey."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from torch import Tensor

from geocore.measure.uncertainty import (
    agreement,
    entropy,
    expected_entropy,
    mixture_log_probabilities,
    mutual_information,
    total_variation,
)

# Two networks on four inputs, agreement .75 and total variation .125: worked out by hand.
Q = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.4, 0.35, 0.25], [0.3, 0.3, 0.4]])
R = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.3, 0.45, 0.25], [0.2, 0.2, 0.6]])

LOGITS = st_numpy.arrays(
    np.float64,
    st_numpy.array_shapes(min_dims=3, max_dims=3, max_side=6),
    elements=st.floats(-800, 800),
)


def float64(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(
    ("members", "total", "expected", "information"),
    [
        ([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]], math.log(4), math.log(2), math.log(2)),
        ([[0.9, 0.1], [0.1, 0.9]], 0.6931, 0.3251, 0.3681),
    ],
)
def test_reference_values(
    members: list[list[float]], total: float, expected: float, information: float
) -> None:
    probabilities = float64(members)
    assert float(entropy(probabilities.mean(dim=0))) == pytest.approx(total, abs=5e-5)
    assert float(expected_entropy(probabilities)) == pytest.approx(expected, abs=5e-5)
    assert float(mutual_information(probabilities)) == pytest.approx(information, abs=5e-5)


def test_disjoint_members_to_the_last_digit() -> None:
    probabilities = float64([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    assert float(entropy(probabilities.mean(dim=0))) == pytest.approx(math.log(4), abs=1e-15)
    assert float(mutual_information(probabilities)) == pytest.approx(math.log(2), abs=1e-15)


def test_certainty_has_none_and_uniform_has_the_most() -> None:
    assert entropy(torch.tensor([[0.0, 1.0, 0.0]])).tolist() == [0.0]
    assert float(entropy(torch.full((8,), 0.125))) == pytest.approx(math.log(8), abs=1e-15)


@pytest.mark.parametrize("members", [1, 2, 3, 10])
def test_members_that_are_alike_have_no_mutual_information(members: int) -> None:
    # The mean of equal numbers is not always the number: what is left may not fall below 0.
    generator = torch.Generator().manual_seed(0)
    single = torch.rand(1, 1000, 10, generator=generator, dtype=torch.float64)
    single /= single.sum(dim=2, keepdim=True)
    found = mutual_information(single.expand(members, -1, -1))
    assert found.shape == (1000,)
    assert 0 <= float(found.min()) <= float(found.max()) <= 2e-15


def test_float32_is_summed_in_float64() -> None:
    halves = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    assert mutual_information(halves).dtype == torch.float64
    assert float(mutual_information(halves)) == pytest.approx(
        float(mutual_information(halves.double())), abs=1e-15
    )


@settings(deadline=None)
@given(LOGITS)
def test_the_entropies_are_in_order(values: np.ndarray) -> None:
    probabilities = torch.from_numpy(values).softmax(dim=2)
    total = entropy(probabilities.mean(dim=0))
    own, information = expected_entropy(probabilities), mutual_information(probabilities)
    members, _, classes = probabilities.shape
    assert bool((information >= 0).all()) and bool((own >= 0).all())
    assert bool((information <= total).all())
    assert bool((total <= math.log(classes) + 1e-14).all())
    assert bool((information <= math.log(members) + 1e-14).all())
    torch.testing.assert_close(own + information, total, rtol=0, atol=1e-14)


@settings(deadline=None)
@given(LOGITS)
def test_a_mixture_is_a_distribution_and_no_worse_than_its_members_on_average(
    values: np.ndarray,
) -> None:
    members = torch.from_numpy(values).log_softmax(dim=2)
    mixed = mixture_log_probabilities(members)
    assert bool(mixed.isfinite().all())
    torch.testing.assert_close(mixed.exp(), members.exp().mean(dim=0), rtol=1e-12, atol=1e-300)
    # Jensen: -log of the mean is at most the mean of -log, class by class.
    assert bool((-mixed <= -members.mean(dim=0) + 1e-12).all())
    assert bool((mixed <= members.max(dim=0).values + 1e-12).all())


def test_a_mixture_is_not_the_mean_of_the_logarithms() -> None:
    mixed = mixture_log_probabilities(float64([[0.9, 0.1], [0.1, 0.9]]).log())
    assert mixed.exp().tolist() == pytest.approx([0.5, 0.5], abs=1e-15)


def test_a_mixture_of_what_is_impossible_and_what_is_not() -> None:
    mixed = mixture_log_probabilities(float64([[1, 0, 0], [0, 1, 0]]).log())
    assert mixed.tolist() == [-math.log(2), -math.log(2), -math.inf]


def test_disagreement_of_two_networks() -> None:
    assert agreement(Q, R) == 0.75
    assert total_variation(Q.double(), R.double()) == pytest.approx(0.125, abs=1e-7)
    assert total_variation(Q[0], R[0]) == pytest.approx(0.1, abs=1e-7)


def test_disjoint_networks_are_as_far_apart_as_can_be() -> None:
    sure = torch.eye(3)
    assert (agreement(sure, sure.roll(1, 0)), total_variation(sure, sure.roll(1, 0))) == (0, 1)


@settings(deadline=None)
@given(LOGITS, st.integers(0, 2**31 - 1))
def test_disagreement_is_symmetric_and_nothing_with_oneself(values: np.ndarray, seed: int) -> None:
    first = torch.from_numpy(values).softmax(dim=2)
    generator = torch.Generator().manual_seed(seed)
    second = torch.rand(first.shape, generator=generator, dtype=torch.float64).softmax(dim=2)
    assert (agreement(first, first), total_variation(first, first)) == (1, 0)
    assert agreement(first, second) == agreement(second, first)
    found = total_variation(first, second)
    assert 0 <= found <= 1 and found == total_variation(second, first)


@pytest.mark.parametrize("measure", [entropy, expected_entropy, mutual_information])
@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ([[1, 1]], r"probabilities sum to 1 within 1; expected to 1"),
        ([[-0.1, 1.1]], r"probabilities has an entry -0\.1\d*; expected none below 0"),
        ([[math.nan, 1]], r"probabilities has an entry nan; expected none below 0"),
    ],
)
def test_what_is_no_distribution_is_refused(
    measure: Callable[[Tensor], Tensor], entries: list[list[float]], line: str
) -> None:
    with pytest.raises(ValueError, match=f"^{line}$"):
        measure(float64(entries))


def test_logarithms_of_no_distribution_are_refused() -> None:
    for entries in ([[0.0, 0.0]], [[math.nan, 0.0]], [[math.inf, 0.0]], [[-math.inf, -math.inf]]):
        with pytest.raises(ValueError, match=r"^log_probabilities have logsumexp 0 within .*"):
            mixture_log_probabilities(float64(entries))


def test_members_have_an_axis() -> None:
    for name, measure in (
        ("probabilities", expected_entropy),
        ("probabilities", mutual_information),
        ("log_probabilities", mixture_log_probabilities),
    ):
        for shape in ((3,), (0, 2, 3)):
            with pytest.raises(ValueError) as error:
                measure(torch.ones(shape))
            assert str(error.value) == f"{name} has shape {shape}; expected (members, ..., classes)"


@pytest.mark.parametrize("measure", [agreement, total_variation])
def test_pairs_have_one_shape(measure: Callable[[Tensor, Tensor], float]) -> None:
    with pytest.raises(ValueError) as error:
        measure(Q, R[:2])
    assert str(error.value) == (
        "first and second have shapes (4, 3) and (2, 3); expected one, (..., classes)"
    )
    with pytest.raises(ValueError, match=r"^probabilities sum to 1 within"):
        measure(Q, 2 * R)
