"""Mixtures built member by member equal those of all members at once."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from geocore.measure.classification import accuracy, nll
from geocore.measure.mixture_batch import RunningMixture, mixture_batch
from geocore.measure.uncertainty import (
    entropy,
    expected_entropy,
    mixture_log_probabilities,
    mutual_information,
)


def predictions(seed: int = 0, shape: tuple[int, int, int] = (5, 40, 3)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    labels = torch.randint(shape[2], (shape[1],), generator=generator)
    return scores.log_softmax(dim=-1), labels


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-14)


def test_it_is_what_the_tensors_give() -> None:
    members, labels = predictions()
    found, p = mixture_batch(members, labels), members.exp()
    same(found.log_probabilities, mixture_log_probabilities(members))
    same(found.probabilities, p.mean(dim=0))
    same(found.entropy, entropy(p.mean(dim=0)))
    same(found.expected_entropy, expected_entropy(p))
    same(found.mutual_information, mutual_information(p))
    same(found.member_nll, torch.stack([nll(own, labels) for own in members]).mean(dim=0))
    own = torch.tensor([accuracy(own, labels) for own in members], dtype=torch.float64)
    same(found.member_accuracy.mean(), own.mean())
    assert torch.equal(found.correct, p.mean(dim=0).argmax(dim=1) == labels)


def test_members_may_come_in_parts_and_in_any_order() -> None:
    members, labels = predictions(1)
    running = RunningMixture(40, 3)
    for start, stop in ((25, 40), (0, 10), (10, 25)):
        for member in reversed(members):
            running.add(member[start:stop], labels[start:stop], start)
    found, expected = running.batch(), mixture_batch(members, labels)
    for name, value in vars(expected).items():
        same(getattr(found, name), value)
    assert len(running.batch(12).labels) == 12


def test_a_member_alone_is_its_own_mixture_and_knows_nothing_of_another() -> None:
    members, labels = predictions(2, (1, 30, 4))
    found = mixture_batch(members, labels)
    assert torch.equal(found.log_probabilities, members[0])
    assert float(found.mutual_information.max()) <= 1e-15


def test_classes_that_are_excluded() -> None:
    members = torch.tensor([[[1.0, 0, 0]], [[0, 1, 0]]], dtype=torch.float64).log()
    found = mixture_batch(members, torch.tensor([1]))
    assert found.log_probabilities.tolist() == [[-math.log(2), -math.log(2), -math.inf]]
    assert found.entropy.tolist() == found.mutual_information.tolist() == [math.log(2)]
    assert found.member_accuracy.tolist() == [0.5] and found.member_nll.tolist() == [math.inf]


def test_float32_is_summed_in_float64() -> None:
    members, labels = predictions(3)
    found = mixture_batch(members.float(), labels)
    same(found.probabilities, members.float().double().exp().mean(dim=0))


def test_what_it_refuses() -> None:
    members, labels = predictions(4)
    running = RunningMixture(40, 3)
    for values, given, start, line in [
        (members[0].exp(), labels, 0, "log_probabilities has logsumexp 0 within"),
        (members[0][:, :1] * 0, labels, 0, "log_probabilities has shape (40, 1); expected (k, 3)"),
        (members[0], labels, 1, "samples are 1 to 40; expected from 0 to 39"),
        (members[0], labels[:-1], 0, "labels is torch.int64 of shape (39,); expected int64 (40,)"),
        (members[0], labels.int(), 0, "labels is torch.int32 of shape (40,); expected int64 (40,)"),
        (members[0], labels + 1, 0, "labels runs from 1 to 3; expected 0 to 2"),
    ]:
        with pytest.raises(ValueError) as error:
            running.add(values, given, start)
        assert str(error.value).startswith(line)
    running.add(members[0], labels)
    with pytest.raises(ValueError, match=r"^labels differ from an earlier member's; expected the"):
        running.add(members[1], (labels + 1) % 3)
    running.add(members[1, :1], labels[:1])
    with pytest.raises(ValueError, match=r"^samples have 1 to 2 members; expected as many each$"):
        running.batch()
    with pytest.raises(ValueError, match=r"^n is 0 and classes 3; expected at least 1 of each$"):
        RunningMixture(0, 3)
    with pytest.raises(ValueError, match=r"^log_probabilities has shape \(40, 3\); expected \(mem"):
        mixture_batch(members[0], labels)
