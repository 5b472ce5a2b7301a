"""``cost``: each key's range, in one line."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.cost import CostParams
from geocore.config.load import tracked_leaves, validate
from geocore.errors import UserError

SIZES = "expected a list of growing integers from 1 to 65536, at least one"
GOOD: dict[str, Any] = {"batch_sizes": [1, 8, 32], "repeats": 5, "train_batch": 32}


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("batch_sizes", [], f"is []; {SIZES}"),
        ("batch_sizes", [8, 1], f"is [8, 1]; {SIZES}"),
        ("batch_sizes", [1, 1], f"is [1, 1]; {SIZES}"),
        ("repeats", 0, "is 0; expected an integer at least 1 and at most 1000"),
        ("train_batch", 0, "is 0; expected an integer at least 1 and at most 65536"),
    ],
)
def test_out_of_range(key: str, value: Any, told: str) -> None:
    with pytest.raises(UserError) as error:
        validate(GOOD | {key: value}, CostParams, "params.yaml")
    assert str(error.value) == f"params.yaml: cost.{key} {told}"


def test_every_key_is_tracked() -> None:
    assert isinstance(validate(GOOD, CostParams, "params.yaml"), CostParams)
    assert tracked_leaves(CostParams) == [f"cost.{key}" for key in GOOD]
