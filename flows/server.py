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
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from geocore.errors import UserError
from geocore.runs.atomic import write_json
from geocore.runs.locks import hold
from tasks.environment import settle

__all__ = ["api_url", "start", "stop"]

_PATIENCE = 120.0  # seconds for a start; 9 to 23 were seen on two cores


def api_url(root: Path) -> str:
    """The URL of a server that answers, starting one for the time of this pipeline if need be."""
    chosen = os.environ.get("PREFECT_API_URL")
    if chosen:
        return chosen
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
    state = _state(folder)
    (folder / "server.json").unlink(missing_ok=True)
    (folder / "stay").unlink(missing_ok=True)
    keeper = _process(state)
    if keeper is None:
        return False
    family = [*keeper.children(recursive=True), keeper]
    for process in family:
        _quietly(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=10)
    for process in alive:
        _quietly(process, signal.SIGKILL)
    return True


def _quietly(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _state(folder: Path) -> dict[str, object]:
    try:
        state = json.loads((folder / "server.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _process(state: dict[str, object]) -> psutil.Process | None:
    """The process of a record with ``pid`` and ``born``, if it still runs (pids are reused)."""
    try:
        process = psutil.Process(int(str(state["pid"])))
        return process if abs(process.create_time() - float(str(state["born"]))) < 1 else None
    except (KeyError, ValueError, psutil.Error):
        return None


def _running(folder: Path) -> str | None:
    state = _state(folder)
    url = state.get("url")
    return str(url) if url and _process(state) and _healthy(str(url)) else None


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _launch(root: Path, folder: Path, *, stay: bool) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stay").unlink(missing_ok=True)
    if stay:
        (folder / "stay").touch()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    with (folder / "server.log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "flows.server", "keep", str(port)],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    born = psutil.Process(keeper.pid).create_time()
    deadline = time.monotonic() + _PATIENCE
    while not _healthy(url):
        if keeper.poll() is not None or time.monotonic() > deadline:
            keeper.terminate()
            raise UserError(
                f"Prefect server: no answer from {url}; expected one within {_PATIENCE:.0f} s "
                f"(its log: {folder / 'server.log'})"
            )
        time.sleep(0.2)
    write_json(folder / "server.json", {"pid": keeper.pid, "born": born, "url": url})
    return url


def _owner() -> psutil.Process:
    """The outermost ``dvc`` above this process, else this process: who needs the server."""
    me = psutil.Process()
    above = [process for process in me.parents() if _is_dvc(process)]
    return above[-1] if above else me


def _is_dvc(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()[:4]
    except psutil.Error:
        return False
    return any(Path(word).name == "dvc" for word in words)


def _register(folder: Path, owner: psutil.Process) -> None:
    users = folder / "users"
    users.mkdir(parents=True, exist_ok=True)
    write_json(users / f"{owner.pid}.json", {"pid": owner.pid, "born": owner.create_time()})


def _needed(folder: Path) -> bool:
    """Whether anybody who registered is still alive; forgets those who are not."""
    alive = False
    for entry in (folder / "users").glob("*.json"):
        try:
            user = json.loads(entry.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if _process(user) is None:
            entry.unlink(missing_ok=True)
        else:
            alive = True
    return alive or (folder / "stay").exists()


def _keep(root: Path, port: int) -> int:
    """Run the server as a child and end it when nobody needs it any more."""
    folder = root / ".prefect"
    command = [sys.executable, "-m", "prefect", "server", "start"]
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)], env=_bare_environment()
    )

    def end(*_: object) -> None:
        server.terminate()

    signal.signal(signal.SIGTERM, end)
    while server.poll() is None:
        time.sleep(1.0)
        if not _needed(folder):
            # A flow that is just registering holds this lock; look again once it is free.
            with hold(folder / "server.lock", "ending the Prefect server"):
                if not _needed(folder):
                    (folder / "server.json").unlink(missing_ok=True)
                    server.terminate()
                    break
    try:
        return server.wait(timeout=15)
    except subprocess.TimeoutExpired:
        server.kill()
        return 1


def _bare_environment() -> dict[str, str]:
    """Without a client's URL: a server that takes itself for a client asks itself at start."""
    return {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}


def main() -> int:
    """``python -m flows.server start|stop|keep PORT``."""
    parser = argparse.ArgumentParser(prog="python -m flows.server", description=__doc__)
    parser.add_argument("action", choices=["start", "stop", "keep"])
    parser.add_argument("port", type=int, nargs="?", help="of keep, which start calls")
    arguments = parser.parse_args()
    root = settle()
    if arguments.action == "keep":
        return _keep(root, arguments.port)
    if arguments.action == "stop":
        print("Prefect server: stopped" if stop(root) else "Prefect server: none was running")
        return 0
    if os.environ.get("PREFECT_API_URL"):
        print(f"Prefect server: using PREFECT_API_URL={os.environ['PREFECT_API_URL']}")
        return 0
    try:
        url, new = start(root)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"Prefect server: {'started' if new else 'running'} at {url.removesuffix('/api')}; "
        "stop it with: make server-stop"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
