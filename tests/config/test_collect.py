"""``collect``: each key's range, in one line."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.collect import CollectParams
from geocore.config.load import tracked_leaves, validate
from geocore.errors import UserError

GOOD: dict[str, Any] = {"figures": ["test.accuracy"], "baseline": None, "against": ["samples"]}
AXES = "expected a list of different keys of the training's metrics.json, as parameters"


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("figures", [], "is []; expected a list of different keys of metrics.json"),
        ("figures", ["a", "a"], 'is ["a", "a"]; expected a list of different keys'),
        ("against", ["a", "a"], f'is ["a", "a"]; {AXES}'),
        (
            "against",
            ["a", ""],
            '[1] is ""; expected a key of the training\'s metrics.json, as para',
        ),
        ("against", None, "is null; expected"),
    ],
)
def test_out_of_range(key: str, value: Any, told: str) -> None:
    with pytest.raises(UserError) as error:
        validate(GOOD | {key: value}, CollectParams, "params.yaml")
    assert str(error.value).startswith(
        f"params.yaml: collect.{key}{told if told[0] == '[' else f' {told}'}"
    )


def test_every_key_is_tracked_and_no_axis_is_an_answer() -> None:
    assert isinstance(validate(GOOD | {"against": []}, CollectParams, "params.yaml"), CollectParams)
    assert tracked_leaves(CollectParams) == [f"collect.{key}" for key in GOOD]
