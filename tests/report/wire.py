"""What a server of this machine answers to bytes as they are, which no HTTP client would send."""

from __future__ import annotations

import socket

__all__ = ["answer", "got"]


def answer(port: int, request: bytes | str, *, lines: int | None = None) -> str:
    """What comes back for these bytes: all, or the first ``lines`` of it."""
    raw = request if isinstance(request, bytes) else request.encode("latin-1")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.sendall(raw)
        with wire.makefile("r", encoding="utf-8", errors="replace", newline="\n") as stream:
            if lines is None:
                return stream.read()
            return "".join(stream.readline() for _ in range(lines))


def got(port: int, path: str, method: str = "GET", host: str | None = None) -> str:
    """What comes back for a path, asked by the server's own name or another."""
    name = f"127.0.0.1:{port}" if host is None else host
    return answer(port, f"{method} {path} HTTP/1.1\r\nHost: {name}\r\n\r\n")
