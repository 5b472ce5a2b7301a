"""Chunks of an ensemble on the workers of a Dask cluster, where one machine is too small.

``GEOCORE_DASK=tcp://HOST:PORT`` names the scheduler. A chunk is one task. Its worker reads the
table at the same path as here (a shared file system), and what it trained comes back as plain bytes
over Dask's wire, whose ends trust each other: nothing else of this project unpickles.
"""

from __future__ import annotations

import importlib.util
import os
import re
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any

from geocore.config.model import ModelParams
from geocore.config.train import TrainParams
from geocore.data.table import Table
from geocore.ensembles.apart import Workers
from geocore.errors import UserError
from geocore.runs.closure import code_digest
from geocore.runs.digest import digest_file
from geocore.runs.environment import library_versions
from geocore.runs.slots import Slots
from geocore.runs.store import Store

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["AT_ONCE", "DaskWorkers", "scheduler_address", "train_chunk"]

AT_ONCE = 256  # chunks that the scheduler is asked for at a time
_VARIABLE = "GEOCORE_DASK"
_CONNECT = 5.0  # seconds until a scheduler that does not answer is given up
_WORKERS = 30.0  # and one that has no workers
_RETRIES = 2  # of a task whose process died; that a worker dies, the scheduler bears three times
_LIBRARIES = ("numpy", "safetensors", "torch")

OnStep = Callable[[int, str], None]


class _AbandonedError(Exception):
    """Nobody waits for the task any more."""


def scheduler_address() -> str | None:
    """The scheduler that the environment names, None if it names none.

    Raises ``UserError`` for what is no address, and where Dask is not installed.
    """
    address = os.environ.get(_VARIABLE, "").strip()
    if not address:
        return None
    if not re.fullmatch(r"(tcp|tls)://[^\s/]+:\d+", address):
        raise UserError(f"{_VARIABLE} is {address!r}; expected tcp://HOST:PORT, a Dask scheduler's")
    if importlib.util.find_spec("distributed") is None:
        raise UserError(
            f"{_VARIABLE} is {address}, and Dask is not installed; "
            "expected pip install 'geocore[dask]'"
        )
    return address


class DaskWorkers:
    """A cluster that trains chunks of one ensemble, on the maps of the table in ``table``.

    The interface is that of ``Workers``, and so are the bytes, on processors of one kind. The
    scheduler is looked for once a chunk is asked for. Leaving the ``with`` block leaves it, and the
    workers give up what they still train.
    """

    def __init__(
        self,
        address: str,
        table: Path,
        model: ModelParams,
        params: TrainParams,
        device: str,
        threads: int,
    ) -> None:
        self.address = address
        self._table = table.resolve()
        self._model, self._params = model, params
        self._device, self._threads = device, threads
        self._topic = f"geocore-ensemble-{uuid.uuid4().hex}"
        self._told: dict[str, OnStep] = {}
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._common: dict[str, Any] = {}
        self._failed: UserError | None = None  # whoever comes next need not try it again
        self._ended = False

    def __enter__(self) -> DaskWorkers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended = True  # also for a thread that is about to connect
        with self._lock:
            if self._client is not None:
                self._client.close(timeout=_CONNECT)

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
        and for a scheduler that cannot be reached or has no workers, a table that a worker does not
        see, and a worker of other code; ``RuntimeError`` if workers died again and again.
        """
        client, name = self._connected(), uuid.uuid4().hex
        request = {
            **self._common,
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
        future = client.submit(train_chunk, request, retries=_RETRIES, pure=False)
        try:
            answer = future.result()
        except CancelledError:
            raise RuntimeError(
                f"the Dask scheduler at {self.address} was lost; expected it to stay until the "
                "ensemble is trained"
            ) from None
        except ImportError as error:
            raise UserError(
                f"a Dask worker of {self.address}: {error}; expected the geocore of this machine"
            ) from None
        except Exception as error:
            if type(error).__name__ != "KilledWorker":
                raise
            raise RuntimeError(
                f"every Dask worker died that trained the members of seeds {list(seeds)}; expected "
                f"one that lives (the last was {error.args[1].address})"
            ) from None
        finally:
            del self._told[name]
            future.release()
        if "error" in answer:
            raise UserError(*answer["error"])
        _write(folder, answer["files"])
        done: dict[str, Any] = answer["done"]
        return done

    def _connected(self) -> Client:
        """The client, once there is a scheduler that answers and has a worker."""
        with self._lock:
            if self._ended:
                raise RuntimeError("the workers of the ensemble were ended")
            if self._failed is not None:
                raise self._failed
            if self._client is None:
                try:
                    self._client = _connect(self.address)
                except UserError as error:
                    self._failed = error
                    raise
                self._client.subscribe_topic(self._topic, self._tell)
                self._common = {
                    "topic": self._topic,
                    "table": str(self._table),
                    "table_digest": digest_file(self._table / "table.json"),
                    "model": self._model.model_dump(mode="json"),
                    "train": self._params.model_dump(mode="json"),
                    "device": self._device,
                    "threads": self._threads,
                    "made_by": _made_by(),
                }
            return self._client

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


def _connect(address: str) -> Client:
    from distributed import Client

    try:
        client = Client(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{_VARIABLE} is {address}, and no Dask scheduler answers there "
            f"({type(error).__name__}); expected one: dask scheduler"
        ) from None
    try:
        client.wait_for_workers(1, timeout=_WORKERS)
    except TimeoutError:
        client.close()
        raise UserError(
            f"{_VARIABLE} is {address}, whose scheduler has no worker after {_WORKERS:.0f} s; "
            f"expected one: dask worker {address}"
        ) from None
    return client


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
    found, expected = _made_by(), request["made_by"]
    for name in expected:
        if found.get(name) != expected[name]:
            raise UserError(
                f"Dask worker {worker} has {name} {found.get(name)}; expected {expected[name]}, as "
                "here, so that results are the same"
            )
    Table.open(path, verify=True)
    return path


def _made_by() -> dict[str, str]:
    """What decides the bytes of a chunk: our code and the libraries under it."""
    versions = library_versions()
    return {
        "code": code_digest(["geocore.ensembles.chunk"]),
        **{name: versions[name] for name in _LIBRARIES if name in versions},
    }


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        if Path(name).name != name:
            raise ValueError(f"a worker names its file {name!r}; expected a plain name")
        (folder / name).write_bytes(content)
