"""Progress on standard error: what, how many of how many, how long still.

Rich's bar on a terminal, elsewhere a line now and then.
"""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Bar", "Pace", "Progress", "duration"]

_FIRST_LINE = 10.0  # seconds until the first line where there is no terminal
_SHARE = 0.1  # of the time gone: as long as that until the next one, so that a log stays short
_LONGEST = 300.0  # seconds: nobody who looks on waits longer for a line
_WINDOW = 120.0  # seconds of the recent past that an estimate goes by
_SAMPLE = 0.5  # seconds between what is kept of it

_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))

Clock = Callable[[], float]


class Bar:
    """A running count. ``advance`` is cheap enough to call at every step."""

    def __init__(
        self, total: int, show: Callable[[int, str], None], pace: Pace | None = None
    ) -> None:
        self.total = total
        self.done = 0
        self._show = show
        self._pace = pace
        self._begun = False

    def advance(self, by: int = 1, note: str = "") -> None:
        """Count ``by`` more; ``note`` stands behind the count."""
        self._begun = True
        self.done += by
        self._show(self.done, note)

    def start_at(self, done: int, note: str = "") -> None:
        """Count all of the work that is done, whoever has done it.

        What is there before anything was counted took no time: no estimate goes by it.
        """
        if self._pace is not None and not self._begun:
            self._pace.begin_at(done)
        self._begun = True
        self.done = done
        self._show(done, note)


class Pace:
    """How long the rest takes: ``(total - done) / rate``, the rate that of the last two minutes.

    Work that goes on from half its way, or whose steps grow dearer, is told by how fast it is now.
    """

    def __init__(self, total: int, clock: Clock = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self.begun = clock()
        self._seen: deque[tuple[float, int]] = deque([(self.begun, 0)])

    def begin_at(self, done: int) -> None:
        """Forget what was seen: ``done`` was there before."""
        self._seen = deque([(self._clock(), done)])

    def see(self, done: int) -> None:
        """Take note of how much is done by now."""
        now = self._clock()
        if now - self._seen[-1][0] >= _SAMPLE:
            self._seen.append((now, done))
            while len(self._seen) > 2 and now - self._seen[1][0] > _WINDOW:
                self._seen.popleft()

    def gone(self) -> float:
        """Seconds since the work began."""
        return self._clock() - self.begun

    def left(self, done: int) -> float | None:
        """Seconds that the rest will take; None while too little was seen to say."""
        then, before = self._seen[0]
        spent, made = self._clock() - then, done - before
        if made <= 0 or spent < _SAMPLE:
            return None
        return max(self._total - done, 0) * spent / made

    def words(self, done: int) -> str:
        """``about 3 min left``, or nothing while nothing can be said."""
        seconds = self.left(done)
        return "" if seconds is None or done >= self._total else f"about {duration(seconds)} left"


class Progress:
    """Makes bars; silent when asked to be."""

    def __init__(self, shown: bool = True, clock: Clock = time.monotonic) -> None:
        self._shown = shown
        self._clock = clock

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Bar]:
        """A bar for the time of a ``with`` block."""
        pace = Pace(total, self._clock)
        if not self._shown:
            yield Bar(total, lambda done, note: None)
        elif sys.stderr.isatty():
            with _rich(label, total, pace) as bar:
                yield bar
        else:
            yield Bar(total, _lines(label, total, pace), pace)

    def say(self, line: str) -> None:
        """Say a line of its own, e.g. what is being waited for."""
        if self._shown:
            sys.stderr.write(line + "\n")


def duration(seconds: float) -> str:
    """Seconds in words, two units at most: ``0.4 s``, ``42 s``, ``3 min 20 s``, ``14 h``."""
    for size, unit, part, smaller in _UNITS:
        if seconds >= size - part / 2:
            step = part if seconds < 10 * size else size  # more an estimate does not know
            many, rest = divmod(round(seconds / step) * step, size)
            return f"{many} {unit}" + (f" {rest // part} {smaller}" if rest else "")
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{round(seconds)} s"


@contextmanager
def _rich(label: str, total: int, pace: Pace) -> Iterator[Bar]:
    from rich import progress
    from rich.console import Console
    from rich.table import Column

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("{task.fields[left]}", markup=False),
        progress.TextColumn(
            "{task.fields[note]}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis"),
        ),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as display:
        task = display.add_task(label, total=total, note="", left="")
        kept = [""]

        def show(done: int, note: str) -> None:
            kept[0] = note or kept[0]
            pace.see(done)
            display.update(task, completed=done, note=kept[0], left=pace.words(done))

        yield Bar(total, show, pace)


def _lines(label: str, total: int, pace: Pace) -> Callable[[int, str], None]:
    due = [_FIRST_LINE]

    def show(done: int, note: str) -> None:
        pace.see(done)
        gone = pace.gone()
        if (done < total and gone < due[0]) or due[0] == math.inf:
            return
        if done >= total:
            due[0] = math.inf  # that was the last one
            words = f" in {duration(gone)}"
        else:
            due[0] = gone + min(max(_FIRST_LINE, _SHARE * gone), _LONGEST)
            told = [f"{100 * done // total} %", duration(gone), pace.words(done)]
            words = "".join(f", {word}" for word in told if word)
        sys.stderr.write(f"{label}: {done}/{total}{words}" + (f"; {note}\n" if note else "\n"))
        sys.stderr.flush()

    return show
