"""A chunk of an ensemble in a process of its own: ``python -m geocore.ensembles.worker``.

The request is a line of JSON on standard input. Answers are lines of JSON on standard output:
``{"step", "told"}`` now and then, at the end ``{"done"}`` or ``{"error"}``. When
standard input ends, whoever asked is gone, and so is the worker.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch

from geocore.config.model import ModelParams
from geocore.config.train import TrainParams
from geocore.data.table import Table
from geocore.ensembles.chunk import train_chunk
from geocore.ensembles.ensemble_state import EnsembleState
from geocore.errors import UserError
from geocore.runs.slots import Slots
from geocore.runs.store import Store
from geocore.train.device import resolve

_TOLD_EVERY = 0.5  # seconds


def main() -> int:
    """Train what the request asks for; the exit code of a user's mistake is 2."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asked
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_watch, daemon=True).start()
    try:
        _answer(done=_train(request))
    except UserError as error:
        _answer(error=list(error.lines))
        return error.exit_code
    return 0


def _train(request: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(request["threads"])
    told = [0.0]

    def tell(state: EnsembleState) -> None:
        if time.monotonic() - told[0] > _TOLD_EVERY:
            told[0] = time.monotonic()
            _answer(step=state.step, told=state.headline())

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


def _answer(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def _watch() -> None:
    """End this process once the other end of standard input is closed."""
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
