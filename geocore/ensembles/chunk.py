"""A few members of an ensemble, trained one after the other into a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from geocore.config.model import ModelParams
from geocore.config.train import TrainParams
from geocore.data.table import Table
from geocore.ensembles.members import train_member
from geocore.runs.atomic import write_json
from geocore.train.feed import table_feed
from geocore.train.objective import objective
from geocore.train.state import TrainState

__all__ = ["train_chunk", "weights_name"]


def train_chunk(
    folder: Path,
    seeds: Sequence[int],
    model: ModelParams,
    params: TrainParams,
    table: Table,
    device: torch.device,
    *,
    on_step: Callable[[int, TrainState], None] = lambda place, state: None,
) -> dict[str, Any]:
    """Train a member a seed, as ``train_member`` does, and write them into ``folder``.

    They learn from the ``train`` split of the table's maps, and are stopped by its ``val`` split.

    There is ``weights_name(place)`` for the best weights of each, by its place in ``seeds``, and
    ``curves.json``, a list of a curve a member. Returns ``{"training": [...]}``: how each training
    went. ``on_step(place, state)`` is called after every optimiser step.
    """
    training, validation = (
        table_feed(table, split, device, params.task) for split in ("train", "val")
    )
    learned = objective(params, table.info.classes, training, str(table.folder))
    curves, went = [], []
    for place, seed in enumerate(seeds):
        state = train_member(
            model,
            table.info.type,
            learned,
            training,
            validation,
            params,
            seed,
            on_step=lambda state, place=place: on_step(place, state),  # type: ignore[misc]
        )
        weights = {name: value.cpu().contiguous() for name, value in state.best_weights.items()}
        save_file(weights, folder / weights_name(place))
        curves.append(state.curve)
        went.append({"seed": seed, **state.summary(learned.names)})
    write_json(folder / "curves.json", curves)
    return {"training": went}


def weights_name(place: int) -> str:
    """The file of a member's weights: ``member-007.safetensors``."""
    return f"member-{place:03d}.safetensors"
