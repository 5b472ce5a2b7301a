"""As much of Prefect's API as a flow with client-side tasks asks for, until it fails on purpose."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

__all__ = ["FailingServer", "failing_server"]


class FailingServer:
    """The server's state: from the moment ``fails`` on it answers ``status`` to all but health.

    A moment is the state that a run asks for (``COMPLETED``), or ``start``; None: it never fails.
    """

    def __init__(self) -> None:
        self.url = ""
        self.fails: str | None = None
        self.status = 503
        self.failed: list[str] = []  # what it was asked and did not do, in order
        self._failing = False
        self._run: dict[str, Any] = {}

    def begin(self, fails: str | None, status: int = 503) -> None:
        self.fails, self.status, self.failed = fails, status, []
        self._failing = fails == "start"

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Status and content of an answer."""
        if path == "/api/health":
            return 200, True
        asked: Any = body.get("state")
        if path.endswith("/set_state"):
            self._failing |= asked["type"] == self.fails
        if self._failing:
            self.failed.append(f"{path.rpartition('/')[2]} {(asked or {}).get('type', '')}".strip())
            return self.status, {"exception_message": "not now"}
        if path == "/api/admin/version":
            from prefect import __version__

            return 200, __version__
        if path.startswith("/api/csrf-token"):
            return 422, {"detail": "CSRF protection is disabled."}
        if path == "/api/flows/":
            return 201, {"id": str(uuid4()), "name": body["name"]}
        if path == "/api/flow_runs/":
            self._run = {"id": str(uuid4()), "flow_id": body["flow_id"], "name": "run"}
        elif path.endswith("/set_state"):
            self._run["state"] = {**asked, "id": str(uuid4())}
            details = {"type": "accept_details"}
            return 201, {"status": "ACCEPT", "state": self._run["state"], "details": details}
        elif not path.startswith("/api/flow_runs/"):
            return 404, {"detail": "Not Found"}
        if asked:
            self._run["state"] = {**asked, "id": str(uuid4())}
        return 200, self._run


@contextmanager
def failing_server() -> Iterator[FailingServer]:
    """One on 127.0.0.1, for the time of the block; what it fails may be asked again at once."""
    state = FailingServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.do_POST()

        def do_PATCH(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(content) if content.startswith(b"{") else {}
            status, found = state.answer(self.path, body)
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}/api"
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
