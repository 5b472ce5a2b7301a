"""Processes that train together in a test, started as ``torchrun`` starts them."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from geocore.train.torchrun import place

__all__ = ["begin", "run", "spawn", "start"]

ROOT = Path(__file__).parents[2]

# This folder as ``tests``, whatever other package of that name is installed.
_MAIN = f"""
import sys, types
sys.modules["tests"] = types.ModuleType("tests")
sys.modules["tests"].__path__ = [{str(ROOT / "tests")!r}]
from tests.train.spawned import run
run(*sys.argv[1:])
"""


def start(size: int, *command: str, folder: Path = ROOT) -> list[subprocess.Popen[str]]:
    """``python COMMAND`` ``size`` times, with torchrun's environment and its store."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    store = dist.TCPStore(  # type: ignore[attr-defined]
        "127.0.0.1", port, is_master=True, wait_for_workers=False,
        master_listen_fd=listening.detach(),
    )  # fmt: skip
    environment = {
        **os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT),
        "TORCHELASTIC_USE_AGENT_STORE": "True", "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    processes[0].store = store  # type: ignore[attr-defined]  # it lives as long as they do
    return processes


def begin(size: int, module: str, function: str, argument: str) -> list[subprocess.Popen[str]]:
    """``function(place, argument)`` of ``module`` in ``size`` processes, with pipes to them."""
    return start(size, "-c", _MAIN, module, function, argument)


def spawn(size: int, module: str, function: str, argument: str) -> None:
    """The same, to its end; all must end well."""
    processes = begin(size, module, function, argument)
    told = [process.communicate(timeout=300) for process in processes]
    for process, (out, err) in zip(processes, told, strict=True):
        assert process.returncode == 0, out + err


def run(module: str, function: str, argument: str) -> None:
    """What one of the processes does."""
    torch.set_num_threads(1)
    getattr(importlib.import_module(module), function)(place(), argument)
