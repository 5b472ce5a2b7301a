"""Pages on 127.0.0.1: who may ask, and how an answer goes out.

``http.server`` of the standard library does it: a few addresses and a handful of readers need no
framework, and the core depends on none. What there is to ask for is said by ``PageServer``
(``geocore.report.live_server``) and ``FolderServer`` (``geocore.report.folder_server``).
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
import socketserver
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO, Self

from geocore.errors import UserError

__all__ = ["LOOPBACK", "Exchange", "LocalServer", "is_loopback"]

LOOPBACK = "127.0.0.1"

_PIECE = 1 << 18  # bytes of a file at a time
_PATIENCE = 30.0  # seconds that a reader may keep an answer waiting
_HEADERS = (
    ("Cache-Control", "no-store"),
    ("Connection", "close"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)


class LocalServer(ABC):
    """Listens at ``host:port``, in a ``with`` block; port 0: any that is free.

    It answers GET and HEAD alone, and those alone that ask it by its own name: where a foreign
    name was made to point here (DNS rebinding) the answer is 403, so that no page from elsewhere
    reads what is here. Raises ``UserError`` in one line if it cannot listen there.
    """

    def __init__(self, host: str = LOOPBACK, port: int = 0) -> None:
        if not 0 <= port <= 65535:
            raise UserError(f"--port is {port}; expected 0 to 65535, 0 for any that is free")
        if not host:  # which would mean all addresses of this machine
            raise UserError(f"--host is empty; expected an address, as {LOOPBACK}")
        self._host = host
        handler = type("Handler", (Exchange,), {"site": self})
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        kind = type("Server", (_Server,), {"address_family": family})
        try:
            self._server: _Server = kind((host, port), handler)
        except OSError as error:
            raise _refusal(host, port, error) from None
        self.port: int = self._server.server_port

    @abstractmethod
    def answer(self, path: str, exchange: Exchange) -> None:
        """Answer who asks for ``path``, which is without its query; in a thread of its own."""

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(self._host, self._host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def run(self) -> None:
        """Answer until ``close`` is called or Ctrl-C is pressed."""
        with suppress(KeyboardInterrupt):
            self._server.serve_forever(poll_interval=0.2)

    def close(self) -> None:
        """End ``run``, from another thread."""
        self._server.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Leave the port to others."""
        self._server.server_close()

    def is_own(self, name: str) -> bool:
        """Whether a ``Host`` header names this server.

        Beside its own name and ``localhost`` that is an address in digits, which nobody can point
        elsewhere: one of this machine alone, or any where it listens beyond this machine.
        """
        has_port = re.search(r":\d+$", name) is not None
        host, _, port = name.rpartition(":") if has_port else (name, "", "80")
        bare = host.removeprefix("[").removesuffix("]").lower()
        if port != str(self.port):
            return False
        if bare in ("localhost", self._host.lower()):
            return True
        beyond = not is_loopback(self._host)
        try:
            return ipaddress.ip_address(bare).is_loopback or beyond
        except ValueError:
            return beyond and bare == socket.gethostname().lower()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a reader that hangs keeps nothing alive
    request_queue_size = 32

    def server_bind(self) -> None:
        """Without asking a name server who we are, as the standard library would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that leaves in mid-answer is no event; a fault of ours is."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Exchange(BaseHTTPRequestHandler):
    """One request and its answer; of a HEAD the body is left out."""

    site: LocalServer
    server_version = "geocore"
    sys_version = ""
    timeout = _PATIENCE

    def do_GET(self) -> None:
        """What the site answers to who asks it by its own name."""
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or not self.site.is_own(hosts[0].strip()):
            self.refuse(403, "asked by another name than this server's own")
        else:
            self.site.answer(self.path.split("?", 1)[0], self)

    def do_HEAD(self) -> None:
        """The same; ``write`` leaves the body out."""
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A line of our own where the standard library repeats what was asked."""
        with suppress(OSError):
            self.refuse(405 if code == 501 else code, "expected GET or HEAD of a page")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for what happens to the runs."""

    def page(self, content: bytes) -> None:
        """A page of HTML, whole."""
        self.begin(200, "text/html; charset=utf-8", len(content))
        self.write(content)

    def file(self, page: BinaryIO) -> None:
        """A page of HTML that lies in a file: a piece at a time, whoever reads slowly."""
        size = os.fstat(page.fileno()).st_size
        self.begin(200, "text/html; charset=utf-8", size)
        while size > 0 and self.command != "HEAD" and (piece := page.read(min(size, _PIECE))):
            self.write(piece)
            size -= len(piece)

    def refuse(self, status: int, words: str) -> None:
        """A line of ASCII that says why there is no page."""
        told = f"{status}: {words}\n".encode("ascii")
        self.begin(status, "text/plain; charset=utf-8", len(told))
        self.write(told)

    def begin(self, status: int, kind: str, length: int | None) -> None:
        """The head of an answer; the connection ends with it."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if status == 405:
            self.send_header("Allow", "GET, HEAD")
        for name, value in _HEADERS:
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True

    def write(self, content: bytes) -> None:
        """Some of its body."""
        if self.command != "HEAD":
            self.wfile.write(content)


def _refusal(host: str, port: int, error: OSError) -> UserError:
    if error.errno == errno.EADDRINUSE:
        return UserError(f"--port {port}: taken; give another one, or 0 for any that is free")
    if error.errno == errno.EACCES:
        return UserError(f"--port {port}: not allowed; expected one above 1023, or 0 for any")
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return UserError(f"--host {host}: no address of this machine; expected one, as {LOOPBACK}")
    told = (error.strerror or type(error).__name__).lower()
    return UserError(f"--host {host} --port {port}: {told}; expected an address to listen at")
