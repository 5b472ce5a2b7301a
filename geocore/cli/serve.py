"""Serving a page on this machine while it is looked at: what ``geocore compare --serve`` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["DEFAULT_PORT", "Host", "Port", "Serve", "serve"]

DEFAULT_PORT = 8090

Serve = Annotated[
    bool,
    typer.Option("--serve", help="Serve the page on 127.0.0.1; it reloads while runs go on."),
]
Port = Annotated[
    int, typer.Option("--port", help="Where --serve listens; 0: any port that is free.")
]
Host = Annotated[
    str,
    typer.Option("--host", help="The address that --serve listens at, for others to read along."),
]


def serve(
    names: Sequence[str],
    render: Callable[[], str],
    root: Path,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
) -> None:
    """Serve what ``render`` gives until Ctrl-C; print where, and each time that it changed.

    ``names`` are what is compared. ``render`` is called at once, and again when a file below
    ``root`` changes that its page is made of. Raises ``UserError`` for what ``render`` finds wrong
    the first time, and where nothing can listen at ``host:port``.
    """
    from geocore.report.live_page import LivePage
    from geocore.report.live_server import PageServer
    from geocore.report.serving import is_loopback
    from geocore.report.watched import watched
    from geocore.report.words import plain

    with PageServer(host, port) as server:  # first: a port that is taken is told at once
        page = LivePage(
            render,
            watched(root, names),
            on_trouble=lambda line: _say(f"the page stays as it was: {plain(line)}"),
            on_change=lambda: _say("the runs have changed: the page is new"),
        )
        if not is_loopback(host):
            _say(f"warning: --host {host}: whoever reaches this machine reads the page, unasked")
        _say(f"{plain(', '.join(names))}: {server.url}  (Ctrl-C ends it)")
        server.serve(page)
    _say("ended")


def _say(line: str) -> None:
    typer.echo(line, err=True)
