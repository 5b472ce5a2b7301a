"""A training that was cut short anywhere ends with the bits of one that was not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from geocore.train.checkpoint import read_checkpoint, write_checkpoint
from geocore.train.loop import train
from geocore.train.objective import objective
from geocore.train.state import TrainState
from tests.train.pixels import CLASSES, MAPS, PerPixel, columns, pixel_params, write_dense
from tests.train.pixels import feeds as pixel_feeds
from tests.train.scenes import feeds, network, same, start, train_params

PARAMS = train_params(epochs=4, patience=3)  # 3 steps an epoch, dropout on


class KilledError(Exception):
    """Stands for kill -9: nothing is done after it."""


def go_on(state: TrainState, folder: Path, until: int | None = None, every: int = 1) -> None:
    def stop(state: TrainState) -> None:
        if state.step == until:
            raise KilledError

    def keep(state: TrainState) -> None:
        folder.mkdir(exist_ok=True)
        write_checkpoint(folder, state)

    train(state, *feeds(), PARAMS, checkpoint_every=every, on_checkpoint=keep, on_step=stop)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> TrainState:
    state = start(PARAMS)
    go_on(state, tmp_path_factory.mktemp("undisturbed") / "state")
    return state


# The kill comes before the checkpoint of its step: 2 is in the middle of an epoch, 4 goes on from
# the end of one, 12 is after the last step.
@pytest.mark.parametrize("kills", [[2], [4], [3, 5, 8, 11, 12]])
def test_resume_is_exact(tmp_path: Path, undisturbed: TrainState, kills: list[int]) -> None:
    folder = tmp_path / "state"
    for number, kill in enumerate([*kills, None]):
        state = start(PARAMS, network(seed=7 + number))  # whatever it begins with is replaced
        torch.rand(number + 1)
        if folder.exists():
            read_checkpoint(folder, state)
            assert state.step == kills[number - 1] - 1
        elif number == 0:
            state = start(PARAMS)
        if kill is None:
            go_on(state, folder)
        else:
            with pytest.raises(KilledError):
                go_on(state, folder, until=kill)
    assert same(state, undisturbed)
    assert len(state.curve) == 4 and state.step == 12


def test_the_interval_changes_nothing(tmp_path: Path, undisturbed: TrainState) -> None:
    state = start(PARAMS)
    go_on(state, tmp_path / "state", every=5)
    state.rng = undisturbed.rng  # of the last checkpoint, which came earlier
    assert same(state, undisturbed)


def test_equal_states_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        go_on(start(PARAMS), tmp_path / name)
    for file in ("state.safetensors", "state.json"):
        first, second = ((tmp_path / name / file).read_bytes() for name in ("first", "second"))
        assert first == second


def test_another_networks_checkpoint_is_refused(tmp_path: Path) -> None:
    go_on(start(PARAMS), tmp_path / "state")
    other = start(PARAMS, torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="the state's weights are those of another network"):
        read_checkpoint(tmp_path / "state", other)


@pytest.mark.parametrize("file", ["state.safetensors", "state.json"])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, file: str) -> None:
    go_on(start(PARAMS), tmp_path / "state")
    path = tmp_path / "state" / file
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match=r"expected a checkpoint$"):
        read_checkpoint(tmp_path / "state", start(PARAMS))


@pytest.mark.parametrize("task", ["segmentation", "depth"])
def test_resume_is_exact_on_pixels(tmp_path: Path, task: str) -> None:
    """A batch has its own number of pixels that count: the epoch's sums come back as well."""
    params = pixel_params(task, batch_size=3)
    training, validation = pixel_feeds(write_dense(tmp_path / "data", MAPS, columns(MAPS)), task)
    learned = objective(params, CLASSES, training, "data")

    def fit(state: TrainState, until: int | None = None) -> TrainState:
        def stop(state: TrainState) -> None:
            if state.step == until:
                raise KilledError

        def keep(state: TrainState) -> None:
            folder.mkdir(exist_ok=True)
            write_checkpoint(folder, state)

        train(
            state, training, validation, params, objective=learned, checkpoint_every=1,
            on_checkpoint=keep, on_step=stop,
        )  # fmt: skip
        return state

    folder = tmp_path / "whole"
    whole = fit(start(params, PerPixel(learned.outputs)))
    folder = tmp_path / "cut"
    with pytest.raises(KilledError):
        fit(start(params, PerPixel(learned.outputs)), until=6)  # an epoch has three steps
    state = start(params, PerPixel(learned.outputs))
    read_checkpoint(folder, state)
    assert state.step == 5 and state.batch == 2 and state.count > 0
    assert same(fit(state), whole)


def _weight(state: TrainState) -> None:
    state.optimiser.param_groups[0]["params"][0].data.view(-1)[0] = float("nan")


def _moment(state: TrainState) -> None:
    next(iter(state.optimiser.state.values()))["exp_avg_sq"].view(-1)[0] = float("inf")


def _loss(state: TrainState) -> None:
    state.loss_sum = float("nan")


def _best(state: TrainState) -> None:
    next(iter(state.best_weights.values())).view(-1)[0] = float("nan")


@pytest.mark.parametrize("spoil", [_weight, _moment, _loss, _best])
def test_a_state_that_is_not_finite_is_none(
    tmp_path: Path, spoil: Callable[[TrainState], None]
) -> None:
    state = start(PARAMS)
    go_on(state, tmp_path / "state")
    folder = tmp_path / "spoilt"
    folder.mkdir()
    spoil(state)
    with pytest.raises(FloatingPointError, match=r"is not finite|best\..* holds NaN"):
        write_checkpoint(folder, state)
    assert list(folder.iterdir()) == []


def test_running_statistics_are_looked_at_and_a_mask_may_be_infinite(tmp_path: Path) -> None:
    norm = torch.nn.BatchNorm1d(2)
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), norm)
    model.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    state = start(PARAMS, model)
    write_checkpoint(tmp_path, state)
    read_checkpoint(tmp_path, state)
    assert norm.running_var is not None
    norm.running_var.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match=r"model\.1\.running_var holds NaN"):
        write_checkpoint(tmp_path, state)


@pytest.mark.parametrize(
    "change",
    [
        {"step": "3"}, {"step": 3.5}, {"step": True}, {"step": None}, {"curve": {}},
        {"loss_sum": []}, {"version": "2"},
    ],
)  # fmt: skip
def test_numbers_of_another_kind_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    write_checkpoint(tmp_path, start(PARAMS))
    about = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / "state.json").write_text(json.dumps({**about, **change}))
    with pytest.raises(ValueError, match=rf"{next(iter(change))} is .*; expected a checkpoint's$"):
        read_checkpoint(tmp_path, start(PARAMS))


@pytest.mark.parametrize("text", ["[]", "3", "[" * 100_000])
def test_numbers_that_are_no_mapping_are_refused(tmp_path: Path, text: str) -> None:
    write_checkpoint(tmp_path, start(PARAMS))
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(ValueError, match=r"; expected a checkpoint$"):
        read_checkpoint(tmp_path, start(PARAMS))


def test_whole_numbers_may_stand_for_others(tmp_path: Path) -> None:
    state = start(PARAMS)
    state.count = 3
    write_checkpoint(tmp_path, state)
    again = start(PARAMS)
    read_checkpoint(tmp_path, again)
    assert again.count == 3
