"""A number that is not finite stops the training in one line that names who made it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from geocore.errors import UserError
from geocore.train.feed import tensor_feed
from geocore.train.loop import train
from geocore.train.state import TrainState
from tests.train.scenes import blobs, feeds, network, start, train_params

PARAMS = train_params(lr=0.01, warmup_epochs=0)


def stopped(state: TrainState, images: Tensor | None = None) -> str:
    training, validation = feeds()
    if images is not None:
        training = tensor_feed(images, blobs(20, 1)[1])
    with pytest.raises(UserError) as error:
        train(state, training, validation, PARAMS)
    (line,) = error.value.lines
    return line


def weights(state: TrainState) -> list[Tensor]:
    return [value.clone() for value in state.model.state_dict().values()]


def test_a_sample_that_is_not_finite() -> None:
    images = blobs(20, 1)[0]
    images[7, 3], images[11, 0] = torch.nan, torch.inf
    state = start(PARAMS)
    line = stopped(state, images)
    assert line.startswith(f"training stopped at step {state.step}, epoch 0, learning rate 0.0")
    assert " 7" in line.split("learning rate")[1] or " 11" in line.split("learning rate")[1]
    assert line.endswith("not finite; expected finite images")
    assert all(torch.isfinite(value).all() for value in weights(state))


def test_a_validation_sample_that_is_not_finite() -> None:
    training, _ = feeds()
    images, labels = blobs(9, 2)
    images[4] = torch.nan
    state = start(PARAMS)
    with pytest.raises(UserError) as error:
        train(state, training, tensor_feed(images, labels), PARAMS)
    assert str(error.value) == (
        "training stopped at step 3, epoch 0, learning rate 0.00933: validation: "
        "sample 4 is not finite; expected finite images"
    )
    assert state.curve == [] and state.best is None


def test_a_parameter_that_is_not_finite() -> None:
    model = network()
    with torch.no_grad():
        model.head.weight[1, 2] = torch.nan
    assert stopped(start(PARAMS, model)) == (
        "training stopped at step 0, epoch 0, learning rate 0.01: "
        "parameter head.weight is not finite; expected a lower train.lr"
    )


class Overflow(nn.Module):
    """Doubles until nothing is left: inf in its second part, whatever comes after it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 3)
        self.second = nn.Linear(3, 3)
        self.third = nn.Linear(3, 3)
        with torch.no_grad():
            self.first.weight.fill_(1e25)
            self.second.weight.fill_(1e25)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.third(self.second(self.first(x.flatten(1))))
        return out


def test_the_first_layer_that_is_not_finite() -> None:
    line = stopped(start(PARAMS, Overflow()))
    assert line.endswith("the output of layer second is not finite; expected a lower train.lr")


class SteepRoot(nn.Module):
    """Finite outputs; the root at zero has an infinite slope."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(64, 3)
        self.outer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.outer((self.inner(x.flatten(1)) * 0).abs().sqrt())
        return out


def test_the_gradient_that_is_not_finite() -> None:
    state = start(PARAMS, SteepRoot())
    before = weights(state)
    line = stopped(state)
    assert line == (
        "training stopped at step 0, epoch 0, learning rate 0.01: "
        "the gradient of inner.bias is not finite; expected a lower train.lr"
    )
    assert all(map(torch.equal, before, weights(state)))  # the optimiser has touched nothing
