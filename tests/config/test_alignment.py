"""``alignment``: growing epochs from the start, and a line for every other list."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.alignment import AlignmentParams
from geocore.config.load import tracked_leaves, validate
from geocore.errors import UserError

GOOD: dict[str, Any] = {"epochs": [0, 1, 4], "samples": 8, "seed": 0}


def test_a_good_section_passes_and_every_key_is_tracked() -> None:
    params = validate(GOOD, AlignmentParams, "params.yaml")
    assert isinstance(params, AlignmentParams)
    assert params.epochs == (0, 1, 4)
    assert tracked_leaves(AlignmentParams) == [f"alignment.{key}" for key in GOOD]


@pytest.mark.parametrize("epochs", [[0], [1, 2], [0, 2, 2], [0, 2, 1]])
def test_other_lists_of_epochs_are_refused(epochs: list[int]) -> None:
    with pytest.raises(UserError, match=r"alignment\.epochs is .*; expected a list of growing"):
        validate(GOOD | {"epochs": epochs}, AlignmentParams, "params.yaml")


@pytest.mark.parametrize("epoch", [-1, 100_001])
def test_an_epoch_out_of_range_is_named(epoch: int) -> None:
    with pytest.raises(UserError, match=rf"alignment\.epochs\[1\] is {epoch}; expected an integer"):
        validate(GOOD | {"epochs": [0, epoch]}, AlignmentParams, "params.yaml")


def test_a_single_sample_has_no_direction() -> None:
    with pytest.raises(UserError, match=r"alignment\.samples is 1; expected an integer at least 2"):
        validate(GOOD | {"samples": 1}, AlignmentParams, "params.yaml")
