"""Whatever would break an orbit-closed ensemble is refused by name, and what would not is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.ensembles.orbit_closed import OrbitClosed
from geocore.ensembles.plan import Plan
from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import OnImages
from geocore.healpix.symmetry import QuarterTurns
from geocore.models.dropout import ElementDropout
from geocore.models.stochastic.linear import DropoutLinear
from tests.ensembles.orbit_cases import Cyclic, OnPoints, cnn, drawn, mlp

IMAGES, LABELS = drawn(4, 1, 8, 8), torch.arange(4) % 3
C4 = OnImages(PlanarGroup(4))
C5, POINTS = OnPoints(PlanarGroup(5)), drawn(4, 3, 2)


class Given:
    """Elements that act as they are told."""

    name = "given"

    def __init__(self, *acts: Callable[[Tensor], Tensor]) -> None:
        self.acts = acts

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.acts)))

    def act(self, element: int, x: Tensor) -> Tensor:
        return self.acts[element](x)


def turn(times: int) -> Callable[[Tensor], Tensor]:
    return lambda x: x.rot90(times, (-2, -1))


@pytest.mark.parametrize("compose", ["input", "weights"])
def test_an_interpolating_action(compose: Any) -> None:
    with pytest.raises(
        ValueError, match="C8 on images: element number 1 changes a sample's length"
    ):
        OrbitClosed(mlp(64, 3), OnImages(PlanarGroup(8)), IMAGES, compose=compose)


@pytest.mark.parametrize(
    ("acts", "told"),
    [
        ([], "action has no elements"),
        ([turn(0), turn(1)], "element number 1 after number 1 is none of the 2 elements"),
        ([turn(0), turn(2), turn(0)], "more often than others"),
        ([turn(1), turn(2), turn(3), turn(0)], "first element that moves"),
        ([turn(0), lambda x: x[..., 1:]], "gives shape"),
        ([turn(0), lambda x: 2 * x], "by a factor of 2.000"),
        ([turn(0), torch.relu], "changes a sample's length"),
    ],
)
def test_what_is_no_orthogonal_representation(
    acts: Sequence[Callable[[Tensor], Tensor]], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        OrbitClosed(mlp(64, 3), Given(*acts), IMAGES)


def test_elements_that_are_there_twice_each_are_a_group() -> None:
    twice = Given(turn(0), turn(2), turn(0), turn(2))
    assert len(OrbitClosed(mlp(64, 3), twice, IMAGES)) == 4


def test_outputs_that_do_not_follow_the_inputs() -> None:
    def wrong(element: int, y: Tensor) -> Tensor:
        return y.roll(min(element, 2), -1)  # turns 2 and 3 alike

    with pytest.raises(ValueError, match="expected a group, acting alike on inputs and outputs"):
        OrbitClosed(mlp(64, 4), C4, IMAGES, act_out=wrong)
    with pytest.raises(ValueError, match="act_out: element number 1 changes a sample's length"):
        OrbitClosed(mlp(64, 4), C4, IMAGES, act_out=lambda g, y: y * (1 + g))


class Functional(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5, self.training)


class Centred(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=0)


class Counting(nn.Module):
    passes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return x


class OwnNoise(nn.Module):
    """Draws from a generator that is not torch's own."""

    def forward(self, x: Tensor) -> Tensor:
        generator = torch.Generator()
        generator.seed()
        return x + torch.rand(x.shape, dtype=x.dtype, generator=generator)


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (nn.Dropout(0.1), r"layer 3 \(Dropout\) draws random numbers"),
        (nn.RReLU(), r"layer 3 \(RReLU\) draws random numbers"),
        (Functional(), r"layer 3 \(Functional\) draws random numbers"),
        (ElementDropout(0.3), r"layer 3 \(ElementDropout\) draws random numbers"),
        (DropoutLinear(16, 16, 0.3), r"layer 3 \(DropoutLinear\) draws random numbers"),
        (nn.BatchNorm1d(16), r"layer 3 \(BatchNorm1d\) has statistics of the batch"),
        (OwnNoise(), "with noise of its own"),
        (Counting(), "buffer 3.passes changes in a pass"),
        (Centred(), "whose output depends on the batch"),
    ],
)
def test_noise_and_batches(layer: nn.Module, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        OrbitClosed(mlp(64, 3, layer), C4, IMAGES)
    # The same as it is used in evaluation: that a network is in eval() does not hide its noise.
    with pytest.raises(ValueError, match=told):
        OrbitClosed(lambda seed: mlp(64, 3, layer)(seed).eval(), C4, IMAGES)


@pytest.mark.parametrize("layer", [nn.Dropout(0.0), nn.LayerNorm(16), nn.GroupNorm(2, 16)])
def test_what_is_no_noise(layer: nn.Module) -> None:
    assert len(OrbitClosed(mlp(64, 3, layer), C4, IMAGES)) == 4


class Skip(nn.Module):
    """The input goes two ways."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        out: Tensor = flat + self.linear(flat)
        return out


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (cnn(3), "the first layer with parameters is Conv2d '0'; expected a linear one"),
        (
            lambda seed: nn.Sequential(nn.Flatten(), nn.Tanh(), nn.Linear(64, 3)).double(),
            "Linear '2', which is not what reads the flat input",
        ),
        (
            lambda seed: nn.Sequential(nn.Linear(8, 3), nn.Flatten()).double(),
            "Linear '0', which is not what reads the flat input",
        ),
        (
            lambda seed: nn.Sequential(
                nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(64, 3))
            ).double(),
            "expected a linear one, or compose='input'",
        ),
        (
            lambda seed: nn.Sequential(nn.Flatten(), Skip(), nn.Tanh(), nn.Linear(64, 3)).double(),
            "are not all that inputs and outputs pass",
        ),
    ],
)
def test_first_layers_that_cannot_be_composed(build: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        OrbitClosed(build, C4, IMAGES, compose="weights")
    assert len(OrbitClosed(build, C4, IMAGES, compose="input")) == 4


def test_last_layers_that_cannot_be_composed() -> None:
    def build(seed: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(6, 3), nn.Softmax(dim=1)).double()

    x = drawn(4, 2, 3)
    with pytest.raises(ValueError, match="Linear '1', which is not what gives the flat output"):
        OrbitClosed(build, Cyclic(), x, act_out=Cyclic().act, compose="weights")
    OrbitClosed(build, Cyclic(), x, compose="weights")  # invariant outputs need no last layer


def rotations(compose: Any) -> OrbitClosed:
    return OrbitClosed(mlp(6, 2), C5, POINTS, act_out=C5.act, compose=compose)


def test_optimisers_and_rotations() -> None:
    weights, front = rotations("weights"), rotations("input")
    adam = torch.optim.Adam(weights.parameters())
    with pytest.raises(ValueError, match="optimiser is Adam with C5 on points, which is no signed"):
        weights.check(optimiser=adam)
    with pytest.raises(ValueError, match="optimiser is AdamW with C5 on points"):
        weights.check(optimiser="adamw")
    with pytest.raises(ValueError, match="clip is 'value' with C5 on points"):
        weights.check(optimiser="sgd", clip="value")
    weights.check(optimiser=torch.optim.SGD(weights.parameters(), 0.1, 0.9), clip="norm")
    front.check(optimiser=torch.optim.Adam(front.parameters()), clip="value")


def test_optimisers_and_permutations() -> None:
    ensemble = OrbitClosed(mlp(64, 3), C4, IMAGES, compose="weights")
    ensemble.check(optimiser=torch.optim.Adam(ensemble.parameters()), clip="value")
    with pytest.raises(ValueError, match="optimiser is LBFGS with composed weights"):
        ensemble.check(optimiser=torch.optim.LBFGS(ensemble.parameters()))
    with pytest.raises(ValueError, match="clip is 'median'"):
        ensemble.check(clip="median")  # type: ignore[arg-type]


@pytest.mark.parametrize("compose", ["input", "weights"])
def test_members_that_are_not_trained_alike(compose: Any) -> None:
    ensemble = OrbitClosed(mlp(64, 3), C4, IMAGES, compose=compose)
    each = [torch.optim.SGD(member.parameters(), lr=0.1) for member in ensemble.members]
    ensemble.check(optimiser=each)
    with pytest.raises(ValueError, match=r"nothing for .*1.weight of member 3 and SGD\(lr=0.1"):
        ensemble.check(optimiser=each[:3])
    each[2] = torch.optim.SGD(ensemble.members[2].parameters(), lr=0.2)
    with pytest.raises(ValueError, match=r"SGD\(lr=0.2, weight_decay=0\) for .* of member 2"):
        ensemble.check(optimiser=each)


def test_batches_that_are_not_whole_orbits() -> None:
    ensemble = OrbitClosed(mlp(64, 3), C4, IMAGES)
    x, y = ensemble.batch(IMAGES, LABELS)
    mixed = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    ensemble.check(batch=(x, y))
    ensemble.check(batch=(x[mixed], y[mixed]))  # the order of a batch is its own
    with pytest.raises(ValueError, match="inputs and targets are not whole orbits"):
        ensemble.check(batch=(IMAGES, LABELS))
    with pytest.raises(ValueError, match="inputs and targets are not whole orbits"):
        ensemble.check(batch=(x[:12], y[:12]))
    with pytest.raises(ValueError, match="inputs and targets are not whole orbits"):
        ensemble.check(batch=(x, y[mixed]))  # inputs are, with their targets they are not
    with pytest.raises(ValueError, match="inputs and targets have 16 and 4 samples"):
        ensemble.check(batch=(x, LABELS))
    with pytest.raises(ValueError, match="inputs has no samples"):
        ensemble.check(batch=(x[:0], y[:0]))


def test_targets_that_do_not_turn() -> None:
    ensemble = rotations("input")
    targets = POINTS.sum(dim=1)
    x, y = ensemble.batch(POINTS, targets)
    ensemble.check(batch=(x, y), loss=F.mse_loss)
    with pytest.raises(ValueError, match="inputs and targets are not whole orbits"):
        ensemble.check(batch=(x, targets.repeat(5, 1)))


def test_whole_orbits_of_float32() -> None:
    x = POINTS.float()
    ensemble = OrbitClosed(lambda seed: mlp(6, 2)(seed).float(), C5, x, act_out=C5.act)
    ensemble.check(batch=ensemble.batch(x, x.sum(dim=1)))


def test_losses_that_are_not_invariant() -> None:
    ensemble = rotations("input")
    batch = ensemble.batch(POINTS, POINTS.sum(dim=1))
    with pytest.raises(ValueError, match=r"loss changes by .* when element number 1 acts"):
        ensemble.check(batch=batch, loss=F.l1_loss)
    with pytest.raises(ValueError, match="loss comes without batch"):
        ensemble.check(loss=F.mse_loss)
    signed = OrbitClosed(mlp(6, 3), Cyclic(), drawn(4, 2, 3), act_out=Cyclic().act)
    x = drawn(4, 2, 3)
    signed.check(batch=signed.batch(x, x.sum(dim=1)), loss=F.l1_loss)  # permutations keep it


def test_orders_of_members_own() -> None:
    ensemble = OrbitClosed(mlp(64, 3), C4, IMAGES)
    ensemble.check(orders=[7, 7, 7, 7])
    ensemble.check(orders=[torch.arange(5)] * 4)
    with pytest.raises(ValueError, match="orders differ between members 0 and 2"):
        ensemble.check(orders=[7, 7, 8, 7])
    with pytest.raises(ValueError, match="orders differ between members 0 and 1"):
        ensemble.check(orders=[torch.arange(5), torch.arange(5).flip(0)])


def test_plans_of_the_engine() -> None:
    ensemble = OrbitClosed(mlp(64, 3), C4, IMAGES, compose="weights")
    plan = Plan(epochs=1, batch_size=4, lr=0.1, order="shared", clip_norm=1.0)
    ensemble.check(plan=plan)
    with pytest.raises(ValueError, match=r"plan.order is 'own'; expected 'shared'"):
        ensemble.check(plan=replace(plan, order="own"))
    with pytest.raises(ValueError, match=r"plan.patience is 3; expected None"):
        ensemble.check(plan=replace(plan, patience=3))
    with pytest.raises(ValueError, match="optimiser is AdamW with C5 on points"):
        rotations("weights").check(plan=plan)
    rotations("weights").check(plan=replace(plan, optimiser="sgd"))


@pytest.mark.parametrize(
    ("build", "changes", "error", "told"),
    [
        (mlp(64, 3), {"compose": "output"}, ValueError, "compose is 'output'"),
        (mlp(64, 3), {"act_out": "same"}, ValueError, "act_out is 'same'"),
        (mlp(64, 3), {"act_out": 3}, TypeError, "act_out is int"),
        (mlp(64, 3), {"x": torch.zeros(3, 64, dtype=torch.int64)}, ValueError, "x is torch.int64"),
        (mlp(64, 3), {"x": IMAGES.float()}, TypeError, "x is torch.float32 on cpu; expected"),
        (lambda seed: 3, {}, TypeError, "build gives int"),
        (lambda seed: nn.Flatten(), {}, ValueError, "without parameters"),
        (lambda seed: nn.LSTM(8, 3).double(), {"x": drawn(3, 4, 8)}, TypeError, "output tuple"),
    ],
)
def test_arguments(build: Any, changes: dict[str, Any], error: Any, told: str) -> None:
    action = C4 if "LSTM" not in told and changes.get("x", IMAGES).ndim == 4 else Given(turn(0))
    with pytest.raises(error, match=told):
        OrbitClosed(build, action, **({"x": IMAGES} | changes))


def test_maps_of_another_resolution() -> None:
    with pytest.raises(ValueError, match="npix is 100"):
        OrbitClosed(mlp(100, 3), QuarterTurns(4), drawn(2, 100, 1))
