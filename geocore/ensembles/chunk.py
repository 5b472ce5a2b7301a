"""A few members of an ensemble, trained together into a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from geocore.config.model import ModelParams
from geocore.config.train import TrainParams
from geocore.data.table import Table
from geocore.ensembles.engine import start_ensemble, train_ensemble
from geocore.ensembles.ensemble_state import EnsembleState
from geocore.ensembles.losses import OfObjective
from geocore.ensembles.plan import Plan
from geocore.runs.atomic import write_json
from geocore.runs.slots import Slots
from geocore.train.checkpoint import read_checkpoint, write_checkpoint
from geocore.train.feed import table_feed
from geocore.train.loop import steps_per_epoch
from geocore.train.network import network
from geocore.train.objective import objective

__all__ = ["train_chunk", "weights_name"]


def train_chunk(
    folder: Path,
    seeds: Sequence[int],
    model: ModelParams,
    params: TrainParams,
    table: Table,
    device: torch.device,
    *,
    slots: Slots | None = None,
    checkpoint_every: int = 0,
    on_step: Callable[[EnsembleState], None] | None = None,
) -> dict[str, Any]:
    """Train a member a seed, each as a training of that seed alone, and write them into ``folder``.

    ``seed`` decides a member's initial weights, order of the data and dropout; ``params.seed`` is
    not used. Members learn from the ``train`` split of the table's maps, and are stopped by its
    ``val`` split. With ``slots`` a checkpoint is left every so many steps, and the newest that is
    there is gone on from.

    There is ``weights_name(place)`` for the best weights of each, by its place in ``seeds``, and
    ``curves.json``, a list of a curve a member. Returns ``{"training": [...]}``: how each training
    went. ``on_step(state)`` is called after every step of all.
    """
    training, validation = (
        table_feed(table, split, device, params.task) for split in ("train", "val")
    )
    learned = objective(params, table.info.classes, training, str(table.folder))

    def build(seed: int) -> torch.nn.Module:
        return network(model, table.info.type, learned, seed)

    state = start_ensemble(build, seeds, Plan.of(params), device)
    if slots is not None and (found := slots.newest()) is not None:
        read_checkpoint(found.folder, state)

    def keep(state: EnsembleState) -> None:
        if slots is not None:
            slots.save(state.step, lambda place: write_checkpoint(place, state))

    members = train_ensemble(
        state,
        training,
        validation,
        OfObjective(learned),
        checkpoint_every=checkpoint_every,
        on_checkpoint=keep,
        on_step=on_step,
    )
    per_epoch = steps_per_epoch(len(training), params)
    for place, member in enumerate(members):
        weights = {name: value.cpu().contiguous() for name, value in member.weights.items()}
        save_file(weights, folder / weights_name(place))
    write_json(folder / "curves.json", [member.curve for member in members])
    return {
        "training": [
            {"seed": member.seed, **member.summary(learned.names, per_epoch)} for member in members
        ]
    }


def weights_name(place: int) -> str:
    """The file of a member's weights: ``member-007.safetensors``."""
    return f"member-{place:03d}.safetensors"
