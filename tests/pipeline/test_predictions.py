"""Predictions of a split: order, scores against brute force, and the table."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from geocore.errors import UserError
from geocore.pipeline.predictions import Predictions, finite, predict
from geocore.train.feed import Feed


class FirstPixels(nn.Module):
    """The logits are the first three pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :3, 0]


@pytest.fixture
def feed() -> Feed:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(11, 48, 1, generator=generator)
    labels = torch.randint(3, (11,), generator=generator)
    ids = torch.arange(11) * 10
    return Feed(lambda positions: images[positions], labels, ids, torch.device("cpu"))


def flip(x: Tensor) -> Tensor:
    return x[:, [2, 1, 0]]


def test_order_and_batches(feed: Feed) -> None:
    images, labels = feed(torch.arange(11))
    steps: list[int] = []
    found = predict(FirstPixels(), feed, 4, advance=steps.append)
    assert torch.equal(found.logits, images[:, :3, 0].double())
    assert torch.equal(found.labels, labels)
    assert found.samples.tolist() == list(range(0, 110, 10))
    assert steps == [4, 4, 3]


def test_each_sample_goes_through_its_own_change(feed: Feed) -> None:
    images, _ = feed(torch.arange(11))
    chosen = torch.tensor([0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1])
    found = predict(FirstPixels(), feed, 4, changes=[lambda x: x, flip], chosen=chosen)
    expected = torch.where(chosen[:, None] == 1, images[:, [2, 1, 0], 0], images[:, :3, 0])
    assert torch.equal(found.logits, expected.double())


def test_a_change_that_no_sample_takes_is_no_matter(feed: Feed) -> None:
    chosen = torch.full((11,), 2)
    found = predict(FirstPixels(), feed, 4, changes=[torch.neg, torch.neg, flip], chosen=chosen)
    images, _ = feed(torch.arange(11))
    assert torch.equal(found.logits, images[:, [2, 1, 0], 0].double())


def test_a_logit_that_is_not_finite_names_its_sample(feed: Feed) -> None:
    class Broken(FirstPixels):
        def forward(self, x: Tensor) -> Tensor:
            out = super().forward(x).clone()
            out[-1, 1] = torch.inf
            return out

    line = "^the network's logit 1 of sample 30 is inf; expected finite logits$"
    with pytest.raises(UserError, match=line):
        predict(Broken(), feed, 4)


def test_summary_by_hand() -> None:
    # Right at .8, wrong at .8: the bin has confidence .8 and accuracy .5.
    logits = torch.tensor([[0.8, 0.2], [0.8, 0.2]], dtype=torch.float64).log() + 5
    found = Predictions(torch.tensor([4, 5]), torch.tensor([0, 1]), logits)
    assert found.summary(10) == {
        "accuracy": 0.5,
        "nll": pytest.approx(-(math.log(0.8) + math.log(0.2)) / 2),
        "ece": pytest.approx(0.3),
        "ece_equal_mass": pytest.approx(0.3),
        "brier": pytest.approx((2 * 0.2**2 + 2 * 0.8**2) / 2),
        "n": 2,
    }
    assert found.by_class(["cat", "dog"]) == {
        "cat": {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1},
        "dog": {"precision": None, "recall": 0.0, "f1": 0.0, "support": 1},
    }


def test_the_table_holds_what_the_scores_follow_from(feed: Feed) -> None:
    found = predict(FirstPixels(), feed, 4)
    columns = found.table().to_pydict()
    assert list(columns) == ["sample", "label", "predicted", "probabilities", "entropy", "nll"]
    probabilities = np.array(columns["probabilities"])
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(11), abs=1e-12)
    assert columns["predicted"] == probabilities.argmax(axis=1).tolist()
    assert columns["nll"] == pytest.approx(-np.log(probabilities[range(11), columns["label"]]))
    assert columns["entropy"] == pytest.approx(-(probabilities * np.log(probabilities)).sum(1))


def test_json_has_no_nan_and_no_infinity() -> None:
    assert [finite(value) for value in (1.5, math.nan, math.inf)] == [1.5, None, None]
