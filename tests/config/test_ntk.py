"""``ntk``: each key's range, in one line."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.load import tracked_leaves, validate
from geocore.config.ntk import NtkParams
from geocore.errors import UserError

GOOD: dict[str, Any] = {
    "network": "healpix", "backend": "geocore", "depth": 2, "activation": "relu", "weight_std": 1.4,
    "bias_std": 0.1, "subset": 600, "seed": 0, "block": 100, "ridge": 0.0,
    "solver": "auto",
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("network", "cubic", 'is "cubic"; expected one of dense, healpix'),
        ("backend", "jax", 'is "jax"; expected one of geocore, neural_tangents'),
        ("depth", 0, "is 0; expected an integer at least 1 and at most 32"),
        ("activation", "tanh", 'is "tanh"; expected one of relu, erf, gelu'),
        ("weight_std", 0.0, "is 0.0; expected a number above 0 and at most 10"),
        ("bias_std", -0.1, "is -0.1; expected a number at least 0 and at most 10"),
        ("subset", 0, "is 0; expected an integer at least 1"),
        ("subset", "all", 'is "all"; expected an integer at least 1'),
        ("block", 0, "is 0; expected an integer at least 1 and at most 4096"),
        ("ridge", -1e-9, "is -1e-09; expected a number at least 0 and at most 1000"),
        ("solver", "lu", 'is "lu"; expected one of auto, cholesky, iterative'),
    ],
)
def test_out_of_range(key: str, value: Any, told: str) -> None:
    with pytest.raises(UserError) as error:
        validate(GOOD | {key: value}, NtkParams, "params.yaml")
    assert str(error.value) == f"params.yaml: ntk.{key} {told}"


def test_every_key_is_tracked() -> None:
    assert isinstance(validate(GOOD, NtkParams, "params.yaml"), NtkParams)
    assert tracked_leaves(NtkParams) == [f"ntk.{key}" for key in GOOD]
