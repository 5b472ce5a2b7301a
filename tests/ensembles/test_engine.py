"""A stacked member is the member trained alone, whatever it is stacked with, and how."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.ensembles.engine import Samples, start_ensemble, train_ensemble
from geocore.ensembles.ensemble_state import EnsembleState, Member
from geocore.ensembles.losses import CrossEntropy, SquaredError
from geocore.ensembles.noise import Noise, noise_count, put_noise, stochastic_layers
from geocore.ensembles.plan import Plan
from geocore.errors import UserError
from geocore.models.s2cnn.layout import Layout
from geocore.models.s2cnn.networks import S2CNNClassifier
from geocore.models.stochastic.families import Family
from geocore.models.stochastic.networks import stochastic_mlp
from geocore.train.checkpoint import read_checkpoint, write_checkpoint
from geocore.train.randomness import epoch_order

F64 = torch.float64
Build = Callable[[int], nn.Module]


def plain(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(4, 12), nn.Tanh(), nn.LayerNorm(12), nn.Linear(12, 3)
    ).double()


def convolutional(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 2), nn.ReLU(), nn.Conv2d(4, 3, 1), nn.Flatten(), nn.Linear(3, 3)
    ).double()


def pooled(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 2), nn.ReLU(),
        nn.Flatten(), stochastic_mlp((5, 9, 3), "dropout", p=0.3, seed=seed, dtype=F64),
    ).double()  # fmt: skip


def dropping(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    layers = [nn.Linear(4, 9), nn.ReLU(), nn.Dropout(0.3), nn.Linear(9, 3)]
    return nn.Sequential(nn.Flatten(), *layers).double()


def stochastic(family: Family) -> Build:
    def build(seed: int) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(), stochastic_mlp((4, 9, 3), family, p=0.3, seed=seed, dtype=F64)
        )

    return build


BUILDS: dict[str, Build] = {
    "chain": plain,
    "convolutional": convolutional,
    "pooled": pooled,
    "torch dropout": dropping,
    "dropout": stochastic("dropout"),
    "dropconnect": stochastic("dropconnect"),
    "nonparametric": stochastic("nonparametric"),
}


def samples(n: int, seed: int = 0) -> Samples:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, 2, 2, dtype=F64, generator=generator)
    noise = torch.randn(n, 3, dtype=F64, generator=generator)
    return Samples(x, (x.flatten(1)[:, :3] + 0.5 * noise).argmax(1))


TRAIN, VAL = samples(100), samples(30, seed=1)
PLAN = Plan(
    epochs=20, batch_size=10, lr=0.03, weight_decay=0.1, clip_norm=0.4, schedule="cosine",
    warmup_epochs=1,
)  # fmt: skip


def trained(
    build: Build, seeds: tuple[int, ...], plan: Plan = PLAN, strategy: Any = "auto", **more: Any
) -> list[Member]:
    state = start_ensemble(build, seeds, plan, strategy=strategy)
    return train_ensemble(state, TRAIN, VAL, CrossEntropy(0.1), **more)


def by_hand(build: Build, seed: int, plan: Plan = PLAN) -> dict[str, Tensor]:
    """The last weights of a member in the way that everybody trains one."""
    model = build(seed)
    layers = stochastic_layers(model)
    noise = Noise([seed], "training", plan.batch_size, noise_count(layers))
    weighed = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    matrices: list[Tensor] = [layer.weight for layer in weighed]
    others = [p for p in model.parameters() if all(p is not m for m in matrices)]
    groups: list[dict[str, Any]] = [
        {"params": matrices},
        {"params": others, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=plan.lr, weight_decay=plan.weight_decay
    )
    total = plan.epochs * 10
    step = 0
    for epoch in range(plan.epochs):
        for chosen in epoch_order(len(TRAIN), seed, epoch).split(plan.batch_size):
            x, y = TRAIN(chosen)
            if layers:
                put_noise(layers, noise(0, step, len(x)))
            loss = F.cross_entropy(model(x), y, label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), plan.clip_norm or math.inf)
            after = (step - 10) / (total - 10)
            rate = (step + 1) / 10 if step < 10 else (1 + math.cos(math.pi * after)) / 2
            for group in optimiser.param_groups:
                group["lr"] = plan.lr * rate
            optimiser.step()
            step += 1
    return model.state_dict()


def close(first: dict[str, Tensor], second: dict[str, Tensor], atol: float) -> None:
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], atol=atol, rtol=0, msg=name)


@pytest.mark.parametrize("name", [name for name in BUILDS if name != "torch dropout"])
def test_a_member_is_what_a_loop_over_modules_gives(name: str) -> None:
    # 200 steps, clipped in nearly all of them; without validation the last weights count.
    state = start_ensemble(BUILDS[name], (3, 1, 4), PLAN)
    found = train_ensemble(state, TRAIN, None, CrossEntropy(0.1))
    assert state.step == 200
    for member in found:
        close(member.weights, by_hand(BUILDS[name], member.seed), atol=1e-9)


@pytest.mark.parametrize("name", BUILDS)
def test_company_does_not_matter(name: str) -> None:
    several = trained(BUILDS[name], (5, 1, 2))
    alone = trained(BUILDS[name], (2,))[0]
    close(several[2].weights, alone.weights, atol=1e-9)
    assert [row["epoch"] for row in several[2].curve] == list(range(20))
    assert several[2].best["epoch"] == alone.best["epoch"]
    assert several[2].best["val_nll"] == pytest.approx(alone.best["val_nll"], abs=1e-9)


@pytest.mark.parametrize("name", ["chain", "dropout", "pooled"])
def test_nor_do_many(name: str) -> None:
    several = start_ensemble(BUILDS[name], range(64), PLAN)
    alone = start_ensemble(BUILDS[name], (63,), PLAN)
    found = [train_ensemble(state, TRAIN, None, CrossEntropy()) for state in (several, alone)]
    close(found[0][63].weights, found[1][0].weights, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in BUILDS if name != "torch dropout"])
def test_a_program_and_a_loop_over_members_agree(name: str) -> None:
    batched = trained(BUILDS[name], (7, 8), strategy="batched")
    one_by_one = trained(BUILDS[name], (7, 8), strategy="one_by_one")
    for first, second in zip(batched, one_by_one, strict=True):
        close(first.weights, second.weights, atol=1e-9)
        assert first.curve[-1] == pytest.approx(second.curve[-1], abs=1e-9)


def test_members_differ() -> None:
    first, second = trained(plain, (0, 1))
    assert (first.weights["1.weight"] - second.weights["1.weight"]).abs().max() > 0.1


@pytest.mark.parametrize("name", ["chain", "convolutional"])
def test_each_stops_by_its_own_scores(name: str) -> None:
    plan = Plan(epochs=40, batch_size=10, lr=0.05, patience=2)
    several = trained(BUILDS[name], (0, 1, 2, 3, 4), plan)
    lengths = [len(member.curve) for member in several]
    assert len(set(lengths)) > 1 and min(lengths) < 40
    for member in several:
        alone = trained(BUILDS[name], (member.seed,), plan)[0]
        assert len(alone.curve) == len(member.curve)
        close(member.weights, alone.weights, atol=1e-9)
        worst = min(row["val_nll"] for row in member.curve)
        assert member.best["val_nll"] == worst


def augment(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return x + 0.1 * torch.randn(x.shape, dtype=x.dtype, generator=generator), y


def test_augmentation_is_a_member_s_own() -> None:
    several = trained(plain, (0, 1, 2), augment=augment)
    alone = trained(plain, (2,), augment=augment)[0]
    close(several[2].weights, alone.weights, atol=1e-9)
    bare = trained(plain, (2,))[0]
    assert (bare.weights["1.weight"] - alone.weights["1.weight"]).abs().max() > 1e-3


def test_a_shared_order_is_that_of_the_first() -> None:
    plan = Plan(epochs=3, batch_size=30, lr=0.03, order="shared")
    same = trained(lambda seed: plain(0), (5, 6, 7), plan)
    for member in same[1:]:
        close(member.weights, same[0].weights, atol=1e-12)
    own = trained(lambda seed: plain(0), (5, 6), Plan(epochs=3, batch_size=30, lr=0.03))
    assert (own[0].weights["1.weight"] - own[1].weights["1.weight"]).abs().max() > 1e-4


def test_the_prior_pulls() -> None:
    # A linear network with squared error: the minimum has a closed form.
    x = torch.randn(50, 3, dtype=F64, generator=torch.Generator().manual_seed(2))
    y = x @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=F64) + 0.3
    plan = Plan(epochs=400, batch_size=50, lr=0.2, optimiser="sgd", momentum=0.5)
    state = start_ensemble(lambda seed: nn.Sequential(nn.Linear(3, 1)).double(), (0, 1), plan)
    found = train_ensemble(
        state, Samples(x, y), None, SquaredError(), prior={"0.weight": 0.4, "0.bias": 0.0}
    )
    centred = x - x.mean(0)
    gram = centred.mT @ centred / 50 + 0.2 * torch.eye(3, dtype=F64)
    expected = torch.linalg.solve(gram, centred.mT @ (y - y.mean()) / 50)
    for member in found:
        torch.testing.assert_close(member.weights["0.weight"], expected.mT, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", ["chain", "torch dropout", "dropout", "pooled"])
@pytest.mark.parametrize("stop", [7, 10, 25])
def test_it_goes_on_to_the_same_bits(name: str, stop: int, tmp_path: Path) -> None:
    plan = Plan(epochs=4, batch_size=10, lr=0.03, weight_decay=0.1, clip_norm=1.0, patience=3)
    whole = trained(BUILDS[name], (3, 4), plan)

    class KilledError(Exception):
        pass

    def kill(state: EnsembleState) -> None:
        write_checkpoint(tmp_path, state)
        raise KilledError

    first = start_ensemble(BUILDS[name], (3, 4), plan)
    with pytest.raises(KilledError):
        train_ensemble(
            first, TRAIN, VAL, CrossEntropy(0.1), checkpoint_every=stop, on_checkpoint=kill
        )
    second = start_ensemble(BUILDS[name], (3, 4), plan)
    read_checkpoint(tmp_path, second)
    assert second.step == stop
    for one, two in zip(whole, train_ensemble(second, TRAIN, VAL, CrossEntropy(0.1)), strict=True):
        close(one.weights, two.weights, atol=0)
        assert one.curve == two.curve


def test_another_ensemble_s_state_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, start_ensemble(plain, (1, 2), PLAN))
    with pytest.raises(ValueError, match=r"the state's seeds are \[1, 2\]; expected \[2, 1\]"):
        read_checkpoint(tmp_path, start_ensemble(plain, (2, 1), PLAN))
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(ValueError, match="expected a checkpoint"):
        read_checkpoint(tmp_path, start_ensemble(plain, (1, 2), PLAN))


def test_what_is_not_finite_is_one_line() -> None:
    broken = samples(100)
    broken.inputs[42] = torch.nan
    state = start_ensemble(plain, (9, 8), PLAN)
    with pytest.raises(UserError) as caught:
        train_ensemble(state, broken, None, CrossEntropy())
    (line,) = caught.value.lines
    assert line.startswith("training of the member of seed ")
    assert line.endswith("sample 42 is not finite; expected finite images")


def spherical(seed: int) -> nn.Module:
    layout = Layout(4, (2, 3), (3, 2), orders=(2, 1), norm="channel", sampling="gauss-legendre")
    return S2CNNClassifier(layout, classes=3, seed=seed, dtype=F64)


def test_networks_with_tables_of_their_own() -> None:
    x = torch.rand(24, 8, 8, 1, dtype=F64, generator=torch.Generator().manual_seed(4))
    data = Samples(x, (10 * x.mean((1, 2, 3))).long() % 3)
    plan = Plan(epochs=5, batch_size=8, lr=0.02, clip_norm=1.0)
    several, alone = (start_ensemble(spherical, seeds, plan) for seeds in ((1, 2, 3), (3,)))
    assert several.stack.parameters == sum(p.numel() for p in spherical(0).parameters())
    found = [train_ensemble(state, data, data, CrossEntropy()) for state in (several, alone)]
    close(found[0][2].weights, found[1][0].weights, atol=1e-10)
    model = spherical(0)
    model.load_state_dict(found[0][2].weights)
    nll = F.cross_entropy(model(x), data.targets)
    assert float(nll) == pytest.approx(found[0][2].best["val_nll"], abs=1e-12)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"epochs": 0}, "epochs is 0; expected at least 1"),
        ({"lr": 0.0}, "lr is 0.0; expected above 0"),
        ({"clip_norm": -1.0}, "clip_norm is -1.0; expected above 0, or None"),
        ({"momentum": 0.9}, "momentum is 0.9 with adamw; expected 0"),
        ({"order": "none"}, "order is 'none'; expected own or shared"),
    ],
)
def test_plans_that_make_no_sense(change: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError) as caught:
        Plan(**{"epochs": 1, "batch_size": 1, "lr": 0.1, **change})
    assert str(caught.value) == line
