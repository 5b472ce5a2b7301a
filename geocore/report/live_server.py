"""The server of one live page, and of the stream that tells its versions.

No file is ever opened by what a request asks for: the page is in memory. So no path leads out of a
folder.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from geocore.report.live_page import EVENTS, LivePage
from geocore.report.serving import LOOPBACK, Exchange, LocalServer

__all__ = ["PageServer"]

_HEARTBEAT = 15.0  # seconds between signs of life on a stream: so a reader that left is noticed
_STREAMS = 64  # readers of the stream at once


class PageServer(LocalServer):
    """Shows a ``LivePage`` at ``/``."""

    def __init__(self, host: str = LOOPBACK, port: int = 0) -> None:
        super().__init__(host, port)
        self.page: LivePage  # from `serve` on, before which nothing is answered
        self._streams = threading.BoundedSemaphore(_STREAMS)

    def serve(self, page: LivePage) -> None:
        """Show the page until ``close`` is called or Ctrl-C is pressed; it is watched meanwhile."""
        self.page = page
        with page.watching():
            self.run()

    def answer(self, path: str, exchange: Exchange) -> None:
        """The page, or the stream of its versions."""
        if path == "/":
            exchange.page(self.page.current[1])
        elif path == EVENTS:
            self._tell(exchange)
        else:
            exchange.refuse(404, "there is one page here, at /")

    def _tell(self, exchange: Exchange) -> None:
        """Each version as it comes, until the reader leaves or the server ends."""
        with self._stream() as taken:
            if not taken:
                exchange.refuse(503, "too many readers")
                return
            exchange.begin(200, "text/event-stream; charset=utf-8", None)
            version, _ = self.page.current
            told: str | None = version
            while exchange.command != "HEAD" and not self.page.ended:
                exchange.write(f"data: {told}\n\n".encode("ascii") if told else b": still here\n\n")
                version = told or version
                told = self.page.newer(version, _HEARTBEAT)

    @contextmanager
    def _stream(self) -> Iterator[bool]:
        """A place among the readers of the stream; False if all are taken."""
        taken = self._streams.acquire(blocking=False)
        try:
            yield taken
        finally:
            if taken:
                self._streams.release()
