"""What is JSON comes back; whatever is not is one kind of error, or is told in words."""

from __future__ import annotations

import json
import math
import time
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

import pytest

from geocore.config.foreign_json import as_json, parse_json, shown


def nested(deep: int) -> str:
    return "[" * deep + "]" * deep


def test_json_comes_back() -> None:
    value = {"a": [1, 2.5, None, {"b": "[[[["}], "c": {}}
    assert parse_json(json.dumps(value)) == parse_json(json.dumps(value).encode()) == value
    assert parse_json("3") == 3
    assert json.dumps(parse_json(nested(101))) == nested(101)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[1,", b"\xff", "[" * 100_000, '{"a":' * 100_000, nested(102), nested(100_000),
        '{"a":' * 102 + "{}" + "}" * 102, "1" * 5000,
    ],
)  # fmt: skip
def test_what_is_none_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"^.+"):
        parse_json(text)


def test_a_copy_that_json_can_say_and_what_it_cannot() -> None:
    endless: dict[str, Any] = {"a": [1]}
    endless["a"].append(endless)
    good = {"a": (1, [2.5, None, True]), "b": MappingProxyType({"c": "x\u00e9"}), 3: {None: 0}}
    assert as_json(good) == (
        {"a": [1, [2.5, None, True]], "b": {"c": "x\u00e9"}, "3": {"null": 0}},
        {},
        {("3",): 3, ("3", "null"): None},
    )
    odd = {"a": [1, math.nan, {"b": {1}}], "c": b"x", "d": endless, "e": 10**5000, "f": "\ud83d"}
    copied, found, keys = as_json(odd)
    assert keys == {}
    assert copied == {"a": [1, None, {"b": None}], **dict.fromkeys("cdef")}
    assert found == {
        ("a", 1): "nan",
        ("a", 2, "b"): "a set",
        ("c",): "binary data",
        ("d",): "a mapping that contains itself",
        ("e",): "an integer of thousands of digits",
        ("f",): r'"\ud83d", half a character',
    }
    assert json.loads(json.dumps(copied, allow_nan=False)) == copied
    assert as_json({"a": json.loads(nested(100))})[1] == {}
    assert as_json({"a": json.loads(nested(101))})[1] == {("a",): "nested too deeply"}


def test_what_contains_itself_is_copied_once() -> None:
    """A copy of each level down to the hundredth took 9.5 s."""
    endless: list[Any] = [[1] * 10**5]
    endless.append(endless)
    began = time.process_time()
    copied, odd, _ = as_json({"lr": endless})
    assert (copied, odd) == ({"lr": None}, {("lr",): "a list that contains itself"})
    assert shown(endless) == f"[[{'1, ' * 26}..."
    assert time.process_time() - began < 1
    twice = [1]
    assert as_json({"a": [twice, twice, {"b": twice}]})[1] == {}


def test_a_key_that_the_copy_has_as_other_text_is_kept() -> None:
    raw = {1: {b"x": 0}, "1": {"a": 2}, "\ud800": 3, "b": [{None: 4}]}
    plain, odd, keys = as_json(raw)
    assert plain == {"1": {"a": 2}, r'"\ud800"': 3, "b": [{"null": 4}]} and odd == {}
    assert keys[r'"\ud800"',] == "\ud800" and keys["b", 0, "null"] is None
    assert not any("1" in place for place in keys)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"), (True, "true"), (1, "1"), (1.0, "1.0"), (-math.inf, "-inf"),
        ("a", '"a"'), ((1, "b"), '[1, "b"]'), ({"a": {}}, '{"a": {}}'), ("\u00e9", '"\u00e9"'),
        ("a\n\x1b\u202e\x7f\ud800", r'"a\n\u001b\u202e\u007f\ud800"'),
        ("x" * 79, f'"{"x" * 79}...'), ("x" * 78, f'"{"x" * 78}"'),
        (set(), "a set"), ([{1}], '["a set"]'), (b"", "binary data"), (date(1, 1, 1), "a date"),
        (datetime(1, 1, 1), "a date"), (object(), "a value that JSON does not have"),
        ({b"a": 1, date(1, 1, 1): {3: 4}}, '{"binary data": 1, "a date": {"3": 4}}'),
        (MappingProxyType({"a": ({1},), "\ud800": 0}), r'{"a": ["a set"], "\ud800": 0}'),
        (2**14100, "an integer of thousands of digits"),
        ([10**5000, math.inf], '["an integer of thousands of digits", Infinity]'),
        (json.loads("[" * 500 + "]" * 500), "[" * 80 + "..."),
    ],
)  # fmt: skip
def test_a_value_as_a_line_repeats_it(value: object, words: str) -> None:
    assert shown(value) == words
