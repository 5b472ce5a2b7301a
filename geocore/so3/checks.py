"""What the doors of this room ask of their arguments."""

from __future__ import annotations

__all__ = ["is_whole"]


def is_whole(value: object) -> bool:
    """Whether ``value`` is an integer; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)
