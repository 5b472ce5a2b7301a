"""A chunk on disk: each member as if it were alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from geocore.data.table import Table
from geocore.ensembles.chunk import train_chunk, weights_name
from geocore.ensembles.ensemble_state import EnsembleState
from geocore.errors import UserError
from geocore.models.registry import build
from geocore.runs.closure import import_closure
from geocore.runs.slots import Slots
from geocore.runs.store import Store
from geocore.train.classification import Classification
from geocore.train.feed import table_feed
from geocore.train.loop import train
from geocore.train.state import TrainState
from tests.models.encoders import model_params
from tests.pipeline.test_train import write_table
from tests.train.scenes import CPU, train_params

MODEL = model_params(depths=(1, 1), heads=(1, 2), dropout=0.3)
CLASSES = Classification(3)
SEEDS = (11, 5, 8)
PARAMS = train_params(epochs=2)


def alone(seed: int, table: Table) -> TrainState:
    """What ``train`` makes of a seed."""
    params = PARAMS.model_copy(update={"seed": seed})
    state = TrainState.start(build(MODEL, table.info.type, 3, seed), params, CPU)
    train(state, table_feed(table, "train", CPU), table_feed(table, "val", CPU), params)
    return state


def test_a_member_is_the_training_of_its_seed(tmp_path: Path) -> None:
    write_table(tmp_path)  # 20 samples to train, 10 to validate, 10 to test
    table, folder = Table.open(tmp_path / "data/healpix"), tmp_path / "chunk"
    folder.mkdir()
    told: list[int] = []
    values = train_chunk(
        folder, SEEDS, MODEL, PARAMS, table, CPU, on_step=lambda state: told.append(state.step)
    )
    curves = json.loads((folder / "curves.json").read_text())
    assert len(list(folder.iterdir())) == 4
    assert told == [1, 2, 3, 4, 5, 6]
    for place, seed in enumerate(SEEDS):
        state = alone(seed, table)
        weights = load_file(folder / weights_name(place))
        assert weights.keys() == state.best_weights.keys()
        for name, value in weights.items():
            # Dropout included. Where kernels end with other numbers of lanes, a unit in the last
            # place: not here, on x86, but it may be.
            torch.testing.assert_close(value, state.best_weights[name], atol=1e-7, rtol=1e-6)
        for row, own in zip(curves[place], state.curve, strict=True):
            assert row == pytest.approx(own, rel=1e-6)
        assert values["training"][place] == pytest.approx(
            {"seed": seed, **state.summary(CLASSES.names)}, rel=1e-6
        )


class KilledError(Exception):
    """As if the process had been killed."""


class Interrupted:
    """A chunk that is trained with checkpoints in ``store``, beside one that nothing befalls."""

    def __init__(self, root: Path, checkpoint_every: int) -> None:
        write_table(root)
        self.table, self.store = Table.open(root / "data/healpix"), Store(root / "store")
        self.whole, self.folder = root / "whole", root / "chunk"
        for path in (self.whole, self.folder):
            path.mkdir()
        self.expected = train_chunk(self.whole, SEEDS, MODEL, PARAMS, self.table, CPU)
        self._every = checkpoint_every

    def run(self, on_step: Callable[[EnsembleState], None]) -> dict[str, Any]:
        return train_chunk(
            self.folder, SEEDS, MODEL, PARAMS, self.table, CPU,
            slots=Slots(self.store, "ab" * 16), checkpoint_every=self._every, on_step=on_step,
        )  # fmt: skip

    def goes_on_with(self, steps: list[int]) -> None:
        """Another run takes these steps, and gives what it would have without trouble."""
        taken: list[int] = []
        assert self.run(lambda state: taken.append(state.step)) == self.expected
        assert taken == steps
        for path in self.whole.iterdir():
            assert path.read_bytes() == (self.folder / path.name).read_bytes(), path.name


def test_killed_it_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    chunk = Interrupted(tmp_path, checkpoint_every=2)

    def kill(state: EnsembleState) -> None:
        if state.step == 5:
            raise KilledError

    with pytest.raises(KilledError):
        chunk.run(kill)
    chunk.goes_on_with([5, 6])


def test_a_state_that_is_not_finite_is_kept_by_none(tmp_path: Path) -> None:
    chunk = Interrupted(tmp_path, checkpoint_every=1)

    def spoil(state: EnsembleState) -> None:
        if state.step == 4:
            state.stack.weights[0].data[1, 0] = float("nan")

    with pytest.raises(UserError, match=f"of the member of seed {SEEDS[1]} stopped at step 4"):
        chunk.run(spoil)
    assert sorted(piece.values["step"] for piece in chunk.store.pieces()) == [2, 3]
    chunk.goes_on_with([4, 5, 6])


def test_names_count_from_nought() -> None:
    assert [weights_name(place) for place in (0, 42, 1000)] == [
        "member-000.safetensors",
        "member-042.safetensors",
        "member-1000.safetensors",
    ]


def test_no_measure_decides_a_chunk() -> None:
    # What is measured on an ensemble may change without training it again.
    closure = import_closure(["geocore.ensembles.chunk"])
    assert "geocore.models.healpix_encoder" in closure and "geocore.train.loop" in closure
    # Mean IoU is not only measured: it decides which weights are the best.
    decides = ("geocore.measure", "geocore.measure.segmentation")
    above = ("geocore.measure", "geocore.pipeline")
    assert [name for name in closure if name.startswith(above)] == list(decides)
    assert "geocore.ensembles.mixture" not in closure
