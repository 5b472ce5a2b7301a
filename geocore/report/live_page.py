"""A page that is rendered again when what it tells of changes, and tells its readers so."""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from geocore.errors import UserError

__all__ = ["EVENTS", "LivePage", "fingerprint", "with_reload"]

EVENTS = "/events"  # where the server tells which version it has

_REST = 3.0  # times as long as rendering took nothing is rendered: at most a quarter of a core
_MOST = 10_000  # entries of a folder that are looked at, at most some 50 ms
_SCRIPT = """
(() => {
  const stream = new EventSource("EVENTS");
  stream.onmessage = (event) => {
    if (event.data !== "VERSION") { stream.close(); location.reload(); }
  };
  addEventListener("pagehide", () => stream.close());
})();
"""
_POLICY = re.compile(
    r'(<meta http-equiv="Content-Security-Policy" content=")([^"]*)(")', re.IGNORECASE
)


class LivePage:
    """What ``render`` gives, kept until what lies at ``watched`` changes and it gives another.

    ``watched`` are files and folders, looked at each ``every`` seconds as ``fingerprint`` does.
    Where rendering fails (a run is writing) the page stays as it was and ``on_trouble`` is told the
    line, once; ``on_change`` is called after each new page. Whatever ``render`` raises
    the first time is raised.
    """

    def __init__(
        self,
        render: Callable[[], str],
        watched: Iterable[Path],
        *,
        every: float = 1.0,
        on_trouble: Callable[[str], None] = lambda line: None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._render = render
        self._watched = tuple(watched)
        self._every = every
        self._on_trouble, self._on_change = on_trouble, on_change
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._version, self._page = "", b""
        self._seen = fingerprint(self._watched)
        self._take(render())

    @property
    def current(self) -> tuple[str, bytes]:
        """The page's version (a digest) and its bytes, which reload themselves."""
        with self._changed:
            return self._version, self._page

    @property
    def ended(self) -> bool:
        """Whether the watch is over."""
        return self._ended.is_set()

    def newer(self, version: str, seconds: float) -> str | None:
        """The version, once it is another one; None after ``seconds``, or at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._version != version or self._ended.is_set(), timeout=seconds
            )
            return None if self._ended.is_set() or self._version == version else self._version

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look for changes in a thread of its own for the time of a ``with`` block."""
        thread = threading.Thread(target=self._watch, name="live page", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            with self._changed:
                self._changed.notify_all()
            thread.join(timeout=1.0)  # what is rendered now nobody will read

    def _watch(self) -> None:
        rest, trouble = self._every, ""
        while not self._ended.wait(rest):
            rest = self._every
            now = fingerprint(self._watched)
            if now == self._seen:
                continue
            self._seen = now
            begun = time.monotonic()
            try:
                page = self._render()
            except Exception as error:  # whatever it is: the last page is better than none
                told = _told(error)
                if told != trouble and not self._ended.is_set():
                    self._on_trouble(told)
                trouble = told
            else:
                trouble = ""
                if self._take(page):
                    self._on_change()
            rest = max(self._every, _REST * (time.monotonic() - begun))

    def _take(self, page: str) -> bool:
        """Keep a page; False if it is the one that there was."""
        version = hashlib.sha256(page.encode("utf-8", "replace")).hexdigest()[:16]
        with self._changed:
            if version == self._version:
                return False
            self._version = version
            self._page = with_reload(page, version).encode("utf-8", "replace")
            self._changed.notify_all()
        return True


def _told(error: Exception) -> str:
    if isinstance(error, UserError) and error.lines:
        return error.lines[0]
    return " ".join(f"{type(error).__name__}: {error}".split())


def fingerprint(watched: Iterable[Path]) -> int:
    """A number that changes when a file at or below ``watched`` comes, goes, or is written.

    That is told by names, sizes and times of change; of a folder the first 10,000 entries count,
    but for ``__pycache__``.
    """
    return hash(tuple(entry for path in watched for entry in _states(path)))


def _states(path: Path) -> Iterator[tuple[str, int, int]]:
    below = islice(_below(path), _MOST) if path.is_dir() else ()
    for file in [path, *sorted(below)]:  # the folder too: what is replaced in it changes its time
        with suppress(OSError):  # it is not there, or went while it was looked for
            about = file.stat()
            yield str(file), about.st_mtime_ns, about.st_size


def _below(folder: Path) -> Iterator[Path]:
    """What lies below it; a folder that goes meanwhile, as a stage's does, is passed over."""
    for above, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (Path(above, name) for name in [*folders, *files])


def with_reload(page: str, version: str) -> str:
    """The page with a script that reloads it when the server has another version.

    A reload keeps the fragment of the address, where the page has its state. The page's own
    policy is widened by as much as that script needs: its digest, and the server's own stream.
    """
    script = _SCRIPT.replace("EVENTS", EVENTS).replace("VERSION", version)
    digest = base64.b64encode(hashlib.sha256(script.encode("ascii")).digest()).decode("ascii")

    def widened(found: re.Match[str]) -> str:
        policy: dict[str, list[str]] = {}
        for directive in filter(None, map(str.strip, html.unescape(found[2]).split(";"))):
            name, *values = directive.split()
            policy[name] = values
        scripts = [value for value in policy.get("script-src", []) if value != "'none'"]
        if "'unsafe-inline'" not in scripts:  # which a digest beside it would switch off
            scripts.append(f"'sha256-{digest}'")
        policy |= {"script-src": scripts, "connect-src": ["'self'"]}
        told = "; ".join(" ".join([name, *values]) for name, values in policy.items())
        return f"{found[1]}{html.escape(told, quote=False)}{found[3]}"

    head, end, tail = _POLICY.sub(widened, page, count=1).rpartition("</body>")
    return f"{head}<script>{script}</script>{end}{tail}"
