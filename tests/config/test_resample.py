"""``resample``: each grid has keys of its own, null for the other."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.load import validate
from geocore.config.resample import ResampleParams
from geocore.errors import UserError

HEALPIX: dict[str, Any] = {
    "grid": "healpix", "nside": 8, "ordering": "nested", "faces": [0, 1], "bandlimit": None,
    "dtype": "float32",
}  # fmt: skip
EQUIANGULAR = HEALPIX | {
    "grid": "driscoll-healy", "nside": None, "ordering": None, "faces": None, "bandlimit": 10,
}  # fmt: skip


@pytest.mark.parametrize("good", [HEALPIX, EQUIANGULAR])
def test_good_ones_pass(good: dict[str, Any]) -> None:
    params = validate(good, ResampleParams, "params.yaml")
    assert isinstance(params, ResampleParams) and params.grid == good["grid"]


@pytest.mark.parametrize(
    ("base", "key", "value", "line"),
    [
        (HEALPIX, "bandlimit", 10, "is 10; expected null for grid healpix"),
        (HEALPIX, "nside", None, "is null; expected a value for grid healpix"),
        (HEALPIX, "faces", None, "is null; expected a value for grid healpix"),
        (EQUIANGULAR, "nside", 8, "is 8; expected null for grid driscoll-healy"),
        (EQUIANGULAR, "ordering", "ring", 'is "ring"; expected null for grid driscoll-healy'),
        (EQUIANGULAR, "faces", [0, 1], "is [0, 1]; expected null for grid driscoll-healy"),
        (EQUIANGULAR, "bandlimit", None, "is null; expected a value for grid driscoll-healy"),
        (
            EQUIANGULAR, "bandlimit", 0,
            "is 0; expected an integer at least 1 and at most 1024 or null",
        ),
    ],
)  # fmt: skip
def test_a_key_of_the_other_grid(base: dict[str, Any], key: str, value: Any, line: str) -> None:
    with pytest.raises(UserError) as caught:
        validate(base | {key: value}, ResampleParams, "params.yaml")
    assert caught.value.lines == (f"params.yaml: resample.{key} {line}",)
