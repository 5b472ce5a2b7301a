"""A command that does not outlive who started it, and whose output is read line by line.

Between the two stands a holder, ``python -m flows.tethered COMMAND``, in a session of its own. Its
standard input is a pipe from whoever asked: when that one dies, however it dies, the pipe ends and
the holder ends the whole group, the command's own children included. A child that has left the
group ends itself, as a Dask cluster does by the same means (``geocore.runs.cluster_process``).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["run_tethered"]

_PATIENCE = 10.0  # seconds from a signal that asks to one that does not
_KEPT = 1000  # of the last lines


def run_tethered(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> tuple[int, list[str]]:
    """Run ``command`` in the project's ``folder``: its exit code and the last lines that it wrote.

    Each line of standard output and error is handed to ``say``, from another thread, until that
    raises: who cannot be told any more does not end the command. The code is negative if a signal
    ended it. An exception that comes meanwhile (Ctrl-C, a cancelled flow) interrupts the command
    as Ctrl-C does, is held until all of it has ended, and goes on.
    """
    holder = subprocess.Popen(
        [sys.executable, "-m", "flows.tethered", *command],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    lines: deque[str] = deque(maxlen=_KEPT)
    reader = threading.Thread(target=_read, args=(holder, lines, say), daemon=True)
    try:
        reader.start()
        code = holder.wait()
    finally:
        _end(holder)
        reader.join(_PATIENCE)  # no longer: what went into the background may hold the pipe
    return code, list(lines)


def _read(holder: subprocess.Popen[str], lines: deque[str], say: Callable[[str], None]) -> None:
    if holder.stdout is None:
        return
    heard = True
    with holder.stdout as output:
        for line in output:
            lines.append(line.rstrip("\n"))
            if heard:
                try:
                    say(lines[-1])
                except Exception:  # a reader that is gone, `| head -1`: the pipe is still drained
                    heard = False


def _end(holder: subprocess.Popen[str]) -> None:
    """Interrupt the group if it still runs; cut the tether; wait."""
    if holder.poll() is None:
        os.killpg(holder.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            holder.wait(_PATIENCE)
    if holder.stdin is not None:
        holder.stdin.close()
    holder.wait()


def main() -> int:
    """The holder: run the command of ``sys.argv`` until it ends, or until standard input does."""
    asked_to_end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # a handler, unlike SIG_IGN, is not inherited
        signal.signal(number, lambda *_: asked_to_end.set())
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_watch, args=(asked_to_end,), daemon=True).start()
    code = command.wait()
    if asked_to_end.is_set():
        _end_group()  # the command has heard it too, its children may not have
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL cannot be set, and need not be
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _watch(asked_to_end: threading.Event) -> None:
    """End the group once the other end of standard input is closed."""
    while os.read(0, 1):
        pass
    asked_to_end.set()
    _end_group()


def _end_group() -> None:
    """Ask whoever else is in this process's group to end; who declines is killed."""
    import psutil

    group = os.getpgid(0)
    for number in (signal.SIGTERM, signal.SIGKILL):
        others = []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                if process.pid != os.getpid() and os.getpgid(process.pid) == group:
                    process.send_signal(number)
                    others.append(process)
        psutil.wait_procs(others, timeout=_PATIENCE)


if __name__ == "__main__":
    sys.exit(main())
