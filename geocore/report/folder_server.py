"""The server of pages that lie in one folder: those that each ``repro`` flow leaves.

A name that is asked for is one of letters, digits, ``-`` and ``_``, and of a file of that folder
itself: no path, and no link, leads out of it.
"""

from __future__ import annotations

import html
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from geocore.report.serving import LOOPBACK, Exchange, LocalServer

__all__ = ["FolderServer"]

_PAGE = re.compile(r"/([0-9A-Za-z_-]+\.html)")
_LIST = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>body {{ font: 16px/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 40rem;
padding: 0 1rem }}</style></head>
<body><h1>{title}</h1>{pages}</body></html>
"""


class FolderServer(LocalServer):
    """Shows the pages ``NAME.html`` of ``folder``, and at ``/`` a list of them, the last first.

    The folder need not be there yet. ``title`` stands above the list.
    """

    def __init__(self, folder: Path, title: str, host: str = LOOPBACK, port: int = 0) -> None:
        super().__init__(host, port)
        self._folder, self._title = folder, title

    def answer(self, path: str, exchange: Exchange) -> None:
        """A page as it lies there, or the list."""
        if path == "/":
            exchange.page(self._list())
        elif (page := self._open(path)) is not None:
            with page:
                exchange.file(page)
        else:
            exchange.refuse(404, "no such page; those that are here are listed at /")

    def _open(self, path: str) -> BinaryIO | None:
        named = _PAGE.fullmatch(path)
        if named is None:
            return None
        try:  # a pipe does not hold us up either
            found = os.open(self._folder / named[1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        if not stat.S_ISREG(os.fstat(found).st_mode):
            os.close(found)
            return None
        return os.fdopen(found, "rb")

    def _list(self) -> bytes:
        try:
            with os.scandir(self._folder) as entries:
                found = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        except OSError:
            found = []
        # Runs' names, which begin with their time; what the pattern lets through needs no escape.
        names = [name for name in found if _PAGE.fullmatch(f"/{name}")]
        links = [
            f'<li><a href="{name}">{name.removesuffix(".html")}</a></li>'
            for name in sorted(names, reverse=True)
        ]
        pages = f"<ul>{''.join(links)}</ul>" if links else "<p>There is none yet.</p>"
        return _LIST.format(title=html.escape(self._title), pages=pages).encode()
