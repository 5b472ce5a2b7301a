"""The mean is equivariant at every step, and a member alone is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.ensembles.engine import Samples, start_ensemble, train_ensemble
from geocore.ensembles.ensemble_state import EnsembleState
from geocore.ensembles.losses import CrossEntropy
from geocore.ensembles.orbit_closed import OrbitClosed
from geocore.ensembles.plan import Plan
from geocore.groups.finite import PlanarGroup
from geocore.groups.orbit import orbit
from geocore.groups.planar_action import OnImages
from geocore.healpix.symmetry import GridSymmetries, QuarterTurns
from geocore.measure.uncertainty import mutual_information
from geocore.testing import Group, assert_equivariant
from tests.ensembles.orbit_cases import (
    Cyclic,
    OnPoints,
    QuarterTurned,
    cnn,
    drawn,
    mlp,
    trained,
)
from tests.models.encoders import encoder, kind

ATOL = 1e-12  # float64
IMAGES, LABELS = drawn(12, 1, 8, 8), torch.arange(12) % 3
MAPS = drawn(8, 12 * 4**2, 1)
C4, D4 = OnImages(PlanarGroup(4)), OnImages(PlanarGroup(4, reflections=True))
FAR = 5.0  # a scale at which no training input lies


def healpix(seed: int) -> nn.Module:
    return encoder(kind(4), 3, seed, depths=(1, 1), heads=(1, 2))


@torch.no_grad()
def change(fn: Callable[[Tensor], Tensor], action: Group, x: Tensor) -> Tensor:
    """``fn(g x) - fn(x)`` for all elements, ``(order, batch, outputs)``."""
    found: Tensor = fn(orbit(action, x).flatten(0, 1)).unflatten(0, (-1, len(x)))
    return found - found[0]


@torch.no_grad()
def off(fn: Callable[[Tensor], Tensor], action: Group, x: Tensor) -> float:
    """By how much ``fn`` is not invariant, against how much its outputs differ by sample."""
    plain = fn(x)
    return float(change(fn, action, x).abs().max() / (plain - plain.mean(dim=0)).abs().max())


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize(
    ("build", "action", "x", "compose"),
    [
        (mlp(64, 3), C4, IMAGES, "weights"),
        (mlp(64, 3), D4, IMAGES, "weights"),
        (cnn(3), C4, IMAGES, "input"),
        (cnn(3), D4, IMAGES, "input"),
        (mlp(192, 3), QuarterTurns(4), MAPS, "weights"),
        (mlp(192, 3), GridSymmetries(4), MAPS, "weights"),
        (healpix, GridSymmetries(4, rotations=True), MAPS, "input"),
    ],
    ids=["mlp-C4", "mlp-D4", "cnn-C4", "cnn-D4", "sphere-4", "sphere-16", "encoder"],
)
def test_the_mean_is_invariant_at_every_step(
    build: Callable[[int], nn.Module],
    action: Group,
    x: Tensor,
    compose: Literal["input", "weights"],
    optimiser: str,
) -> None:
    ensemble = OrbitClosed(build, action, x, seed=3, compose=compose)
    new = FAR * drawn(3, *x.shape[1:], seed=9)
    before = ensemble(new).detach()
    steps = 20 if build is not healpix else 5
    for _ in trained(ensemble, x, LABELS[: len(x)], optimiser, steps):
        assert float(change(ensemble, action, new).abs().max()) <= ATOL
        assert off(ensemble.members[1], action, new) > 0.1
    assert float((ensemble(new).detach() - before).abs().max()) > 0.01  # it has learned
    # Adam makes steps of the rounding of gradients that are 0, as those of an attention's keys.
    assert ensemble.deviation() < (1e-10 if build is healpix else ATOL)


def test_composed_weights_and_a_layer_in_front_are_the_same_functions() -> None:
    ensembles = [OrbitClosed(mlp(64, 3), D4, IMAGES, compose=c) for c in ("input", "weights")]
    for _ in zip(*(trained(e, IMAGES, LABELS) for e in ensembles), strict=True):
        found, expected = (e.outputs(IMAGES) for e in ensembles)
        torch.testing.assert_close(found, expected, rtol=0, atol=ATOL)
    state = dict(ensembles[1].members[3].named_parameters())
    assert state.keys() == dict(mlp(64, 3)(0).named_parameters()).keys()  # a plain network


def test_members_are_the_first_seen_from_all_sides() -> None:
    ensemble = OrbitClosed(mlp(64, 3), C4, IMAGES, compose="weights")
    base = mlp(64, 3)(0)
    base.load_state_dict(ensemble.members[0].state_dict())
    for element, member in zip(ensemble.elements, ensemble.members, strict=True):
        torch.testing.assert_close(member(IMAGES), base(C4.act(element, IMAGES)), rtol=0, atol=ATOL)


def test_what_members_disagree_on_is_invariant_too() -> None:
    ensemble = OrbitClosed(cnn(3), C4, IMAGES)
    list(trained(ensemble, IMAGES, LABELS))

    def disagreement(x: Tensor) -> Tensor:
        return mutual_information(ensemble.outputs(x).detach().softmax(dim=-1))

    assert float(disagreement(FAR * IMAGES).mean()) > 0.01
    assert_equivariant(disagreement, C4, FAR * IMAGES, ATOL, act_out="invariant")


def cross(x: Tensor) -> Tensor:
    product: Tensor = torch.linalg.cross(x[:, 0], x[:, 1])
    return product


@pytest.mark.parametrize(
    ("action", "optimiser", "compose"),
    [
        (Cyclic(), "adamw", "weights"),
        (Cyclic(), "sgd", "weights"),
        (QuarterTurned(), "adam", "weights"),  # signs as well
        (QuarterTurned(), "adamw", "input"),
    ],
)
def test_a_cross_product_turns_with_its_factors(
    action: Group, optimiser: str, compose: Literal["input", "weights"]
) -> None:
    x = drawn(12, 2, 3)
    ensemble = OrbitClosed(mlp(6, 3), action, x, act_out=action.act, compose=compose)
    new = FAR * drawn(5, 2, 3, seed=1)
    for _ in trained(ensemble, x, cross(x), optimiser, loss=F.mse_loss):
        with torch.no_grad():
            assert_equivariant(ensemble, action, new, ATOL)
            with pytest.raises(AssertionError, match="differ by"):
                assert_equivariant(ensemble.members[0], action, new, 0.05)


@pytest.mark.parametrize(("optimiser", "compose"), [("sgd", "weights"), ("adam", "input")])
def test_rotations_that_are_no_permutations(
    optimiser: str, compose: Literal["input", "weights"]
) -> None:
    action, x = OnPoints(PlanarGroup(5, reflections=True)), drawn(12, 3, 2)
    ensemble = OrbitClosed(mlp(6, 2), action, x, act_out=action.act, compose=compose)
    target = x.sum(dim=1) * x.norm(dim=(1, 2))[:, None]
    for _ in trained(ensemble, x, target, optimiser, loss=F.mse_loss):
        with torch.no_grad():
            assert_equivariant(ensemble, action, FAR * x, ATOL)
    assert ensemble.deviation() < ATOL


def test_adam_does_break_the_law_of_composed_rotations() -> None:
    action, x = OnPoints(PlanarGroup(5)), drawn(12, 3, 2)
    ensemble = OrbitClosed(mlp(6, 2), action, x, act_out=action.act, compose="weights")
    # A training that `check` refuses.
    list(trained(ensemble, x, x.sum(dim=1), "adam", loss=F.mse_loss, checked=False))
    assert ensemble.deviation() > 1e-3
    with torch.no_grad(), pytest.raises(AssertionError, match="differ by"):
        assert_equivariant(ensemble, action, x, 1e-3)


def test_batches_that_are_not_whole_orbits_break_it() -> None:
    ensemble = OrbitClosed(mlp(64, 3), C4, IMAGES, compose="weights")
    optimiser = torch.optim.Adam(ensemble.parameters(), lr=0.01)
    for _ in range(3):
        optimiser.zero_grad()
        torch.stack([F.cross_entropy(m(IMAGES), LABELS) for m in ensemble.members]).sum().backward()
        optimiser.step()
    assert ensemble.deviation() > 1e-3
    assert off(ensemble, C4, IMAGES) > 1e-3


@pytest.mark.parametrize("compose", ["input", "weights"])
def test_the_first_trained_alone_and_carried_over_is_the_same_ensemble(compose: Any) -> None:
    whole = OrbitClosed(mlp(64, 3), D4, IMAGES, compose=compose)
    list(trained(whole, IMAGES, LABELS))
    alone = OrbitClosed(mlp(64, 3), D4, IMAGES, compose=compose)
    optimiser = torch.optim.Adam(alone.members[0].parameters(), lr=0.02)
    for step in range(20):
        first = 4 * step % 12
        x, y = alone.batch(IMAGES[first : first + 4], LABELS[first : first + 4])
        optimiser.zero_grad()
        F.cross_entropy(alone.members[0](x), y).backward()
        nn.utils.clip_grad_value_(alone.members[0].parameters(), 0.01)
        optimiser.step()
    assert alone.deviation() > 0.01
    alone.close()
    assert alone.deviation() == 0
    torch.testing.assert_close(alone.outputs(IMAGES), whole.outputs(IMAGES), rtol=0, atol=ATOL)


@pytest.mark.parametrize(
    ("build", "compose"), [(mlp(64, 3), "weights"), (mlp(64, 3), "input"), (cnn(3), "input")]
)
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_the_engine_keeps_it(
    build: Callable[[int], nn.Module],
    compose: Literal["input", "weights"],
    optimiser: Literal["adamw", "sgd"],
) -> None:
    ensemble = OrbitClosed(build, C4, IMAGES, compose=compose)
    plan = Plan(
        epochs=5, batch_size=4, lr=0.02, optimiser=optimiser, weight_decay=0.01, clip_norm=1.0,
        order="shared",
    )  # fmt: skip
    ensemble.check(plan=plan)
    state = start_ensemble(ensemble.member, range(4), plan)
    errors, before = [], ensemble.outputs(FAR * IMAGES)

    def measured(state: EnsembleState) -> None:
        for place, member in enumerate(ensemble.members):
            member.load_state_dict(state.stack.state_dict(place))
        errors.append(float(change(ensemble, C4, FAR * IMAGES).abs().max()))

    samples = Samples(IMAGES, LABELS)
    train_ensemble(
        state, samples, None, CrossEntropy(), augment=lambda x, y, _: ensemble.batch(x, y),
        on_step=measured,
    )  # fmt: skip
    assert len(errors) == 15
    assert max(errors) <= ATOL
    assert float((ensemble.outputs(FAR * IMAGES) - before).detach().abs().max()) > 0.01


def test_permuted_classes() -> None:
    # Classes are directions: a quarter turn takes each to the next.
    def turned(element: int, y: Tensor) -> Tensor:
        return y.roll(element, -1)

    ensemble = OrbitClosed(cnn(4), C4, IMAGES, act_out=turned)
    for _ in trained(ensemble, IMAGES, torch.eye(4).double()[torch.arange(12) % 4]):
        with torch.no_grad():
            assert_equivariant(ensemble, C4, FAR * IMAGES, ATOL, act_out=turned)


def test_an_answer_for_every_pixel_moves_with_the_image() -> None:
    def dense(seed: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.GELU(), nn.Conv2d(4, 3, 3, padding=1)
        ).double()

    labels = (IMAGES[:, 0] > 0).long() + (IMAGES[:, 0] > 1).long()  # integers move as well
    ensemble = OrbitClosed(dense, D4, IMAGES, act_out=D4.act)
    for _ in trained(ensemble, IMAGES, labels):
        with torch.no_grad():
            assert_equivariant(ensemble, D4, FAR * IMAGES, ATOL)


def test_float32_is_for_use() -> None:
    x = IMAGES.float()
    ensemble = OrbitClosed(lambda seed: cnn(3)(seed).float(), C4, x)
    list(trained(ensemble, x, LABELS))
    with torch.no_grad():
        assert_equivariant(ensemble, C4, x, 1e-5, act_out="invariant")


def test_the_seed_decides_and_torchs_random_state_stays() -> None:
    state = torch.get_rng_state()
    first, second, other = (
        OrbitClosed(mlp(64, 3), C4, IMAGES, seed=seed).outputs(IMAGES) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_members_can_be_made_one_by_one() -> None:
    ensemble = OrbitClosed(cnn(3), D4, IMAGES)
    made = [ensemble.member(place) for place in range(len(ensemble))]
    found = torch.stack([member(IMAGES) for member in made])
    assert torch.equal(found, ensemble.outputs(IMAGES))
    buffers = [{n: (b.shape, b.dtype) for n, b in member.named_buffers()} for member in made]
    assert all(other == buffers[0] for other in buffers)  # so they can be stacked
