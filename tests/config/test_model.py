"""``model``: rules beyond types and ranges, each told in one line."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.load import validate
from geocore.config.model import ModelParams
from geocore.errors import UserError

GOOD: dict[str, Any] = {
    "name": "healpix_encoder", "block": "attention", "embed": 32, "depths": [2, 2], "heads": [4, 8],
    "window": 16, "mlp_ratio": 2.0, "dropout": 0.1, "position": "orbit", "shift": None,
    "norm": None, "attention": None, "relative_bias": None, "dropout_kind": None,
    "attention_dropout": None, "drop_path": None, "checkpointing": None,
}  # fmt: skip
SHIFTED: dict[str, Any] = {
    "name": "heal_swin", "block": None, "shift": "ring", "norm": "post", "attention": "cosine",
    "relative_bias": True, "dropout_kind": "element", "attention_dropout": 0.1, "drop_path": 0.1,
    "checkpointing": False,
}  # fmt: skip


def refused(**changes: Any) -> str:
    with pytest.raises(UserError) as error:
        validate(GOOD | changes, ModelParams, "params.yaml")
    return str(error.value)


def test_good_ones_pass() -> None:
    params = validate(GOOD, ModelParams, "params.yaml")
    assert isinstance(params, ModelParams)
    assert params.depths == (2, 2)


@pytest.mark.parametrize("window", [0, 2, 8, 32, 262144])
def test_a_window_is_a_power_of_four(window: int) -> None:
    assert refused(window=window) == (
        f"params.yaml: model.window is {window}; expected a power of four from 4 to 65536"
    )


def test_heads_are_one_a_stage() -> None:
    assert refused(heads=[4]) == (
        "params.yaml: model.heads is [4]; "
        "expected one entry for each of the 2 stages of model.depths"
    )


def test_heads_divide_the_channels_of_their_stage() -> None:
    assert refused(heads=[4, 24]) == (
        "params.yaml: model.heads[1] is 24; "
        "expected a divisor of that stage's 64 channels (model.embed * 2^1)"
    )


def test_there_is_a_stage() -> None:
    assert refused(depths=[], heads=[]) == (
        "params.yaml: model.depths is []; expected a list of at least one integer from 1 to 4096\n"
        "params.yaml: model.heads is []; expected a list of at least one integer from 1 to 4096"
    )


def test_an_entry_is_named() -> None:
    assert refused(depths=[2, 0]) == (
        "params.yaml: model.depths[1] is 0; expected an integer at least 1 and at most 4096"
    )


@pytest.mark.parametrize("changes", [{}, {"name": "swin", "shift": "grid", "position": "none"}])
def test_good_shifted_ones_pass(changes: dict[str, Any]) -> None:
    params = validate(GOOD | SHIFTED | changes, ModelParams, "params.yaml")
    assert isinstance(params, ModelParams)
    assert params.relative_bias is True


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"shift": "grid"}, "shift is grid; expected null, as healpix_encoder has none"),
        ({"checkpointing": False}, "checkpointing is false; expected null, as healpix_encoder"),
        ({"drop_path": 0.0}, "drop_path is 0.0; expected null, as healpix_encoder has none"),
        ({"block": None}, "block is null; expected a value, as healpix_encoder reads it"),
        (SHIFTED | {"block": "mlp"}, "block is mlp; expected null, as heal_swin has none"),
        (SHIFTED | {"norm": None}, "norm is null; expected a value, as heal_swin reads it"),
    ],
)
def test_keys_that_do_not_apply_are_null(changes: dict[str, Any], found: str) -> None:
    assert refused(**changes).startswith(f"params.yaml: model.{found}")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"shift": "ring", "position": "none"}, "shift is ring; expected none or grid"),
        ({"shift": "grid", "position": "orbit"}, "position is orbit; expected none or absolute"),
    ],
)
def test_a_plane_has_neither_rings_nor_orbits(changes: dict[str, Any], found: str) -> None:
    assert refused(**SHIFTED | {"name": "swin"} | changes) == (
        f"params.yaml: model.{found} with swin, whose images are planar"
    )


def test_ranges_of_keys_that_may_be_null() -> None:
    assert refused(**SHIFTED | {"drop_path": 1.0}) == (
        "params.yaml: model.drop_path is 1.0; expected a number at least 0 and below 1 or null"
    )
