"""Chunks of an ensemble in processes of their own, several at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import geocore
from geocore.config.model import ModelParams
from geocore.config.train import TrainParams
from geocore.errors import UserError
from geocore.runs.slots import Slots

__all__ = ["Workers"]

_HOME = Path(geocore.__file__).parents[1]


@dataclass
class Workers:
    """Processes that train chunks of one ensemble, on the maps of the table in ``table``.

    A process and not a thread, as torch has one random state a process. Leaving the ``with`` block
    ends those that still run; they end too when this process does, however it ends.
    """

    table: Path
    model: ModelParams
    params: TrainParams
    device: str
    threads: int
    _running: set[subprocess.Popen[str]] = field(default_factory=set)
    _ended: bool = False

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended = True  # also for a thread that is about to start one
        for process in list(self._running):
            process.kill()

    def train_chunk(
        self,
        folder: Path,
        seeds: Sequence[int],
        on_step: Callable[[int, str], None],
        *,
        slots: Slots | None = None,
        checkpoint_every: int = 0,
    ) -> dict[str, Any]:
        """What ``geocore.ensembles.chunk.train_chunk`` does and returns, to the last bit.

        ``on_step(step, headline)`` is called now and then. Raises ``UserError`` as it does,
        ``RuntimeError`` if the process died.
        """
        request = {
            "table": str(self.table.resolve()),
            "folder": str(folder.resolve()),
            "seeds": list(seeds),
            "model": self.model.model_dump(mode="json"),
            "train": self.params.model_dump(mode="json"),
            "device": self.device,
            "threads": self.threads,
            "checkpoints": None
            if slots is None
            else {"store": str(slots.store.root), "key": slots.work, "every": checkpoint_every},
        }
        path = os.pathsep.join([str(_HOME), *filter(None, [os.environ.get("PYTHONPATH")])])
        process = subprocess.Popen(
            [sys.executable, "-m", "geocore.ensembles.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(self.threads)},
        )
        self._running.add(process)
        try:
            if self._ended:
                raise RuntimeError("the workers of the ensemble were ended")
            return _converse(process, json.dumps(request), on_step)
        finally:
            process.kill()
            process.wait()
            self._running.discard(process)


def _converse(
    process: subprocess.Popen[str],
    request: str,
    on_step: Callable[[int, str], None],
) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None  # both are pipes
    with process.stdin as asked, process.stdout as answers:
        with suppress(BrokenPipeError):  # then there is no answer either
            asked.write(request + "\n")
            asked.flush()
        for line in answers:
            answer = json.loads(line)
            if "done" in answer:
                done: dict[str, Any] = answer["done"]
                return done
            if "error" in answer:
                raise UserError(*answer["error"])
            on_step(answer["step"], answer["told"])
    code = process.wait()
    raise RuntimeError(f"a worker of the ensemble ended with code {code}; expected its members")
