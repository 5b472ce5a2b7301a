"""What somebody else may have written: as JSON, in a line's words, or one kind of error."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from typing import Any

__all__ = ["Place", "as_json", "parse_json", "shown"]

Place = tuple[str | int, ...]  # the keys of mappings and places in lists that lead to a value

_DEEPEST = 100  # lists and mappings within each other; nothing of ours comes near
_LONGEST = 80  # characters of a found value that a line repeats
_MOST_BITS = 14_000  # of an integer that Python writes without being asked twice


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


def as_json(raw: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[Place, str]]:
    """A copy of what YAML or a program gave that JSON can say, and what it cannot say.

    The second are the words for what was found, by its place, where the copy has null: NaN and
    infinities, sets, dates, binary data, halves of a character, integers of thousands of digits,
    and what is nested a hundred deep, as a list is that contains itself.
    """
    plain: dict[str, Any] = {}
    odd: dict[Place, str] = {}
    for key, entry in raw.items():
        place = (as_key(key),)
        try:
            plain[place[0]] = _copied(entry, place, odd)
        except RecursionError:
            plain[place[0]], odd[place] = None, "nested too deeply"
    return plain, odd


def as_key(key: Any) -> str:
    """A key of a mapping as ``as_json`` has it: text, whatever YAML made of it."""
    return key if isinstance(key, str) and _is_json(key) else shown(key)


def shown(value: Any, longest: int = _LONGEST) -> str:
    """A found value as a line repeats it: JSON, cut where it is long, no character unseen."""
    if isinstance(value, float):
        return str(value)  # also what JSON has not: nan, inf
    try:
        text = json.dumps(value, ensure_ascii=False, default=_other)
    except (RecursionError, TypeError, ValueError):
        return _other(value)
    if not isinstance(value, bool | int | str | list | tuple | dict | None):
        return _other(value)
    text = text if len(text) <= longest else f"{text[:longest]}..."
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def _copied(value: Any, place: Place, odd: dict[Place, str]) -> Any:
    if len(place) > _DEEPEST:
        raise RecursionError
    if isinstance(value, Mapping):
        keys = {as_key(key): key for key in value}
        return {key: _copied(value[keys[key]], (*place, key), odd) for key in keys}
    if isinstance(value, list | tuple):
        return [_copied(entry, (*place, n), odd) for n, entry in enumerate(value)]
    if _is_json(value):
        return value
    odd[place] = shown(value) + (", half a character" if isinstance(value, str) else "")
    return None


def _is_json(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= one <= "\udfff" for one in value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return value.bit_length() <= _MOST_BITS
    return value is None


def _other(value: Any) -> str:
    for kinds, words in (
        (set | frozenset, "a set"),
        (bytes, "binary data"),
        (datetime.date, "a date"),
        (int, "an integer of thousands of digits"),
        (Mapping | list | tuple, "nested too deeply"),
    ):
        if isinstance(value, kinds):
            return words
    return "a value that JSON does not have"


def _within(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
