"""JSON that somebody else may have written: a value, or one kind of error."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["parse_json"]

_DEEPEST = 100  # lists and mappings within each other; nothing of ours comes near


def parse_json(text: str | bytes) -> Any:
    """The value that ``text`` holds, at most a hundred lists and mappings deep.

    NaN and infinity, which Python writes and JSON has not, are taken: numbers are for the reader to
    check. Raises ``ValueError`` for whatever else is no JSON, is no UTF-8, or is nested deeper: a
    value that is returned can be written and walked through without ``RecursionError``.
    """
    try:
        value = json.loads(text if isinstance(text, str) else text.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    level = [value]
    for _ in range(_DEEPEST + 1):
        level = [inner for entry in level for inner in _within(entry)]
        if not level:
            return value
    raise ValueError("nested too deeply")


def _within(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
