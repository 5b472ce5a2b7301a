"""Work in a process of its own: a line of JSON asks for it, lines of JSON answer.

Answers are ``{"told"}`` now and then, at the end ``{"done"}`` or ``{"error"}``. When the standard
input of the process ends, whoever asked is gone, and so is the process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import geocore
from geocore.errors import UserError

__all__ = ["Say", "ask", "opened", "serve"]

Say = Callable[[Any], None]
"""Tells whoever asked how far the work is, in values that JSON can hold."""

Process = subprocess.Popen[str]

_HOME = Path(geocore.__file__).parents[1]


@contextmanager
def opened(module: str, variables: Mapping[str, str] | None = None) -> Iterator[Process]:
    """``python -m module``, which ``serve``s, with ``variables`` in its environment.

    Leaving the ``with`` block ends it; it ends too when this process does, however it ends.
    """
    path = os.pathsep.join([str(_HOME), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, **(variables or {})},
    )
    assert process.stdin is not None and process.stdout is not None  # both are pipes
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        with suppress(BrokenPipeError):  # of a request that nobody read
            process.stdin.close()
        process.stdout.close()


def ask(process: Process, request: Any, on_told: Say, who: str) -> Any:
    """What the work of ``request`` came to; on the way ``on_told`` hears what it tells.

    Raises the ``UserError`` that the work raised, and ``RuntimeError``, which calls the process
    ``who``, if it died.
    """
    assert process.stdin is not None and process.stdout is not None  # both are pipes
    with suppress(BrokenPipeError):  # then there is no answer either
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
    for line in process.stdout:
        answer = json.loads(line)
        if "done" in answer:
            return answer["done"]
        if "error" in answer:
            raise UserError(*answer["error"])
        on_told(answer["told"])
    raise RuntimeError(f"{who} ended with code {process.wait()}; expected an answer")


def serve(work: Callable[[Any, Say], Any]) -> int:
    """Do ``work(request, say)`` for whoever started this process; its exit code.

    That of a user's mistake is the mistake's.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asked
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_watch, daemon=True).start()
    try:
        _answer(done=work(request, lambda told: _answer(told=told)))
    except UserError as error:
        _answer(error=list(error.lines))
        return error.exit_code
    return 0


def _answer(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def _watch() -> None:
    """End this process once the other end of standard input is closed."""
    while os.read(0, 4096):
        pass
    os._exit(1)
