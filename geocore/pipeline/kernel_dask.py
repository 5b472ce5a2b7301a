"""Blocks of a kernel matrix on the workers of a Dask cluster, where one machine is too small.

``GEOCORE_DASK=tcp://HOST:PORT`` names the scheduler. A block is one task: the kernel and two
batches go there over Dask's wire, whose ends trust each other, and two matrices come back; the
store keeps them here. No file system is shared.
"""

from __future__ import annotations

import importlib.util
import os
import re
import threading
from collections.abc import Collection
from concurrent.futures import CancelledError
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from geocore.errors import UserError
from geocore.kernels.block import kernel_block
from geocore.kernels.composed import Kernels
from geocore.kernels.protocol import PairKernel
from geocore.runs.closure import code_digest
from geocore.runs.environment import library_versions

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["AT_ONCE", "DaskBlocks", "compute_block", "scheduler_address"]

AT_ONCE = 64  # blocks that the scheduler is asked for at a time
_VARIABLE = "GEOCORE_DASK"
_CONNECT = 5.0  # seconds until a scheduler that does not answer is given up
_WORKERS = 30.0  # and one that has no workers
_LIBRARIES = ("numpy", "safetensors", "torch")


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


class DaskBlocks:
    """A cluster that computes blocks with the code of ``modules``, to the bytes of a block here.

    So they are on processors of one kind: a block is computed by one thread. Leaving the ``with``
    block leaves the cluster. Raises ``UserError`` for a scheduler that cannot be reached or that
    has no workers.
    """

    def __init__(self, address: str, modules: Collection[str]) -> None:
        self.address = address
        self._made_by = _made_by(sorted(modules))
        self._modules = sorted(modules)
        self._lock = threading.Lock()
        self._client: Client | None = None

    def __enter__(self) -> DaskBlocks:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close(timeout=_CONNECT)

    def block(self, kernel: PairKernel, x1: Tensor, x2: Tensor | None) -> Kernels:
        """``kernel_block``, on a worker.

        Raises ``ValueError`` as that does, ``UserError`` for a worker of other code or libraries,
        ``RuntimeError`` if workers died again and again or the scheduler was lost.
        """
        request = {
            "kernel": kernel,
            "x1": x1.numpy(),
            "x2": None if x2 is None else x2.numpy(),
            "modules": self._modules,
            "made_by": self._made_by,
        }
        future = self._connected().submit(compute_block, request, pure=False)
        try:
            answer = future.result()
        except CancelledError:
            raise RuntimeError(
                f"the Dask scheduler at {self.address} was lost; expected it to stay until the "
                "kernel is computed"
            ) from None
        except ImportError as error:
            raise UserError(
                f"a Dask worker of {self.address}: {error}; expected the geocore of this machine"
            ) from None
        except Exception as error:
            if type(error).__name__ != "KilledWorker":
                raise
            raise RuntimeError(
                f"every Dask worker of {self.address} died that computed a block of {len(x1)} "
                "samples; expected one that lives"
            ) from None
        finally:
            future.release()
        if "refused" in answer:
            raise ValueError(answer["refused"])
        if "error" in answer:
            raise UserError(answer["error"])
        return Kernels(*(torch.from_numpy(np.array(values)) for values in answer["kernels"]))

    def _connected(self) -> Client:
        """The client, once there is a scheduler that answers and has a worker."""
        from distributed import Client

        with self._lock:
            if self._client is None:
                try:
                    client = Client(self.address, timeout=_CONNECT, set_as_default=False)
                except (OSError, ValueError) as error:
                    raise UserError(
                        f"{_VARIABLE} is {self.address}, and no Dask scheduler answers there "
                        f"({type(error).__name__}); expected one: dask scheduler"
                    ) from None
                try:
                    client.wait_for_workers(1, timeout=_WORKERS)
                except TimeoutError:
                    client.close()
                    raise UserError(
                        f"{_VARIABLE} is {self.address}, whose scheduler has no worker after "
                        f"{_WORKERS:.0f} s; expected one: dask worker {self.address}"
                    ) from None
                self._client = client
            return self._client


def compute_block(request: dict[str, Any]) -> dict[str, Any]:
    """The task, on a worker: the two matrices, or what is wrong in words."""
    found, expected = _made_by(request["modules"]), request["made_by"]
    for name in expected:
        if found.get(name) != expected[name]:
            return {
                "error": f"a Dask worker has {name} {found.get(name)}; expected {expected[name]}, "
                "as here, so that results are the same"
            }
    torch.set_num_threads(1)
    x1, x2 = (
        None if x is None else torch.from_numpy(np.array(x)) for x in (request["x1"], request["x2"])
    )
    assert x1 is not None
    try:
        kernels = kernel_block(request["kernel"], x1, x2)
    except ValueError as error:
        return {"refused": str(error)}
    return {"kernels": [values.numpy() for values in kernels]}


def _made_by(modules: Collection[str]) -> dict[str, str]:
    """What decides the bytes of a block: our code and the libraries under it."""
    versions = library_versions()
    return {
        "code": code_digest(modules),
        **{name: versions[name] for name in _LIBRARIES if name in versions},
    }
