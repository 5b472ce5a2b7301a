"""What is JSON comes back; whatever is not is one kind of error."""

from __future__ import annotations

import json

import pytest

from geocore.config.foreign_json import parse_json


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
