"""The project's own Prefect server: one on 127.0.0.1, found again through ``.prefect/``.

``make repro`` starts one that stays (``python -m flows.server start``, ``stop``). A flow that finds
none, under a bare ``dvc repro``, starts one that ends by itself with the last process that uses it:
one start for the whole pipeline instead of one a stage. A ``PREFECT_API_URL`` that the user has set
is used as it is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from geocore.errors import UserError
from geocore.runs.atomic import write_json, write_text
from geocore.runs.locks import hold
from tasks.environment import settle

__all__ = [
    "api_url",
    "free_port",
    "gone",
    "process_of",
    "record_of",
    "start",
    "state_of",
    "stop",
]

# Put together, as this file is read by every stage: a name written out would make each depend on
# what the keeper imports.
_KEEPER = ".".join(("flows", "keeper"))
_PATIENCE = 120.0  # seconds for a start; 9 to 23 were seen on two cores


def api_url(root: Path) -> str:
    """The URL of a server that answers, starting one for the time of this pipeline if need be."""
    chosen = os.environ.get("PREFECT_API_URL")
    if chosen:
        return _answering(chosen)
    folder = root / ".prefect"
    with hold(folder / "server.lock", "starting the Prefect server"):
        _register(folder, _owner())
        return _running(folder) or _launch(root, folder, stay=False)


def start(root: Path) -> tuple[str, bool]:
    """A server that stays until ``stop``; returns its URL and whether it was started now."""
    folder = root / ".prefect"
    with hold(folder / "server.lock", "starting the Prefect server"):
        url = _running(folder)
        if url is not None:
            (folder / "stay").touch()
            return url, False
        return _launch(root, folder, stay=True), True


def stop(root: Path) -> bool:
    """End the project's server, and no other process; whether there was one."""
    folder = root / ".prefect"
    with hold(folder / "server.lock", "ending the Prefect server"):
        return _end(folder)


def _end(folder: Path) -> bool:
    """End the keeper and the server that ``server.json`` names, each if it is still that one."""
    state = state_of(folder)
    found = [process for role in ("keeper", "server") if (process := process_of(state.get(role)))]
    family = {child for process in found for child in _children(process)} | {*found}
    for process in family:
        _quietly(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=10)
    for process in alive:
        _quietly(process, signal.SIGKILL)
    # Not before: the keeper would see that nobody needs it, and wait for the lock held here.
    (folder / "stay").unlink(missing_ok=True)
    (folder / "server.json").unlink(missing_ok=True)
    return bool(found)


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since it was looked at
        return process.children(recursive=True)
    return []


def _quietly(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def state_of(folder: Path) -> dict[str, Any]:
    """What the keeper has put on record in ``server.json``; nothing where there is none."""
    try:
        state = json.loads((folder / "server.json").read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def record_of(process: psutil.Process) -> dict[str, float]:
    """What tells a process from a later one with the same number."""
    return {"pid": process.pid, "born": process.create_time()}


def process_of(record: object) -> psutil.Process | None:
    """The process of a ``record_of``, if it still runs."""
    try:
        process = psutil.Process(int(record["pid"]))  # type: ignore[index]
        same = abs(process.create_time() - float(record["born"])) < 1  # type: ignore[index]
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (KeyError, OverflowError, TypeError, ValueError, psutil.Error):
        return None


def _running(folder: Path) -> str | None:
    """The URL of the project's server once it answers; None where none runs.

    One whose process lives but does not answer in time is ended: two on one database would not do.
    """
    state = state_of(folder)
    url = str(state.get("url"))
    deadline = time.monotonic() + _PATIENCE
    while process_of(state.get("server")):
        if _healthy(url):
            return url
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    _end(folder)
    return None


def gone(what: str, error: Exception) -> str:
    """What is said where Prefect has tried for a while and gave up."""
    return (
        f"error: {what}: Prefect's server does not answer any more "
        f"({' '.join(str(error).split()) or type(error).__name__}); what is finished is kept: run "
        "it again"
    )


def _answering(url: str) -> str:
    for _ in range(3):  # a busy server may miss one
        if _healthy(url):
            return url
        time.sleep(0.5)
    raise UserError(
        f"PREFECT_API_URL is {url}: no answer; expected a Prefect server there, or the variable "
        "unset, so that the project starts its own"
    )


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):  # URLError is an OSError; a malformed URL is a ValueError
        return False


def _launch(root: Path, folder: Path, *, stay: bool) -> str:
    """Start a keeper, which starts the server, puts both on record, and ends it in the end."""
    if stay:
        (folder / "stay").touch()
    port = free_port(folder / "port")
    with (folder / "server.log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", _KEEPER, str(port)],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}/api"
        deadline = time.monotonic() + _PATIENCE
        while not _healthy(url):
            if keeper.poll() is not None or time.monotonic() > deadline:
                raise UserError(
                    f"Prefect server: no answer from {url}; expected one within "
                    f"{_PATIENCE:.0f} s (its log: {folder / 'server.log'})"
                )
            time.sleep(0.2)
        if state_of(folder).get("url") != url:
            raise UserError(f"{folder / 'server.json'}: not written; expected the keeper to do so")
        return url
    except BaseException:  # Ctrl-C too: nothing that was started here is left
        keeper.terminate()
        keeper.wait()
        _end(folder)
        raise


def free_port(kept: Path, taken: int = 0) -> int:
    """The port that the file names if it is free, else another, which it names then; not ``taken``.

    Runs and workers that were under way when a server ended find the next one in its place; links
    to pages go on leading there.
    """
    try:
        last = int(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        last = 0
    for wanted in (last, 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted if 0 <= wanted < 2**16 else 0))
            except OSError:
                continue
            port = int(probe.getsockname()[1])
        if port == taken:  # by the server beside, which has not begun to listen
            continue
        write_text(kept, f"{port}\n")
        return port
    raise UserError("Prefect server: no port of 127.0.0.1 is free; expected one")


def _owner() -> psutil.Process:
    """The outermost ``dvc`` above this process, else this process: who needs the server."""
    me = psutil.Process()
    above = [process for process in me.parents() if _is_dvc(process)]
    return above[-1] if above else me


def _is_dvc(process: psutil.Process) -> bool:
    """Whether a process is ``dvc ...``, ``python .../dvc ...`` or ``python -m dvc ...``."""
    try:
        words = process.cmdline()[:3]
    except psutil.Error:
        return False
    names = [Path(word).name for word in words]
    python = bool(names) and names[0].startswith("python")
    return names[:1] == ["dvc"] or (python and "dvc" in (names[1:2] + names[2:3] * ("-m" in words)))


def _register(folder: Path, owner: psutil.Process) -> None:
    write_json(folder / "users" / f"{owner.pid}.json", record_of(owner))


def main() -> int:
    """``python -m flows.server start|stop``."""
    parser = argparse.ArgumentParser(prog="python -m flows.server", description=__doc__)
    parser.add_argument("action", choices=["start", "stop"])
    arguments = parser.parse_args()
    root = settle()
    if arguments.action == "stop":
        print("Prefect server: stopped" if stop(root) else "Prefect server: none was running")
        return 0
    chosen = os.environ.get("PREFECT_API_URL")
    try:
        if chosen:
            print(f"Prefect server: using PREFECT_API_URL={_answering(chosen)}")
            return 0
        url, new = start(root)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Prefect server: interrupted; nothing was left running", file=sys.stderr)
        return 130
    print(
        f"Prefect server: {'started' if new else 'running'} at {url.removesuffix('/api')}; "
        "stop it with: make server-stop"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
