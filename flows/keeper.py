"""The keeper of the project's Prefect server: it starts it, and ends it when nobody needs it.

Beside the server, and as long, it serves the pages of comparisons: Prefect's pages link to them,
and a browser follows no link from there to a file.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from flows.server import free_port, process_of, record_of, state_of
from geocore.errors import UserError
from geocore.report.folder_server import FolderServer
from geocore.runs.atomic import write_json
from geocore.runs.home import geocore_home
from geocore.runs.locks import hold
from tasks.environment import settle

__all__ = ["comparisons", "keep", "pages_url"]


def comparisons(root: Path) -> Path:
    """The folder of the pages that are served beside the project's server."""
    return geocore_home(root) / "comparisons"


def pages_url(root: Path) -> str | None:
    """Where a browser finds the pages of ``comparisons``; None where none are served from there.

    That is so with a server that the user has chosen, whose readers may sit at another machine.
    """
    state = state_of(root / ".prefect")
    chosen = os.environ.get("PREFECT_API_URL")
    if chosen not in (None, state.get("url")) or process_of(state.get("keeper")) is None:
        return None
    served = state.get("pages")
    if not isinstance(served, dict) or served.get("folder") != str(comparisons(root)):
        return None
    return str(served["url"]) if "url" in served else None


def keep(root: Path, port: int) -> int:
    """Run the server as a child, and end it when nobody needs it any more."""
    folder = root / ".prefect"
    command = [sys.executable, "-m", "prefect", "server", "start"]
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env=_environment(f"http://127.0.0.1:{port}/api"),
        preexec_fn=_die_with_me,
    )
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        with _pages(root, folder, port) as pages:
            state = {
                "keeper": record_of(psutil.Process()),
                "pages": pages,
                "server": record_of(psutil.Process(server.pid)),
                "url": f"http://127.0.0.1:{port}/api",
            }
            write_json(folder / "server.json", state)
            _wait(server, folder)
    finally:
        server.terminate()
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            server.kill()
    return 0


def _environment(url: str) -> dict[str, str]:
    """Of a server at ``url``; where the user says at which its pages find it, that is respected.

    Without a client's URL: a server that takes itself for a client asks itself at start. Its pages
    would then ask Prefect's usual port, so they are told this one.
    """
    bare = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    if not bare.keys() & {"PREFECT_SERVER_UI_API_URL", "PREFECT_UI_API_URL"}:
        bare["PREFECT_SERVER_UI_API_URL"] = url
    return bare


@contextlib.contextmanager
def _pages(root: Path, folder: Path, taken: int) -> Iterator[dict[str, str]]:
    """Pages of comparisons, served for the time of the block: from where, and at which address.

    Nothing where they cannot be: Prefect's server does not end for that.
    """
    served = comparisons(root)
    try:
        port = free_port(folder / "pages-port", taken)
        pages = FolderServer(served, f"Comparisons of {root.name}", port=port)
    except (OSError, UserError) as error:
        print(f"comparisons are not served: {error}", flush=True)  # into the server's log
        yield {}
        return
    with pages:
        threading.Thread(target=pages.run, daemon=True).start()
        try:
            yield {"folder": str(served), "url": pages.url}
        finally:
            pages.close()


def _wait(server: subprocess.Popen[bytes], folder: Path) -> None:
    """Until the server ends, or nobody needs it any more."""
    while server.poll() is None:
        time.sleep(1.0)
        # A flow that is just registering holds the lock: look again once it is free.
        if not _needed(folder):
            with hold(folder / "server.lock", "ending the Prefect server"):
                if not _needed(folder):
                    (folder / "server.json").unlink(missing_ok=True)
                    break


def _needed(folder: Path) -> bool:
    """Whether anybody who registered is still alive; forgets those who are not."""
    alive = False
    for entry in (folder / "users").glob("[!.]*.json"):
        try:
            user = json.loads(entry.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            user = None
        if process_of(user) is None:
            entry.unlink(missing_ok=True)
        else:
            alive = True
    return alive or (folder / "stay").exists()


def _die_with_me() -> None:
    """In the server's process, before it starts: have Linux end it if its keeper is killed."""
    if sys.platform == "linux":
        parent_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(keep(settle(), int(sys.argv[1])))
