"""Chunks of an ensemble in processes of their own, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from geocore.config.model import ModelParams
from geocore.config.train import TrainParams
from geocore.ensembles.conversation import Process, ask, opened
from geocore.runs.slots import Slots

__all__ = ["Workers"]


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
    _running: set[Process] = field(default_factory=set)
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
        variables = {"OMP_NUM_THREADS": str(self.threads)}
        with opened("geocore.ensembles.worker", variables) as process:
            self._running.add(process)
            try:
                if self._ended:
                    raise RuntimeError("the workers of the ensemble were ended")
                found: dict[str, Any] = ask(
                    process, request, lambda told: on_step(*told), "a worker of the ensemble"
                )
                return found
            finally:
                self._running.discard(process)
