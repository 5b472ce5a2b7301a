"""Canonical JSON: equal values give equal text, and what does not come back is refused by name."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from geocore.runs.canonical import canonical_json


def test_key_order_does_not_matter_and_values_come_back() -> None:
    first = {"b": [1, 2.5, None, True], "a": {"y": "å", "x": -0.0}}
    second = {"a": {"x": -0.0, "y": "å"}, "b": (1, 2.5, None, True)}
    assert canonical_json(first) == canonical_json(second)
    assert json.loads(canonical_json(first)) == first


@pytest.mark.parametrize("value", [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 0.1 + 0.2])
def test_floats_come_back_bit_for_bit(value: float) -> None:
    assert json.loads(canonical_json(value)).hex() == value.hex()


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ({"loss": [1.0, math.nan]}, ValueError, "loss[1] is nan; JSON takes finite numbers"),
        ({"a": {"b": -math.inf}}, ValueError, "a.b is -inf; JSON takes finite numbers"),
        (math.inf, ValueError, "the value is inf; JSON takes finite numbers"),
        ({"a": {3: 1}}, TypeError, "a has the key 3; JSON keys are str"),
        ({"a": {1, 2}}, TypeError, "a is a set; JSON takes mappings"),
    ],
)
def test_what_does_not_come_back_is_refused_by_name(
    value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        canonical_json(value)
    assert str(caught.value).startswith(message)
