"""Work on the workers of a Dask cluster: where it is, how it is reached, what its faults are.

``GEOCORE_DASK`` says where: ``tcp://HOST:PORT`` is a scheduler that runs already (``tls://`` one
whose certificates Dask's settings name), ``slurm`` an array of jobs that are submitted
(``geocore.runs.cluster_process``). Empty, work is done here; with ``runtime.runner: dask`` by
processes of this machine. Dask's wire, whose ends trust each other, is
the one place of the project where anything is unpickled.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from geocore.errors import UserError
from geocore.runs.cluster_process import ClusterProcess
from geocore.runs.environment import library_versions

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["Cluster", "Task", "cluster_place", "made_by", "other_than"]

_VARIABLE = "GEOCORE_DASK"
_CONNECT = 5.0  # seconds until a scheduler that does not answer is given up
_WORKERS = 30.0  # and one that has no workers
_QUEUED = 7 * 86400.0  # and until jobs of a queue begin
_GLANCE = 1.0  # seconds of waiting, after which it is asked whether anybody still wants to
_SAID = 15.0  # seconds until somebody who waits for a queue is told so
_RETRIES = 2  # of a task whose process died; that a worker dies, the scheduler bears three times
_LIBRARIES = ("numpy", "safetensors", "torch")
_BEGAN = time.time()  # by then a worker has the code that it runs; its files may change later

Task = Callable[[dict[str, Any]], dict[str, Any]]


def cluster_place(runner: str = "threads") -> str | None:
    """Where work goes: a scheduler's address, ``slurm`` or ``local``; None if it is done here.

    A cluster that the environment names is meant whatever ``runner`` says. Raises ``UserError`` for
    what is no place, and where Dask is not installed.
    """
    named = os.environ.get(_VARIABLE, "").strip()
    if not named and runner != "dask":
        return None
    if named and named != "slurm" and not re.fullmatch(r"(tcp|tls)://[^\s/]+:\d+", named):
        raise UserError(
            f"{_VARIABLE} is {named!r}; expected tcp://HOST:PORT or tls://HOST:PORT, a Dask "
            "scheduler's, or slurm"
        )
    wanted = f"{_VARIABLE} is {named}" if named else "runtime.runner is dask"
    for module in ("distributed", *(["dask_jobqueue"] if named == "slurm" else [])):
        if importlib.util.find_spec(module) is None:
            raise UserError(
                f"{wanted}, and Dask is not installed; expected pip install 'geocore[dask]'"
            )
    return named or "local"


class Cluster:
    """The workers at ``place``, reached or started once the first piece of work is asked for.

    ``workers`` is how many are started where none are running. Leaving the ``with`` block leaves
    the cluster, and ends it if it was started. All methods may be called from several threads.
    """

    def __init__(
        self, place: str, workers: int = 1, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.place = place
        self._workers, self._say = workers, say
        self._lock = threading.Lock()
        self._process: ClusterProcess | None = None
        self._client: Client | None = None
        self._failed: UserError | None = None  # whoever comes next need not try it again
        self._ended = False

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._ended = True  # also for a thread that is about to connect
        with self._lock:
            if self._client is not None:
                self._client.close(timeout=_CONNECT)
                self._client = None
            if self._process is not None:
                self._process.end()
                self._process = None

    def client(self) -> Client:
        """The client, once there is a scheduler that answers and has a worker.

        Raises ``UserError`` for one that cannot be reached or started, or that has no workers,
        ``RuntimeError`` if the cluster was left.
        """
        with self._lock:
            if self._ended:
                raise RuntimeError(f"the Dask cluster {self.place} was left; expected it in use")
            if self._failed is not None:
                raise self._failed
            if self._client is None:
                try:
                    self._client = self._connected()
                except UserError as error:
                    self._failed = error
                    raise
            return self._client

    def width(self) -> int:
        """How many pieces the workers that are there work on at a time, at least 1."""
        threads: dict[str, int] = self.client().nthreads()
        return max(1, sum(threads.values()))

    def submit(self, task: Task, request: Mapping[str, Any]) -> Future[Any]:
        """``task(request)`` on some worker; should that die, on another."""
        return self.client().submit(task, dict(request), retries=_RETRIES, pure=False)

    def answer(self, future: Future[Any], what: str) -> dict[str, Any]:
        """What came of a submitted task, which made ``what``, after which the workers forget it.

        Raises ``UserError`` for what the task told as ``{"error": lines}`` and for a worker of
        another geocore, ``RuntimeError`` if workers died again and again or the scheduler is gone.
        """
        try:
            found: dict[str, Any] = future.result()
        except CancelledError:
            raise RuntimeError(
                f"the Dask scheduler of {self.place} was lost; expected it to stay until {what} "
                "is done"
            ) from None
        except Exception as error:
            # What a worker lacks is its own error, what a scheduler lacks the cause of another.
            if isinstance(lacks := error.__cause__ or error, ImportError):
                raise UserError(
                    f"a Dask worker of {self.place}: {lacks}; expected the geocore of this machine"
                ) from None
            if type(error).__name__ != "KilledWorker":
                raise
            raise RuntimeError(
                f"every Dask worker of {self.place} died that made {what}; expected one that lives "
                f"(the last was {error.args[1].address})"
            ) from None
        finally:
            future.release()
        if "error" in found:
            raise UserError(*found["error"])
        return found

    def ask(self, task: Task, request: Mapping[str, Any], what: str) -> dict[str, Any]:
        """Submit the task and wait for its answer."""
        return self.answer(self.submit(task, request), what)

    def _connected(self) -> Client:
        from distributed import Client, Security

        address, patience, security = self.place, _WORKERS, None
        if self.place in ("local", "slurm"):
            self._process = ClusterProcess(self.place, self._workers)
            address = self._process.address
        if self._process is not None and self._process.tls:
            security = Security(require_encryption=True, **self._process.tls)
        if self.place == "slurm":
            patience = _QUEUED
        named = f"{_VARIABLE} is {self.place}" if self.place != "local" else "runner is dask"
        known = (security or Security()).get_connection_args("client")
        if address.startswith("tls:") and known.get("ssl_context") is None:
            raise UserError(
                f"{named}, and no certificates are known; expected Dask's settings "
                "distributed.comm.tls"
            )
        try:
            client = Client(address, timeout=_CONNECT, set_as_default=False, security=security)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{named}, and no Dask scheduler answers there ({type(error).__name__}); "
                "expected one: dask scheduler"
            ) from None
        told = threading.Timer(_SAID, self._say, [f"waiting for a worker of {self.place}"])
        told.daemon = True
        told.start()
        try:
            if self._has_worker(client, patience):
                return client
        finally:
            told.cancel()
        client.close()
        raise UserError(
            f"{named}, whose scheduler has no worker after {patience:.0f} s; "
            f"expected one: dask worker {address}"
        )

    def _has_worker(self, client: Client, patience: float) -> bool:
        """Whether a worker comes in time; ``RuntimeError`` if the cluster is left meanwhile."""
        end = time.monotonic() + patience
        while True:
            try:
                client.wait_for_workers(1, timeout=min(_GLANCE, patience))
            except TimeoutError:
                if self._ended:  # by another thread, which waits for this one
                    client.close()
                    raise RuntimeError(
                        f"the Dask cluster {self.place} was left; expected it in use"
                    ) from None
                if time.monotonic() >= end:
                    return False
            else:
                return True


def made_by(code: str) -> dict[str, str]:
    """What decides bytes: our own code, by its digest ``code``, and the libraries under it."""
    versions = library_versions()
    found = {name: versions[name] for name in _LIBRARIES if name in versions}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"code": code, **found, "python": python}


def other_than(expected: Mapping[str, str], code: str) -> str | None:
    """How code and libraries of this worker differ from those of whoever asked; None if not.

    ``code`` is read from files: that they are also what this process has loaded, is asked last.
    """
    found = made_by(code)
    for name, value in expected.items():
        if found.get(name) != value:
            return (
                f"a Dask worker has {name} {found.get(name)}; expected {value}, as here, so that "
                "results are the same"
            )
    if (changed := _changed_since()) is not None:
        return (
            f"a Dask worker began before {changed} was changed, and runs the code of then; "
            "expected one that was started again"
        )
    return None


def _changed_since() -> str | None:
    """A module of ours that was loaded, and whose file is younger than that, or gone."""
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None) if name.partition(".")[0] == "geocore" else None
        if file is not None and not (Path(file).exists() and Path(file).stat().st_mtime <= _BEGAN):
            return name
    return None
