"""What is JSON comes back; whatever is not is one kind of error, or is told in words."""

from __future__ import annotations

import json
import math
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
        {"a": [1, [2.5, None, True]], "b": {"c": "x\u00e9"}, "3": {"null": 0}}, {}
    )  # fmt: skip
    odd = {"a": [1, math.nan, {"b": {1}}], "c": b"x", "d": endless, "e": 10**5000, "f": "\ud83d"}
    copied, found = as_json(odd)
    assert copied == {"a": [1, None, {"b": None}], **dict.fromkeys("cdef")}
    assert found == {
        ("a", 1): "nan",
        ("a", 2, "b"): "a set",
        ("c",): "binary data",
        ("d",): "nested too deeply",
        ("e",): "an integer of thousands of digits",
        ("f",): r'"\ud83d", half a character',
    }
    assert json.loads(json.dumps(copied, allow_nan=False)) == copied


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"), (True, "true"), (1, "1"), (1.0, "1.0"), (-math.inf, "-inf"),
        ("a", '"a"'), ((1, "b"), '[1, "b"]'), ({"a": {}}, '{"a": {}}'), ("\u00e9", '"\u00e9"'),
        ("a\n\x1b\u202e\x7f\ud800", r'"a\n\u001b\u202e\u007f\ud800"'),
        ("x" * 79, f'"{"x" * 79}...'), ("x" * 78, f'"{"x" * 78}"'),
        (set(), "a set"), ([{1}], '["a set"]'), (b"", "binary data"), (date(1, 1, 1), "a date"),
        (datetime(1, 1, 1), "a date"), (object(), "a value that JSON does not have"),
        (json.loads("[" * 500 + "]" * 500), "[" * 80 + "..."),
    ],
)  # fmt: skip
def test_a_value_as_a_line_repeats_it(value: object, words: str) -> None:
    assert shown(value) == words
