"""The one error that a user's mistake becomes."""

from __future__ import annotations

__all__ = ["UserError"]


class UserError(Exception):
    """A user's mistake, told in one line each.

    A line names the thing, what was found and what was expected, and reads well on its own: the
    command line and the flows print it without a traceback and end with exit code 2.
    """

    def __init__(self, *lines: str) -> None:
        self.lines = tuple(" ".join(line.split()) for line in lines)
        super().__init__("\n".join(self.lines))
