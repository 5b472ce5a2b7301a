"""Tasks: groups that are groups, targets that follow, orbits in the order that is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from geocore.config.orbits import OrbitsParams
from geocore.errors import UserError
from geocore.groups.orbit import orbit
from geocore.pipeline.orbit_task import OrbitTask, PartOf, Turned
from geocore.pipeline.orbit_tasks import energies, task_of
from tests.pipeline.orbit_jobs import params


def task(name: str, root: Path = Path(), **changes: Any) -> OrbitTask:
    return task_of(params(name, **changes), root)


def test_quarter_turns_permute_the_orbit_exactly() -> None:
    image = torch.rand(3, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    turned = orbit(Turned(16), image)
    for quarter in range(4):
        found = Turned(16).act(4 * quarter, turned)
        assert torch.equal(found, turned.roll(-4 * quarter, 0))
    assert torch.equal(orbit(Turned(8), image), turned[::2])
    assert not torch.allclose(Turned(16).act(1, turned[3]), turned[4], atol=1e-3), "interpolated"
    with pytest.raises(ValueError, match="n is 6; expected a multiple of 4"):
        Turned(6)


def test_a_part_acts_as_the_whole() -> None:
    x = torch.rand(2, 8, 8, dtype=torch.float64)
    part = PartOf(Turned(8), torch.arange(0, 8, 2), "C4")
    assert list(part) == [0, 2, 4, 6] and torch.equal(orbit(part, x), orbit(Turned(4), x))


def test_energies() -> None:
    up = torch.ones(1, 4, 4, dtype=torch.float64)
    board = up.clone()
    board[:, ::2, ::2] = board[:, 1::2, 1::2] = -1
    ground = 32 / 32**0.5
    assert energies(torch.cat([up, board]))[:, 0].tolist() == pytest.approx([-ground, ground])
    drawn = 2.0 * torch.randint(2, (20000, 5, 5), generator=torch.Generator().manual_seed(0)) - 1
    found = energies(drawn)
    # Standard errors of 20,000: .007 of the mean, .010 of the variance.
    assert float(found.mean()) == pytest.approx(0, abs=0.03)
    assert float(found.var()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", ["ising", "digits", "texture", "vector", "healpix"])
def test_every_task_is_closed_under_its_group(name: str) -> None:
    found = task(name)
    x, y = found.orbits
    order = len(found.places[found.trained])
    assert x.shape == (len(found.inputs), order, *found.shape)
    assert torch.equal(x[:, 0], found.inputs) and torch.equal(y[:, 0], found.targets)
    elements = len(list(found.turns))
    asked = sum(map(len, found.asked.values()))
    assert found.questions.shape == (elements, asked, *found.shape)
    assert torch.equal(found.questions[0, found.rows("test")], found.asked["test"])
    assert found.places[found.trained][0] == found.places[found.exact][0] == 0
    # The exact group permutes each orbit that is trained on: the sorted rows stay.
    exact = found.part(found.exact)
    for element in list(exact)[1:3]:
        moved = exact.act(element, x[0])
        rows = {tuple(row) for row in x[0].flatten(1).tolist()}
        assert {tuple(row) for row in moved.flatten(1).tolist()} == rows


def test_targets_follow() -> None:
    found = task("vector")
    x, y = found.orbits
    assert torch.allclose(torch.linalg.cross(x[..., 0, :], x[..., 1, :]), y, atol=1e-12)
    sampled = found.places["SO(3)"]
    assert len(sampled) == 4 and sampled[0] == 0
    for place in sampled.tolist():
        turned = found.part("SO(3)").act(place, found.inputs)
        follows = torch.linalg.cross(turned[:, 0], turned[:, 1])
        assert torch.allclose(follows, found.act_out(place, found.targets), atol=1e-12)
    ising = task("ising")
    x, y = ising.orbits
    assert torch.allclose(energies(x.flatten(0, 1)), y.flatten(0, 1), atol=1e-12)


def test_the_digest_is_that_of_the_numbers() -> None:
    assert task("ising").digest == task("ising", members=5).digest
    assert len({task("ising").digest, task("ising", seed=2).digest, task("ising", test=7).digest,
                task("vector").digest}) == 4  # fmt: skip


def test_refusals() -> None:
    with pytest.raises(
        UserError, match=r"orbits\.network is cnn for images of 10 pixels; expected a"
    ):
        task("texture", network="cnn", image_size=10)
    with pytest.raises(TypeError, match="params is OrbitsParams; expected those of a task"):
        task_of(OrbitsParams(task="ising"), Path())
