"""``ensemble``: no empty one, and no chunk larger than it."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.ensemble import EnsembleParams
from geocore.config.load import tracked_leaves, validate
from geocore.errors import UserError

GOOD: dict[str, Any] = {"members": 8, "chunk": 2, "seed": 0}


def refused(**changes: Any) -> str:
    with pytest.raises(UserError) as error:
        validate(GOOD | changes, EnsembleParams, "params.yaml")
    return str(error.value)


@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_chunks_up_to_the_whole_ensemble_pass(chunk: int) -> None:
    params = validate(GOOD | {"chunk": chunk}, EnsembleParams, "params.yaml")
    assert isinstance(params, EnsembleParams)
    assert (params.members, params.chunk, params.seed) == (8, chunk, 0)


def test_a_chunk_larger_than_the_ensemble_is_refused() -> None:
    assert refused(chunk=9) == (
        "params.yaml: ensemble.chunk is 9; expected an integer from 1 to the 8 of ensemble.members"
    )


def test_nobody_is_no_ensemble() -> None:
    assert refused(members=0) == (
        "params.yaml: ensemble.members is 0; expected an integer at least 1 and at most 10000"
    )
    assert refused(chunk=0) == "params.yaml: ensemble.chunk is 0; expected an integer at least 1"


def test_every_key_is_tracked() -> None:
    assert tracked_leaves(EnsembleParams) == [
        "ensemble.members",
        "ensemble.chunk",
        "ensemble.seed",
    ]
