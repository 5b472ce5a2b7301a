"""Members on whole orbits: what a step sees, members alone, the theorem, the orbit-closed law."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from geocore.pipeline.orbit_figures import closed_deviation, excess, measured, sizes, slope
from geocore.pipeline.orbit_tasks import task_of
from geocore.pipeline.orbit_training import closed_answers, member_answers, network
from tests.pipeline.orbit_jobs import params

CPU = torch.device("cpu")
TASKS = ["ising", "digits", "texture", "vector", "healpix"]


@pytest.mark.parametrize("name", TASKS)
def test_answers_are_those_of_members_alone(name: str) -> None:
    chosen = params(name, times=[0, 2])
    task = task_of(chosen, Path())
    together = member_answers(task, chosen, [5, 9, 2], True, CPU)
    asked = sum(map(len, task.asked.values()))
    assert together.shape == (2, 3, len(list(task.turns)), asked, task.outputs)
    alone = member_answers(task, chosen, [9], True, CPU)
    assert torch.allclose(together[:, 1:2], alone, atol=1e-4)
    start = network(chosen, task.shape, task.outputs, torch.float32)(9)
    with torch.no_grad():
        said = start(task.questions[0].float())
    assert torch.allclose(alone[0, 0, 0], said, atol=1e-5)


@pytest.mark.parametrize("augmented", [True, False])
def test_a_step_sees_samples_or_their_whole_orbits(augmented: bool) -> None:
    """By hand: full batches, plain torch."""
    chosen = params("ising", batch_size=8, times=[0, 4], optimiser="sgd", lr=0.1)
    task = task_of(chosen, Path())
    found = member_answers(task, chosen, [3], augmented, CPU)[-1, 0]
    model = network(chosen, task.shape, 1, torch.float64)(3)
    x, y = task.inputs, task.targets
    if augmented:
        x = torch.cat([x.rot90(k, (-2, -1)) for k in range(4)])
        y = y.repeat(4, 1)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(4):
        optimiser.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimiser.step()
    with torch.no_grad():
        said = model(task.questions.flatten(0, 1)).unflatten(0, task.questions.shape[:2])
    assert torch.allclose(found.double(), said, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        *((name, {}) for name in TASKS),
        ("digits", {"network": "cnn", "depth": 2, "order": 4}),
        ("texture", {"network": "mlp", "width": 8}),
    ],
)
def test_the_orbit_closed_law_holds_to_rounding(name: str, changes: dict[str, Any]) -> None:
    chosen = params(name, **changes)
    task = task_of(chosen, Path())
    answers = closed_answers(task, chosen, 7)
    assert answers.dtype == torch.float64 and answers.shape[:2] == (3, task.order)
    places = task.places[task.exact]
    for said in answers:
        on_orbit = said[:, places]
        if task.matrices is not None:
            on_orbit = torch.einsum("gba,mgnb->mgna", task.matrices[places], on_orbit)
        assert closed_deviation(on_orbit) < 1e-12
        assert closed_deviation(on_orbit[:1]) > 1e-3, "a member alone is far off"
    assert float((answers[0] - answers[-1]).abs().max()) > 1e-3, "it has learned"


def test_augmented_means_become_equivariant_and_others_do_not() -> None:
    chosen = params("ising", width=16, train=12, test=16, batch_size=6, times=[0, 40], lr=0.02)
    task = task_of(chosen, Path())
    counts = sizes(64)
    told = {}
    for augmented in (True, False):
        last = member_answers(task, chosen, range(64), augmented, CPU)[-1]
        found = [measured(last[:, :, :16], size, classes=False).deviation for size in counts]
        told[augmented] = slope(counts, found), excess(counts, found)
    (falls, ends), (flat, above) = told[True], told[False]
    assert falls == pytest.approx(-0.5, abs=0.1) and ends == pytest.approx(1, abs=0.35)
    assert flat is not None and above is not None and flat > -0.35 and above > 2


def test_networks_are_equal_in_both_dtypes() -> None:
    chosen = params("texture")
    single, double = (
        network(chosen, (3, 8, 8), 5, dtype)(4) for dtype in (torch.float32, torch.float64)
    )
    for one, two in zip(single.parameters(), double.parameters(), strict=True):
        assert torch.equal(one, two.float())
    assert isinstance(single[0], nn.Conv2d)  # type: ignore[index]
