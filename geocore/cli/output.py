"""One document on standard output, everything else on standard error; stable exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from geocore.errors import UserError

__all__ = ["FOUND", "MISTAKE", "Json", "emit", "mistakes"]

FOUND = 1  # the command worked, and what it looked for is wrong (a fault, a failed stage)
MISTAKE = 2  # the user's mistake: unknown name, malformed file

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def emit(value: Any, as_json: bool, show: Callable[[], None]) -> None:
    """Print ``value`` as one JSON document, or call ``show`` for a person."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, default=str) + "\n")
    else:
        show()


@contextmanager
def mistakes() -> Iterator[None]:
    """Turn a ``UserError`` into its lines on standard error and exit code 2."""
    try:
        yield
    except UserError as error:
        for line in error.lines:
            typer.echo(f"error: {line}", err=True)
        raise typer.Exit(MISTAKE) from None
