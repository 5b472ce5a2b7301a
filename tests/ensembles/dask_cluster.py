"""A Dask scheduler and workers as processes of their own, on 127.0.0.1 alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["DaskProcesses", "cluster"]

ROOT = Path(__file__).parents[2]
# Ends with whoever holds the other end of its standard input, however that ends.
_TETHERED = """
import os, runpy, sys, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
sys.argv.pop(0)
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
_LOCAL = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", "--no-dashboard"]


class DaskProcesses:
    """``address`` of the scheduler; every process is ended by whoever asked for the cluster."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        file = folder / "scheduler.json"
        self._start("scheduler", "dask_scheduler", "--port", "0", "--scheduler-file", str(file))
        self.address = self._address(file)

    def worker(self, name: str) -> None:
        """Start a worker of one thread, without a nanny that would start it again."""
        self._start(
            name, "dask_worker", self.address, "--no-nanny", "--nthreads", "1", "--name", name,
            "--memory-limit", "0", "--local-directory", str(self._folder / name),
            "--death-timeout", "60",
        )  # fmt: skip

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
            if process.stdin is not None:
                process.stdin.close()

    def _start(self, name: str, module: str, *arguments: str) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [
                    sys.executable, "-c", _TETHERED, f"distributed.cli.{module}", *_LOCAL,
                    *arguments,
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            )  # fmt: skip

    def _address(self, file: Path) -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                found: dict[str, Any] = json.loads(file.read_text())
                return str(found["address"])
            except (FileNotFoundError, ValueError):
                time.sleep(0.05)
        raise TimeoutError((self._folder / "scheduler.log").read_text())


@contextmanager
def cluster(folder: Path, *workers: str) -> Iterator[DaskProcesses]:
    """A scheduler with workers of these names, ended with the ``with`` block."""
    made = DaskProcesses(folder)
    try:
        for name in workers:
            made.worker(name)
        yield made
    finally:
        made.end()
