"""Cron expressions, as far as Prefect's scheduler takes them: five fields, or a word with @."""

from __future__ import annotations

import re

__all__ = ["cron_fault"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, ("", *_MONTHS)),
    ("weekday", 0, 7, _WEEKDAYS),
    ("second", 0, 59, ()),  # Prefect has it last, and seldom
)
_WORDS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_ITEM = re.compile(r"(?P<low>\*|\w+)(-(?P<high>\w+))?(/(?P<step>\d+))?")
_LAST_WEEKDAY = re.compile(r"l[0-7]|(\w+)#[1-5]")  # of a month: its last Friday, its third


def cron_fault(expression: str) -> str | None:
    """What is wrong with it, ``hour is 99; expected 0 to 23``; None if it comes due some day.

    Five fields, minute to weekday, or six with the seconds last: ``*``, numbers, names of months
    and weekdays, ranges, steps and lists of these; or ``@daily`` and its like.
    """
    fields = expression.lower().split()
    if fields and fields[0].startswith("@"):
        return None if fields[0] in _WORDS and len(fields) == 1 else _expected(expression)
    if len(fields) not in (5, 6):
        return _expected(expression)
    meant = []
    for text, (field, first, last, names) in zip(fields, _FIELDS, strict=False):
        values = _field_values(text, first, last, names)
        if not values:
            return f"{field} is {text!r}; expected {first} to {last}"
        meant.append(values)
    if fields[4] not in ("*", "?"):
        return None  # due on a weekday as well as on a day of the month
    if all(min(meant[2]) > _LONGEST_MONTHS[month - 1] for month in meant[3]):
        return f"{expression!r} never comes; expected a day that its months have"
    return None


def _expected(expression: str) -> str:
    return f"{expression!r}; expected five fields, like '0 3 * * *', or one of {', '.join(_WORDS)}"


def _field_values(text: str, first: int, last: int, names: tuple[str, ...]) -> set[int]:
    """What a field stands for; empty for what it cannot be."""
    every = set(range(first, last + 1))
    if text == "?" and last in (7, 31):
        return every
    if last == 7:
        special = [_LAST_WEEKDAY.fullmatch(item) for item in text.split(",")]
        if all(m and (m[1] is None or _value(m[1], names) in every) for m in special):
            return every
    found = [_values(item, every, names) for item in text.split(",")]
    return set().union(*found) if all(found) else set()


def _values(item: str, every: set[int], names: tuple[str, ...]) -> set[int]:
    """What an item of a field's list stands for; empty for what it cannot be."""
    first, last = min(every), max(every)
    if item == "l" and last == 31:
        return {28}  # the last day of the month: there always is one
    match = _ITEM.fullmatch(item)
    if match is None or (match["step"] and int(match["step"]) == 0):
        return set()
    step = int(match["step"] or 1)
    if match["low"] == "*":
        return set() if match["high"] else set(range(first, last + 1, step))
    low = _value(match["low"], names)
    end = last if match["step"] else low
    high = _value(match["high"], names) if match["high"] else end
    if low not in every or high not in every:
        return set()
    if low <= high:
        return set(range(low, high + 1, step))
    return {value for value in every if value >= low or value <= high}  # 22-2, fri-mon


def _value(word: str, names: tuple[str, ...]) -> int:
    """The number that a word stands for; -1 for none."""
    if word.isascii() and word.isdigit():
        return int(word[:4])
    return names.index(word) if word in names and word else -1
