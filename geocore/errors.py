"""The errors that are told in a line, without a traceback."""

from __future__ import annotations

__all__ = ["GateError", "UserError"]


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
