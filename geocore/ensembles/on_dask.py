"""Chunks of an ensemble on the workers of a Dask cluster, where one machine is too small.

A chunk is one task. Its worker reads the table at the same path as here (a shared file system), and
what it trained comes back as plain bytes.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from geocore.config.model import ModelParams
from geocore.config.train import TrainParams
from geocore.data.table import Table
from geocore.ensembles.apart import Workers
from geocore.errors import UserError
from geocore.runs.closure import code_digest
from geocore.runs.cluster import Cluster, made_by, other_than
from geocore.runs.digest import digest_file
from geocore.runs.slots import Slots
from geocore.runs.store import Store

__all__ = ["AT_ONCE", "DaskWorkers", "train_chunk"]

AT_ONCE = 256  # chunks that the scheduler is asked for at a time
_CODE = ("geocore.ensembles.chunk",)

OnStep = Callable[[int, str], None]


class _AbandonedError(Exception):
    """Nobody waits for the task any more."""


class DaskWorkers:
    """A cluster that trains chunks of one ensemble, on the maps of the table in ``table``.

    The interface is that of ``Workers``, and so are the bytes, on processors of one kind. Leaving
    the ``with`` block closes ``cluster``, and the workers give up what they still train.
    """

    def __init__(
        self,
        cluster: Cluster,
        table: Path,
        model: ModelParams,
        params: TrainParams,
        device: str,
        threads: int,
    ) -> None:
        self.cluster = cluster
        self._table = table.resolve()
        self._model, self._params = model, params
        self._device, self._threads = device, threads
        self._topic = f"geocore-ensemble-{uuid.uuid4().hex}"
        self._told: dict[str, OnStep] = {}
        self._lock = threading.Lock()
        self._common: dict[str, Any] = {}

    def __enter__(self) -> DaskWorkers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cluster.close()

    def train_chunk(
        self,
        folder: Path,
        seeds: Sequence[int],
        on_step: OnStep,
        *,
        slots: Slots | None = None,
        checkpoint_every: int = 0,
    ) -> dict[str, Any]:
        """What ``geocore.ensembles.chunk.train_chunk`` does and returns, to the last bit.

        A worker that sees the store of ``slots`` goes on from the checkpoints there, and leaves its
        own. ``on_step(step, headline)`` is called now and then. Raises ``UserError`` as it does,
        for what ``Cluster`` raises it for, and for a table that a worker does not see;
        ``RuntimeError`` if workers died again and again.
        """
        name = uuid.uuid4().hex
        request = {
            **self._asked(),
            "name": name,
            "seeds": list(seeds),
            "checkpoints": None
            if slots is None
            else {
                "store": str(slots.store.root.resolve()),
                "key": slots.work,
                "every": checkpoint_every,
            },
        }
        self._told[name] = on_step
        try:
            answer = self.cluster.ask(train_chunk, request, f"the members of seeds {list(seeds)}")
        finally:
            del self._told[name]
        _write(folder, answer["files"])
        done: dict[str, Any] = answer["done"]
        return done

    def _asked(self) -> dict[str, Any]:
        """What all requests have in common, once the cluster is there."""
        client = self.cluster.client()
        with self._lock:
            if not self._common:
                client.subscribe_topic(self._topic, self._tell)
                self._common = {
                    "topic": self._topic,
                    "table": str(self._table),
                    "table_digest": digest_file(self._table / "table.json"),
                    "model": self._model.model_dump(mode="json"),
                    "train": self._params.model_dump(mode="json"),
                    "device": self._device,
                    "threads": self._threads,
                    "made_by": made_by(code_digest(_CODE)),
                }
            return self._common

    def _tell(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, told = event
        if (on_step := self._told.get(told["name"])) is not None:
            on_step(told["step"], told["told"])


def train_chunk(request: Mapping[str, Any]) -> dict[str, Any]:
    """The task, on a worker: ``{"done", "files"}``, or a user's mistake as ``{"error": lines}``.

    The members are trained in a process of their own, as torch has one random state a process; the
    worker stays free to answer its scheduler.
    """
    from distributed import get_worker

    worker = get_worker()
    task = worker.get_current_task()

    def tell(step: int, told: str) -> None:
        state = worker.state.tasks.get(task)
        if state is None or state.state != "executing":  # let go while it runs
            raise _AbandonedError(f"nobody waits for {task}")
        told_of = {"name": request["name"], "step": step, "told": told}
        worker.log_event(request["topic"], told_of)

    kept = request["checkpoints"]
    slots = None
    if kept is not None and Path(kept["store"]).is_dir():
        slots = Slots(Store(Path(kept["store"])), kept["key"])
    try:
        table = _same(request, worker.address)
        with (
            TemporaryDirectory(prefix="geocore-", dir=worker.local_directory) as scratch,
            Workers(
                table,
                ModelParams.read(request["model"]),
                TrainParams.read(request["train"]),
                request["device"],
                request["threads"],
            ) as workers,
        ):
            done = workers.train_chunk(
                Path(scratch),
                request["seeds"],
                tell,
                slots=slots,
                checkpoint_every=0 if slots is None else kept["every"],
            )
            files = {path.name: path.read_bytes() for path in sorted(Path(scratch).iterdir())}
    except UserError as error:
        return {"error": list(error.lines)}
    return {"done": done, "files": files}


def _same(request: Mapping[str, Any], worker: str) -> Path:
    """The table, where code and table are those of whoever asked; ``UserError`` otherwise."""
    path = Path(request["table"])
    file = path / "table.json"
    if not file.is_file():
        raise UserError(
            f"Dask worker {worker} has no table at {path}; expected a file system shared with "
            "whoever trains the ensemble"
        )
    if digest_file(file) != request["table_digest"]:
        raise UserError(f"Dask worker {worker} has another table at {path}; expected the same")
    if (other := other_than(request["made_by"], code_digest(_CODE))) is not None:
        raise UserError(other)
    Table.open(path, verify=True)
    return path


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        if Path(name).name != name:
            raise ValueError(f"a worker names its file {name!r}; expected a plain name")
        (folder / name).write_bytes(content)
