"""Several processes train as one does: gradients, whole trainings, resumed with other numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from geocore.errors import UserError
from geocore.train.classification import Classification
from geocore.train.feed import Feed
from geocore.train.processes import Group
from geocore.train.randomness import epoch_order
from geocore.train.together import _Share, _SharedFeed, train_together
from tests.train.scenes import CPU, blobs, feeds, start, train_params
from tests.train.spawned import begin, spawn
from tests.train.together import SCENES, go_on, learn_all

PRECISE = {"double": 1e-12}  # in float64; the others are in float32, and equal to 1e-6
# Adam divides a gradient that is zero but for rounding, that of the keys' bias, by its own size.
# No output depends on it: in these two the weights wander where all figures stay.
WANDERING = ("encoder", "few")
OTHERS = ("2", "3", "then 1", "then 3")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All scenes by 1, 2 and 3 processes; what 2 began goes on with 1, and then with 3."""
    root = tmp_path_factory.mktemp("together")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        learn_all(None, root / "1")
        spawn(2, "tests.train.together", "by_two", str(root))
        go_on(None, root / "2", root / "then 1")
        spawn(3, "tests.train.together", "by_three", str(root))
    finally:
        torch.set_num_threads(threads)
    return root


def flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])


def ended(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    numbers = json.loads((folder / "state.json").read_text())
    return load_file(folder / "state.safetensors"), numbers


@pytest.mark.parametrize("processes", ["2", "3"])
@pytest.mark.parametrize("scene", SCENES)
def test_gradients_are_those_of_one_process(root: Path, scene: str, processes: str) -> None:
    one, many = (load_file(root / n / scene / "gradients.safetensors") for n in ("1", processes))
    assert one.keys() == many.keys()
    size = flat(one).norm()
    assert size > 0
    assert (flat(one) - flat(many)).norm() <= PRECISE.get(scene, 1e-6) * size


@pytest.mark.parametrize("processes", OTHERS)
@pytest.mark.parametrize("scene", SCENES)
def test_trainings_are_those_of_one_process(root: Path, scene: str, processes: str) -> None:
    """Also from a checkpoint that another number of processes wrote."""
    tolerance = PRECISE.get(scene, 1e-6)
    (weights, one), (others, many) = (ended(root / n / scene) for n in ("1", processes))
    assert one["step"] == many["step"] >= 9
    assert len(one["curve"]) == len(many["curve"]) == 3
    for row, other in zip(one["curve"], many["curve"], strict=True):
        assert other == pytest.approx(row, rel=tolerance, abs=tolerance)
    assert one["best"]["epoch"] == many["best"]["epoch"]
    if scene not in WANDERING:
        learned = {name: value for name, value in weights.items() if name.startswith("model.")}
        for name, value in learned.items():
            assert (value - others[name]).abs().max() <= tolerance, name


@pytest.mark.parametrize("scene", SCENES)
def test_dropout_draws_what_it_draws_in_one_process(root: Path, scene: str) -> None:
    """After all draws the generators are in the same state, to the last bit."""
    on_the_way = [ended(root / n / scene / "kept")[0]["rng.cpu"] for n in ("1", "2", "3")]
    at_the_end = [ended(root / n / scene)[0]["rng.cpu"] for n in ("1", *OTHERS)]
    assert not torch.equal(on_the_way[0], at_the_end[0])
    assert all(torch.equal(on_the_way[0], state) for state in on_the_way[1:])
    assert all(torch.equal(at_the_end[0], state) for state in at_the_end[1:])


def test_who_has_the_bad_sample_names_it(root: Path) -> None:
    sample = int(epoch_order(20, 0, 0)[6])
    assert re.fullmatch(
        rf"training stopped at step 0, epoch 0, .*: sample {sample} is not finite; .*",
        (root / "spoiled0").read_text(),
    )
    assert not (root / "spoiled1").exists()  # it is told once


def test_a_process_that_dies_ends_the_training_with_a_line(tmp_path: Path) -> None:
    processes = begin(2, "tests.train.together", "lost", str(tmp_path))
    told = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, -9], told
    assert re.fullmatch(
        r"4 training by 2 processes: process 0 lost the others \(.+\); "
        r"run it again and it goes on",
        (tmp_path / "told").read_text(),
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_are_the_batch(size: int) -> None:
    for count in (1, 2, 5, 7, 20):
        positions = torch.randperm(30)[:count]
        parts = []
        for rank in range(size):
            share = _Share(Group(rank, size, CPU), nn.Linear(1, 1))
            own = share.enter(positions)
            assert len(own) >= 1  # a stand-in where it has none
            assert sum(share.counts) == count
            assert max(share.counts) - min(share.counts) <= 1
            parts.append(own[: share.rows])
        assert torch.equal(torch.cat(parts), positions)


def test_each_reads_its_share_alone() -> None:
    images, labels = blobs(20, 1)
    read: list[int] = []

    def take(positions: Tensor) -> Tensor:
        read.extend(positions.tolist())
        return images[positions]

    feed = Feed(take, lambda at: labels[at], torch.arange(100, 120), CPU)
    share = _Share(Group(1, 3, CPU), nn.Linear(1, 1))
    shared = _SharedFeed(feed, share)
    batch = torch.tensor([4, 9, 2, 17, 0, 5, 8])
    found, target = shared(batch)
    assert read == [2, 17]
    assert torch.equal(found, images[[2, 17]]) and torch.equal(target, labels[[2, 17]])
    assert shared.ids[batch].tolist() == [102, 117]
    assert len(shared) == 20


def test_batch_norm_is_refused() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    params = train_params()
    with pytest.raises(UserError, match=r"layer 2 is a batch norm, .* found 2 processes"):
        train_together(
            start(params, model), *feeds(), params,
            group=Group(0, 2, CPU), objective=Classification(3),
        )  # fmt: skip
