"""Progress on standard error: rich's bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Bar", "Progress"]

_LINE_EVERY = 10.0  # seconds between lines where there is no terminal


class Bar:
    """A running count. ``advance`` is cheap enough to call at every step."""

    def __init__(self, total: int, show: Callable[[int, str], None]) -> None:
        self.total = total
        self.done = 0
        self._show = show

    def advance(self, by: int = 1, note: str = "") -> None:
        """Count ``by`` more; ``note`` stands behind the count."""
        self.done += by
        self._show(self.done, note)

    def start_at(self, done: int, note: str = "") -> None:
        """Count all of the work that is done, whoever has done it."""
        self.done = done
        self._show(done, note)


class Progress:
    """Makes bars; silent when asked to be."""

    def __init__(self, shown: bool = True) -> None:
        self._shown = shown

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Bar]:
        """A bar for the time of a ``with`` block."""
        if not self._shown:
            yield Bar(total, lambda done, note: None)
        elif sys.stderr.isatty():
            with _rich(label, total) as bar:
                yield bar
        else:
            yield Bar(total, _lines(label, total))

    def say(self, line: str) -> None:
        """Say a line of its own, e.g. what is being waited for."""
        if self._shown:
            sys.stderr.write(line + "\n")


@contextmanager
def _rich(label: str, total: int) -> Iterator[Bar]:
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[note]}"),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as display:
        task = display.add_task(label, total=total, note="")
        kept = [""]

        def show(done: int, note: str) -> None:
            kept[0] = note or kept[0]
            display.update(task, completed=done, note=kept[0])

        yield Bar(total, show)


def _lines(label: str, total: int) -> Callable[[int, str], None]:
    last = [time.monotonic()]

    def show(done: int, note: str) -> None:
        now = time.monotonic()
        if done >= total or now - last[0] >= _LINE_EVERY:
            last[0] = now
            sys.stderr.write(f"{label}: {done}/{total} {note}".rstrip() + "\n")
            sys.stderr.flush()

    return show
