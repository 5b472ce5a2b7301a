"""The errors that are told in a line, without a traceback."""

from __future__ import annotations

import re

__all__ = ["GateError", "UserError", "refused_by_system"]

_MEMORY = re.compile(r"out of memory|allocate memory|bad_alloc|start new thread", re.IGNORECASE)
_KILLED = re.compile(r"(?P<who>.+) ended with code -(?P<signal>\d+)\b")
_LONGEST = 100  # characters of a library's own words that a line repeats


class UserError(Exception):
    """A user's mistake, told in one line each.

    A line names the thing, what was found and what was expected, and reads well on its own: the
    command line and the flows print it without a traceback and end with ``exit_code``.
    """

    exit_code = 2

    def __init__(self, *lines: str) -> None:
        self.lines = tuple(" ".join(line.split()) for line in lines)
        super().__init__("\n".join(self.lines))


class GateError(UserError):
    """A bound was passed: everything worked, and what it found is not good enough."""

    exit_code = 1


def refused_by_system(error: BaseException, what: str) -> UserError | None:
    """The line for memory that was refused to ``what`` or a process of it that was killed.

    None for any other error. Memory is ``MemoryError``, or what torch, Arrow and the C++ library
    raise in its place, which is told by its words.
    """
    words = " ".join(str(error).split())
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _MEMORY.search(words)
    ):
        found = f" ({words[:_LONGEST]})" if words else ""
        return UserError(
            f"{what}: out of memory{found}; expected more of it, fewer runtime.workers or smaller "
            "batches: what is finished is kept, and the next run goes on"
        )
    if isinstance(error, RuntimeError) and (killed := _KILLED.match(words)):
        return UserError(
            f"{what}: {killed['who']} was killed (signal {killed['signal']}), as the system does "
            "where memory is short: what is finished is kept, and the next run goes on"
        )
    return None
