"""Several calls at a time, each in a thread of its own: for work that waits for other processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

__all__ = ["at_once"]

T = TypeVar("T")


def at_once(
    calls: Sequence[Callable[[], T]],
    threads: int,
    *,
    wait: bool = True,
    begin: Callable[[], object] | None = None,
) -> Iterator[tuple[int, T]]:
    """``(place, calls[place]())`` of each call as it ends, ``threads`` of them at a time.

    The first that raises ends all: no more are begun, and with ``wait`` those under way have ended
    when its error is raised. Without, who asked must end them. So it is where nobody takes the
    rest. ``begin`` is called first in each thread.
    """
    pool = ThreadPoolExecutor(threads, initializer=begin)
    try:
        places = {pool.submit(call): place for place, call in enumerate(calls)}
        for done in as_completed(places):
            yield places[done], done.result()
    finally:
        pool.shutdown(wait=wait, cancel_futures=True)
