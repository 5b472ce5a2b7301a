"""Classes of samples: the loss against its definition, and the record."""

from __future__ import annotations

import pytest
import torch

from geocore.errors import UserError
from geocore.train.classification import Classification
from geocore.train.feed import tensor_feed
from geocore.train.objective import objective, recorded
from tests.train.scenes import train_params


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_cross_entropy(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(7, 4, generator=generator, dtype=torch.float64)
    target = torch.randint(4, (7,), generator=generator)
    found = Classification(4, smoothing).loss(output, target)
    expected = torch.nn.functional.cross_entropy(output, target, label_smoothing=smoothing)
    torch.testing.assert_close(found.loss, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(
        found.mean, torch.nn.functional.cross_entropy(output, target), rtol=1e-12, atol=0
    )
    assert float(found.weight) == 7


def test_what_params_ask_for() -> None:
    feed = tensor_feed(torch.zeros(3, 4), torch.tensor([0, 1, 2]))
    found = objective(train_params(label_smoothing=0.2), "abc", feed, "data")
    assert found == Classification(3, 0.2)
    assert (found.outputs, found.dense, found.record()) == (3, False, {})
    assert recorded("classification", {}, "abc") == Classification(3)
    assert found.columns == (
        "epoch", "step", "lr", "train_nll", "val_nll", "val_accuracy", "gradient_norm",
    )  # fmt: skip
    with pytest.raises(UserError, match=r"^data: sample 2 has label 2; expected 0 to 1$"):
        objective(train_params(), "ab", feed, "data")
