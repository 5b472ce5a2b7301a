"""One training by several processes: what ``torchrun`` tells each of them, and how it is started.

``GEOCORE_TORCHRUN`` is a number of processes on this machine, which talk on 127.0.0.1 alone, or
words for ``torchrun``, say ``--nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint
HOST:PORT``, which are taken as they are. This module imports torch only where it starts processes.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shlex
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geocore.config.runtime import usable_cores
from geocore.errors import UserError

if TYPE_CHECKING:
    from torch.distributed.elastic.rendezvous import RendezvousHandler, RendezvousParameters

__all__ = ["Place", "launch", "launch_words", "place"]

_VARIABLE = "GEOCORE_TORCHRUN"
_STARTED = "TORCHELASTIC_USE_AGENT_STORE"  # there for whatever torchrun has started
_LOOPBACK = "127.0.0.1"
_RENDEZVOUS = "geocore-loopback"


@dataclass(frozen=True)
class Place:
    """The place of this process among those of a training, 0 to ``size - 1``; 0 runs the stage.

    ``local`` is its place among the ``beside`` of its machine; ``address`` is torchrun's store's,
    ``attempt`` counts how often torchrun has started them again.
    """

    rank: int
    size: int
    local: int
    beside: int
    address: tuple[str, int]
    attempt: int = 0

    @property
    def loopback(self) -> bool:
        """Whether all of them are on this machine."""
        return self.beside == self.size


def place() -> Place | None:
    """What torchrun's environment says of this process; None for one that is alone."""
    variables = os.environ
    if variables.get(_STARTED) != "True":
        return None
    found = Place(
        rank=int(variables["RANK"]),
        size=int(variables["WORLD_SIZE"]),
        local=int(variables["LOCAL_RANK"]),
        beside=int(variables["LOCAL_WORLD_SIZE"]),
        address=(variables["MASTER_ADDR"], int(variables["MASTER_PORT"])),
        attempt=int(variables.get("TORCHELASTIC_RESTART_COUNT", "0")),
    )
    return found if found.size > 1 else None


def launch_words() -> list[str] | None:
    """Words for ``torchrun`` from ``GEOCORE_TORCHRUN``; None where one process is to train.

    None too in what ``torchrun`` has started: the one process of words that ask for one would
    start another, and so on without an end.
    """
    text = os.environ.get(_VARIABLE, "").strip()
    if text in ("", "1") or _STARTED in os.environ:
        return None
    if text.isdecimal() and int(text):
        here = f"--nnodes 1 --rdzv-backend {_RENDEZVOUS} --rdzv-endpoint {_LOOPBACK}:0"
        return [*here.split(), "--nproc-per-node", text]
    if not text.startswith("-"):
        raise UserError(
            f"{_VARIABLE} is {text!r}; expected a number of processes, or words for torchrun"
        )
    try:
        return shlex.split(text)
    except ValueError as error:  # a quotation that does not end
        raise UserError(f"{_VARIABLE} is {text!r}: {error}; expected words for torchrun") from None


def launch(words: Sequence[str], module: str, arguments: Sequence[str]) -> int:
    """Run ``python -m module arguments`` as often as ``words`` tell ``torchrun``; the exit code.

    That of the process that failed, which has told why; 1 and a line for one that was killed, 128
    and the signal's number where a signal ended all. Each has its share of the cores, unless
    ``OMP_NUM_THREADS`` is set.
    """
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import rendezvous_handler_registry

    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            asked = torchrun.parse_args([*words, "-m", module, *arguments])
            count = torchrun.determine_local_world_size(asked.nproc_per_node)
            if count < 1:
                raise ValueError(f"{count} processes; expected at least 1")
    except (SystemExit, ValueError) as error:
        why = (told.getvalue().strip() or str(error)).splitlines()[-1]
        raise UserError(f"{_VARIABLE} is {shlex.join(words)!r}: {why}") from None
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // count)))
    with contextlib.suppress(ValueError):  # it is known already
        rendezvous_handler_registry.register(_RENDEZVOUS, _loopback_rendezvous)
    logging.disable(logging.CRITICAL)  # torchrun tells at length what the processes tell in a line
    try:
        with tempfile.TemporaryDirectory(prefix="geocore-torchrun-") as logs:
            asked.log_dir = asked.log_dir or logs  # torchrun leaves one of its own behind
            torchrun.run(asked)
    except SignalException as error:
        return 128 + int(error.sigval)
    except ChildFailedError as error:
        codes = [failure.exitcode for failure in error.failures.values()]
        if max(codes) > 0:
            return max(codes)
        rank, failure = error.get_first_failure()
        print(
            f"error: process {rank} was ended by {failure.signal_name()}, and the others with it; "
            "run it again and it goes on",
            file=sys.stderr,
        )
        return 1
    finally:
        logging.disable(logging.NOTSET)
    return 0


def _loopback_rendezvous(parameters: RendezvousParameters) -> RendezvousHandler:
    """All processes on this machine. torch's own store would listen on every interface."""
    import torch.distributed as dist
    from torch.distributed.elastic.rendezvous import (
        RendezvousHandler,
        RendezvousInfo,
        RendezvousStoreInfo,
    )

    listening = socket.socket()
    listening.bind((_LOOPBACK, 0))
    port = listening.getsockname()[1]
    store = dist.TCPStore(  # type: ignore[attr-defined]
        _LOOPBACK,
        port,
        is_master=True,
        wait_for_workers=False,
        master_listen_fd=listening.detach(),
    )

    class Loopback(RendezvousHandler):
        @property
        def use_agent_store(self) -> bool:
            return True

        def get_backend(self) -> str:
            return _RENDEZVOUS

        def next_rendezvous(self) -> RendezvousInfo:
            own = dist.PrefixStore("agent", store)  # type: ignore[attr-defined]
            return RendezvousInfo(own, 0, 1, RendezvousStoreInfo(_LOOPBACK, port))

        def is_closed(self) -> bool:
            return False

        def set_closed(self) -> None:
            pass

        def num_nodes_waiting(self) -> int:
            return 0

        def get_run_id(self) -> str:
            return str(parameters.run_id)

        def shutdown(self) -> bool:
            return True

    return Loopback()
