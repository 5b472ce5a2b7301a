"""``laws``: each key's range, in one line."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.laws import LawsParams
from geocore.config.load import tracked_leaves, validate
from geocore.errors import UserError

GOOD: dict[str, Any] = {
    "image_size": 21, "bandlimit": 8, "elements": 5, "seed": 0, "error_max": 1e-11
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("image_size", 20, "is 20; expected an odd number from 13 to 101"),
        ("image_size", 11, "is 11; expected an odd number from 13 to 101"),
        ("bandlimit", 1, "is 1; expected an integer at least 2 and at most 32"),
        ("elements", 0, "is 0; expected an integer at least 1 and at most 100"),
        ("error_max", 0.0, "is 0.0; expected a number above 0 and at most 1"),
    ],
)
def test_out_of_range(key: str, value: Any, told: str) -> None:
    with pytest.raises(UserError) as error:
        validate(GOOD | {key: value}, LawsParams, "params.yaml")
    assert str(error.value) == f"params.yaml: laws.{key} {told}"


def test_all_is_tracked() -> None:
    assert tracked_leaves(LawsParams) == [f"laws.{key}" for key in GOOD]
