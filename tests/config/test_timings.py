"""``timings``: each key's range, in one line."""

from __future__ import annotations

import pytest

from geocore.config.load import tracked_leaves, validate
from geocore.config.timings import TimingsParams
from geocore.errors import UserError

GOOD = {"batch": 4, "repeats": 5}


@pytest.mark.parametrize(("key", "most"), [("batch", 1024), ("repeats", 1000)])
def test_out_of_range(key: str, most: int) -> None:
    with pytest.raises(UserError) as error:
        validate(GOOD | {key: 0}, TimingsParams, "params.yaml")
    expected = f"is 0; expected an integer at least 1 and at most {most}"
    assert str(error.value) == f"params.yaml: timings.{key} {expected}"
    assert tracked_leaves(TimingsParams) == ["timings.batch", "timings.repeats"]
