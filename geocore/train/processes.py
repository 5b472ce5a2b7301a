"""What the processes of one training tell each other: gloo between CPUs, nccl between GPUs."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from geocore.errors import UserError
from geocore.train.torchrun import Place

__all__ = [
    "Group",
    "await_call",
    "await_end",
    "call",
    "dismiss",
    "end_with_parent",
    "joined",
    "own_device",
]

_PATIENCE = timedelta(minutes=30)  # with a process that is there and says nothing
_CONNECT = timedelta(seconds=20)  # with torchrun, which is there for as long as its processes
_CALL, _END = "call", "end"


@dataclass(frozen=True)
class Group:
    """The processes of a training, each at the same place in the program.

    Raises ``UserError`` in those that are left when one is gone, and after half an hour without a
    word from one of them.
    """

    rank: int
    size: int
    device: torch.device

    def sum(self, values: Tensor) -> Tensor:
        """The sum over processes, in place: the same bits in all of them."""
        with self._told():
            dist.all_reduce(values)
        return values

    def rows(self, own: Tensor, counts: Sequence[int]) -> Tensor:
        """The first ``counts[rank]`` rows of ``own`` of each process, one after the other."""
        most = max(counts)
        sent = own.new_zeros(most, *own.shape[1:])
        mine = counts[self.rank]
        sent[:mine] = own[:mine]
        found = [torch.empty_like(sent) for _ in counts]
        with self._told():
            dist.all_gather(found, sent)
        return torch.cat([rows[:count] for rows, count in zip(found, counts, strict=True)])

    def first(self, own: bytes) -> bytes:
        """What process 0 hands over; the others' is of no account."""
        length = torch.tensor(len(own), device=self.device)
        with self._told():
            dist.broadcast(length, 0)
            data = torch.zeros(int(length), dtype=torch.uint8)
            if self.rank == 0:
                data = torch.frombuffer(bytearray(own), dtype=torch.uint8)
            data = data.to(self.device)
            dist.broadcast(data, 0)
        return data.cpu().numpy().tobytes()

    def texts(self, own: str) -> list[str]:
        """What each of them says, in order."""
        data = torch.tensor(list(own.encode()), dtype=torch.uint8, device=self.device)
        lengths = torch.zeros(self.size, dtype=torch.int64, device=self.device)
        lengths[self.rank] = len(data)
        counts = self.sum(lengths).tolist()
        parts = self.rows(data, counts).cpu().split(counts)
        return [part.numpy().tobytes().decode() for part in parts]

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise _lost(self.rank, self.size, error) from error


def own_device(here: Place, kind: str) -> torch.device:
    """Where this process computes: on a GPU of its own, or on the CPU. ``kind`` is the class."""
    if kind != "cuda":
        return torch.device(kind)
    count = torch.cuda.device_count()
    if here.local >= count:
        raise UserError(
            f"process {here.rank} of {here.size}: this machine has {count} CUDA devices; "
            "expected one for each process on it"
        )
    torch.cuda.set_device(here.local)
    return torch.device("cuda", here.local)


@contextmanager
def joined(here: Place, device: torch.device) -> Iterator[Group]:
    """The group, for the time of a training; every process of it must come here."""
    if here.loopback:
        for library in ("GLOO", "NCCL"):
            name = "lo0" if sys.platform == "darwin" else "lo"
            os.environ.setdefault(f"{library}_SOCKET_IFNAME", name)
    try:
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=_store(here),
            rank=here.rank,
            world_size=here.size,
            timeout=_PATIENCE,
            device_id=device if device.type == "cuda" else None,
        )
    except RuntimeError as error:
        raise _lost(here.rank, here.size, error) from error
    group = Group(here.rank, here.size, device)
    try:
        yield group
        group.sum(torch.zeros(1, device=device))  # none leaves while another still listens
    finally:
        dist.destroy_process_group()


def call(here: Place, text: str) -> None:
    """Process 0 tells the others what is to be trained."""
    _store(here).set(_CALL, text)


def dismiss(here: Place) -> None:
    """Process 0 tells the others that it ends; those that were not called need not wait."""
    with suppress(RuntimeError):  # torchrun is gone, and so are they
        store = _store(here)
        store.set(_END, "")
        if not store.check([_CALL]):
            store.set(_CALL, "")


def await_call(here: Place) -> str:
    """What process 0 calls for, empty if for nothing: that may take as long as it likes."""
    return _awaited(here, _CALL)


def await_end(here: Place) -> None:
    """Until process 0 has said why it ends: whoever ends before it, takes it along."""
    with suppress(RuntimeError):
        _awaited(here, _END)


def end_with_parent() -> None:
    """End this process soon after the one that started it, however that one ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _awaited(here: Place, key: str) -> str:
    store = _store(here)
    while not store.check([key]):  # its own waiting ends after a while, and with a warning
        time.sleep(0.1)
    found: bytes = store.get(key)
    return found.decode()


def _store(here: Place) -> Any:
    """That of torchrun, by which its processes find each other."""
    host, port = here.address
    store = dist.TCPStore(  # type: ignore[attr-defined]
        host, port, is_master=False, timeout=_CONNECT
    )
    store.set_timeout(_PATIENCE)
    return dist.PrefixStore(f"geocore-{here.attempt}", store)  # type: ignore[attr-defined]


def _lost(rank: int, size: int, error: RuntimeError) -> UserError:
    said = str(error).strip().splitlines()
    why = said[0].rpartition("] ")[2][:120] if said else type(error).__name__
    return UserError(
        f"training by {size} processes: process {rank} lost the others ({why}); "
        "run it again and it goes on"
    )
