"""What somebody else may have written: as JSON, in a line's words, or one kind of error."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["Place", "as_json", "as_key", "is_long", "parse_json", "shown"]

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


def as_json(
    raw: Mapping[Any, Any],
) -> tuple[dict[str, Any], dict[Place, str], dict[Place, Any]]:
    """A copy of what YAML or a program gave that JSON can say, and what it cannot say.

    The second are the words for what was found, by its place, where the copy has null: NaN and
    infinities, sets, dates, binary data, halves of a character, integers of thousands of digits,
    what contains itself and what is nested a hundred deep. The third are the keys that the copy has
    as other text, by the place that they have there.
    """
    plain: dict[str, Any] = {}
    odd: dict[Place, str] = {}
    keys: dict[str, dict[Place, Any]] = {}
    for key, entry in raw.items():
        text, copy = as_key(key), _Copy()
        try:
            plain[text] = copy.of(entry, (text,))
        except _EndlessError as error:
            plain[text], copy.odd = None, {(text,): str(error)}
        odd |= copy.odd
        keys[text] = copy.keys if text is key else {(text,): key} | copy.keys
    return plain, odd, {place: key for inner in keys.values() for place, key in inner.items()}


def as_key(key: Any) -> str:
    """A key of a mapping as ``as_json`` has it: text, whatever YAML made of it."""
    return key if isinstance(key, str) and _is_json(key) else shown(key)


def shown(value: Any, longest: int = _LONGEST) -> str:
    """A found value as a line repeats it: JSON, cut where it is long, no character unseen."""
    if isinstance(value, float):
        return str(value)  # also what JSON has not: nan, inf
    if not isinstance(value, str | list | tuple | Mapping) and not _is_json(value):
        return _other(value)
    text = ""
    for piece in _written(value, longest):  # no more of it than is told: it may have no end
        text += piece
        if len(text) > longest:
            text = f"{text[:longest]}..."
            break
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def _written(value: Any, longest: int) -> Iterator[str]:
    """A value as JSON, piece by piece, what is not JSON in words; long strings are cut."""
    if isinstance(value, Mapping):
        yield "{"
        for n, (key, entry) in enumerate(value.items()):
            yield ", " if n else ""
            yield from _written(key if isinstance(key, str) else as_key(key), longest)
            yield ": "
            yield from _written(entry, longest)
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for n, entry in enumerate(value):
            yield ", " if n else ""
            yield from _written(entry, longest)
        yield "]"
    elif isinstance(value, str):
        yield json.dumps(value[:longest], ensure_ascii=False)
    else:
        yield json.dumps(value if isinstance(value, float) or _is_json(value) else _other(value))


class _EndlessError(Exception):
    """What is copied contains itself, or is nested too deeply."""


class _Copy:
    """One copy, by ``of``: ``odd`` is what JSON cannot say in it, ``keys`` what its keys were."""

    def __init__(self) -> None:
        self.odd: dict[Place, str] = {}
        self.keys: dict[Place, Any] = {}
        self._above: set[int] = set()  # the lists and mappings that are being copied

    def of(self, value: Any, place: Place) -> Any:
        if len(place) > _DEEPEST:
            raise _EndlessError("nested too deeply")
        is_mapping = isinstance(value, Mapping)
        if is_mapping or isinstance(value, list | tuple):
            if id(value) in self._above:
                raise _EndlessError(f"a {'mapping' if is_mapping else 'list'} that contains itself")
            self._above.add(id(value))
            copied = self._mapping(value, place) if is_mapping else self._list(value, place)
            self._above.remove(id(value))
            return copied
        if _is_json(value):
            return value
        self.odd[place] = shown(value) + (", half a character" if isinstance(value, str) else "")
        return None

    def _mapping(self, value: Mapping[Any, Any], place: Place) -> dict[str, Any]:
        keys = {as_key(key): key for key in value}
        self.keys |= {(*place, text): key for text, key in keys.items() if text is not key}
        return {text: self.of(value[key], (*place, text)) for text, key in keys.items()}

    def _list(self, value: Sequence[Any], place: Place) -> list[Any]:
        return [self.of(entry, (*place, n)) for n, entry in enumerate(value)]


def is_long(value: Any) -> bool:
    """Whether a value is an integer of more digits than Python writes."""
    return isinstance(value, int) and value.bit_length() > _MOST_BITS


def _is_json(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= one <= "\udfff" for one in value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return not is_long(value)
    return value is None


def _other(value: Any) -> str:
    for kinds, words in (
        (set | frozenset, "a set"),
        (bytes, "binary data"),
        (datetime.date, "a date"),
        (int, "an integer of thousands of digits"),
    ):
        if isinstance(value, kinds):
            return words
    return "a value that JSON does not have"


def _within(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
