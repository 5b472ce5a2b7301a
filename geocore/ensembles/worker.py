"""A chunk of an ensemble in a process of its own: ``python -m geocore.ensembles.worker``.

How it is asked and answers: ``geocore.ensembles.conversation``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch

from geocore.config.model import ModelParams
from geocore.config.train import TrainParams
from geocore.data.table import Table
from geocore.ensembles.chunk import train_chunk
from geocore.ensembles.conversation import Say, serve
from geocore.ensembles.ensemble_state import EnsembleState
from geocore.runs.slots import Slots
from geocore.runs.store import Store
from geocore.train.device import resolve

_TOLD_EVERY = 0.5  # seconds


def main() -> int:
    """Train what the request asks for; the exit code of a user's mistake is 2."""
    return serve(_train)


def _train(request: dict[str, Any], say: Say) -> dict[str, Any]:
    torch.set_num_threads(request["threads"])
    told = [0.0]

    def tell(state: EnsembleState) -> None:
        if time.monotonic() - told[0] > _TOLD_EVERY:
            told[0] = time.monotonic()
            say([state.step, state.headline()])

    kept = request["checkpoints"]
    slots = None if kept is None else Slots(Store(Path(kept["store"])), kept["key"])

    return train_chunk(
        Path(request["folder"]),
        request["seeds"],
        ModelParams.read(request["model"]),
        TrainParams.read(request["train"]),
        Table.open(Path(request["table"])),
        resolve(request["device"]),
        slots=slots,
        checkpoint_every=0 if kept is None else kept["every"],
        on_step=tell,
    )


if __name__ == "__main__":
    sys.exit(main())
