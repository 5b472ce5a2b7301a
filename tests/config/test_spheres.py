"""``spheres``: how much is kept to be looked at, and a line for what cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.load import tracked_leaves, validate
from geocore.config.spheres import SpheresParams
from geocore.errors import UserError

GOOD: dict[str, Any] = {"samples": 4, "rotations": 8, "axis": "z", "nside": 32}


def test_a_good_section_passes_and_every_key_is_tracked() -> None:
    params = validate(GOOD, SpheresParams, "params.yaml")
    assert isinstance(params, SpheresParams)
    assert (params.samples, params.rotations, params.axis, params.nside) == (4, 8, "z", 32)
    assert tracked_leaves(SpheresParams) == [f"spheres.{key}" for key in GOOD]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("samples", 0, "an integer at least 1"),
        ("rotations", 65, "an integer at least 1 and at most 64"),
        ("axis", "w", "one of x, y, z"),
        ("nside", 24, "a power of two from 1 to 64"),
        ("nside", 128, "a power of two from 1 to 64"),
    ],
)
def test_other_values_have_a_line(key: str, value: Any, expected: str) -> None:
    with pytest.raises(UserError, match=rf"spheres\.{key} is .*{value}.*; expected {expected}"):
        validate(GOOD | {key: value}, SpheresParams, "params.yaml")
