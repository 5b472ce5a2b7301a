"""``detect``: each key's range, in one line."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.detect import DetectParams
from geocore.config.load import tracked_leaves, validate
from geocore.errors import UserError

GOOD: dict[str, Any] = {
    "canvases": [20, 3], "side": 20, "items": [1, 3], "held_out": 0.3, "channels": 8,
    "steps": 100, "batch_size": 8, "lr": 0.01, "seed": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("canvases", [20], "is [20]; expected a list of two integers from 1 to 1000000: train, t"),
        ("side", 7, "is 7; expected an integer at least 8 and at most 256"),
        ("items", [3, 2], "is [3, 2]; expected a list of two integers from 1 to 100: least, most"),
        ("items", [1, 5], "is [1, 5] for canvases of 20 pixels; expected at most 4 digits of 8 x"),
        ("held_out", 0.5, "is 0.5; expected a number above 0 and below 0.5"),
        ("channels", 0, "is 0; expected an integer at least 1 and at most 256"),
        ("steps", 0, "is 0; expected an integer at least 1 and at most 1000000"),
        ("batch_size", 0, "is 0; expected an integer at least 1 and at most 1024"),
        ("lr", 0.0, "is 0.0; expected a number above 0 and at most 10"),
    ],
)
def test_out_of_range(key: str, value: Any, told: str) -> None:
    with pytest.raises(UserError) as error:
        validate(GOOD | {key: value}, DetectParams, "params.yaml")
    assert str(error.value).startswith(f"params.yaml: detect.{key} {told}")


def test_all_is_tracked() -> None:
    validate(GOOD, DetectParams, "params.yaml")
    assert tracked_leaves(DetectParams) == [f"detect.{key}" for key in GOOD]
