"""Networks that learn a circle stretch space across it: the figures of arXiv:2306.12548's toy."""

from __future__ import annotations

import pytest
import torch

from geocore.ensembles.engine import Samples, start_ensemble, train_ensemble
from geocore.ensembles.losses import SquaredError
from geocore.ensembles.plan import Plan
from geocore.explain.circle import (
    RADIUS,
    CircleFigures,
    circle_figures,
    circle_network,
    circle_samples,
)
from geocore.explain.hidden import HiddenMap
from geocore.explain.ridges import find_ridges
from geocore.explain.section import Section, exponent_field
from geocore.measure.ranking import auroc


def trained(
    width: int, members: int, *, epochs: int = 20
) -> tuple[CircleFigures, dict[str, torch.Tensor]]:
    """Of L = 8 layers: SGD on the squared error, 4,000 points in batches of 40."""
    plan = Plan(epochs=epochs, batch_size=40, lr=0.1, optimiser="sgd", schedule="cosine")
    state = start_ensemble(lambda seed: circle_network(8, width, seed), range(members), plan)
    train_ensemble(state, Samples(*circle_samples(4000, 0)), None, SquaredError())
    stack = state.stack
    weights = {name: value.detach() for name, value in stack.named(stack.weights).items()}
    return circle_figures(circle_network(8, width, 0), weights), weights


def test_narrow_networks_stretch_across_the_boundary() -> None:
    figures, weights = trained(10, 4)
    assert float(figures.accuracy.min()) >= 0.97
    assert float(figures.contrast.mean()) >= 6
    assert float(figures.alignment.min()) >= 0.99
    near = figures.near
    assert min(auroc(field[~near], field[near]) for field in figures.exponent) >= 0.97
    # Ridges of the first network: one line along the circle.
    network = circle_network(8, 10, 0)
    network.load_state_dict({name: value[0] for name, value in weights.items()})
    field = exponent_field(HiddenMap(network), Section.plane(1.0, 101))
    ridges = find_ridges(field, floor=2.0, drop=0.002)
    off = (ridges.position.norm(dim=1) - RADIUS).abs()
    assert len(off) > 100 and float(off.median()) < 0.02


def test_before_training_there_is_no_ridge() -> None:
    figures = circle_figures(circle_network(8, 10, 0))
    assert figures.contrast.ndim == 0 and abs(float(figures.contrast)) < 2
    near = figures.near
    assert auroc(figures.exponent[~near], figures.exponent[near]) < 0.8


@pytest.mark.slow
def test_contrast_falls_with_width() -> None:
    contrasts = [trained(n, members)[0].contrast for n, members in ((10, 4), (50, 4), (250, 2))]
    means = [float(contrast.mean()) for contrast in contrasts]
    assert means[0] - 0.5 > means[1] and means[1] - 0.5 > means[2]


def test_half_of_the_samples_are_inside() -> None:
    x, y = circle_samples(4000, 0)
    assert abs(float((y > 0).float().mean()) - 0.5) < 3 * 0.5 / 4000**0.5
    assert torch.equal(y[:, 0] > 0, x.norm(dim=1) < RADIUS)
    with pytest.raises(ValueError, match="depth, width are 0, 3; expected at least 1"):
        circle_network(0, 3, 0)
