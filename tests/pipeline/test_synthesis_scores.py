"""Scores of networks for a chip against figures that are counted by hand."""

from __future__ import annotations

import math

import pytest
import torch

from geocore.data.table import IGNORED
from geocore.pipeline.predictions import Predictions
from geocore.pipeline.synthesis_scores import classified, labelled_pixels
from geocore.train.feed import tensor_feed


def test_area_of_each_class_against_all_others() -> None:
    # Class 0 has probabilities .9, .4 inside and .6, .1 outside: three of four pairs are in order.
    first = torch.tensor([0.9, 0.4, 0.6, 0.1], dtype=torch.float64)
    logits = torch.stack([first, 1 - first], dim=1).log()
    said = Predictions(torch.arange(4), torch.tensor([0, 0, 1, 1]), logits)
    found = classified(said, ["one", "two"])
    assert found.by_class == {"one": pytest.approx(0.75), "two": pytest.approx(0.75)}
    assert found.score == 0.5
    assert found.headline["nll"] == pytest.approx(
        -(math.log(0.9) + math.log(0.4) + math.log(0.4) + math.log(0.9)) / 4
    )


def test_a_class_that_no_sample_has() -> None:
    said = Predictions(torch.arange(2), torch.tensor([0, 1]), torch.eye(2, 3).double())
    assert classified(said, ["a", "b", "c"]).by_class == {"a": 1.0, "b": 1.0, "c": None}


def test_pixels() -> None:
    # Labels 0 0 1 and one that does not count; answered 0 1 1 1.
    masks = torch.tensor([[[0, 0], [1, IGNORED]]], dtype=torch.uint8).expand(3, 2, 2)
    logits = torch.tensor([[[2.0, 0.0], [0.0, 2.0]], [[0.0, 2.0], [0.0, 2.0]]])
    feed = tensor_feed(torch.zeros(3, 2, 2, 1), masks.contiguous())
    found = labelled_pixels(
        lambda images: logits.expand(len(images), 2, 2, 2), feed, ["a", "b"], batch_size=2
    )
    assert found.by_class == {"a": pytest.approx(0.5), "b": pytest.approx(0.5)}
    assert found.score == pytest.approx(0.5) and found.headline["pixel_accuracy"] == 2 / 3
    right, wrong = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
    assert found.headline["nll"] == pytest.approx((2 * right + wrong) / 3, abs=1e-12)
