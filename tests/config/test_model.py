"""``model``: rules beyond types and ranges, each told in one line."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.load import tracked_leaves, validate
from geocore.config.model import (
    CnnParams,
    HealpixEncoderParams,
    ModelParams,
    S2cnnParams,
    SwinParams,
)
from geocore.errors import UserError

GOOD: dict[str, Any] = {
    "name": "healpix_encoder", "block": "attention", "embed": 32, "depths": [2, 2], "heads": [4, 8],
    "window": 16, "mlp_ratio": 2.0, "dropout": 0.1, "position": "orbit",
}  # fmt: skip
SHIFTED: dict[str, Any] = {
    "name": "heal_swin", "embed": 32, "depths": [2, 2], "heads": [4, 8], "window": 16,
    "mlp_ratio": 2.0, "dropout": 0.1, "position": "orbit", "shift": "ring", "norm": "post",
    "attention": "cosine", "relative_bias": True, "dropout_kind": "element",
    "attention_dropout": 0.1, "drop_path": 0.1, "checkpointing": False,
}  # fmt: skip
S2CNN: dict[str, Any] = {
    "name": "s2cnn", "features": [8, 8], "bandlimits": [6, 4], "orders": None, "activation": "relu",
    "oversampling": 2.0, "sampling": "driscoll-healy", "norm": "channel", "kernel": "distinct",
    "points": [8, 3, 8], "reach": 6.19, "hidden": [], "recompute": False,
}  # fmt: skip
CNN: dict[str, Any] = {"name": "cnn", "features": [8, 8], "kernels": [3, 3], "strides": [1, 2]}


def refused(base: dict[str, Any] = GOOD, **changes: Any) -> str:
    with pytest.raises(UserError) as error:
        validate(base | changes, ModelParams, "params.yaml")
    return str(error.value)


def test_good_ones_pass() -> None:
    params = validate(GOOD, ModelParams, "params.yaml")
    assert isinstance(params, HealpixEncoderParams)
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


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (SHIFTED, SwinParams),
        (SHIFTED | {"name": "swin", "shift": "grid", "position": "none"}, SwinParams),
        (S2CNN, S2cnnParams),
        (CNN, CnnParams),
    ],
)
def test_each_network_has_keys_of_its_own(raw: dict[str, Any], kind: type[ModelParams]) -> None:
    params = validate(raw, ModelParams, "params.yaml")
    assert type(params) is kind is ModelParams.of(raw)
    assert ModelParams.read(params.model_dump(mode="json")) == params
    assert tracked_leaves(kind) == [f"model.{key}" for key in kind.model_fields]
    assert set(kind.model_fields) == set(raw)


@pytest.mark.parametrize(
    ("base", "changes", "found"),
    [
        (GOOD, {"shift": "grid"}, "model.shift is an unknown key; expected one of name, embed"),
        (SHIFTED, {"block": "mlp"}, "model.block is an unknown key; expected one of name, embed"),
        (S2CNN, {"feature": [8]}, "model.feature is an unknown key; did you mean model.features?"),
        (SHIFTED, {"norm": None}, "model.norm is null; expected one of pre, post"),
        (SHIFTED, {"drop_path": 1.0}, "model.drop_path is 1.0; expected a number at least 0 and"),
        (CNN, {"strides": [1]}, "model.strides is [1]; expected one entry for each of the 2 conv"),
        (S2CNN, {"bandlimits": [6]}, "model.bandlimits is [6]; expected one entry for each of the"),
        (
            S2CNN,
            {"orders": [2]},
            "model.orders is [2]; expected one entry for each of the 2",
        ),
        (S2CNN, {"orders": [2, 2], "recompute": True}, "model.recompute is true; expected false"),
        (
            S2CNN,
            {"orders": [2, 2], "activation": "tensor_product"},
            'model.activation is "tensor_product"; expected relu, gelu or silu with model.orders',
        ),
        (
            S2CNN,
            {"orders": [2, 2], "bandlimits": [4, 6]},
            "model.bandlimits is [4, 6]; expected none above the one before it with model.orders",
        ),
        (S2CNN, {"orders": [5, 2]}, "model.orders[0] is 5; expected at most 4, the bandlimit that"),
        (S2CNN, {"points": [8, 3]}, "model.points is [8, 3]; expected a list of three integers"),
        (S2CNN, {"oversampling": 0.5}, "model.oversampling is 0.5; expected a number at least 1"),
    ],
)
def test_what_a_network_does_not_take(
    base: dict[str, Any], changes: dict[str, Any], found: str
) -> None:
    told = refused(base, **changes)
    assert told.startswith(f"params.yaml: {found}")
    assert "\n" not in told


def test_another_name_is_all_that_is_told() -> None:
    expected = "expected one of healpix_encoder, heal_swin, swin, s2cnn, cnn"
    assert refused(name="resnet", shift=3) == f'params.yaml: model.name is "resnet"; {expected}'
    raw = {key: value for key, value in GOOD.items() if key != "name"}
    with pytest.raises(UserError, match=rf"^params.yaml: model.name is missing; {expected}$"):
        validate(raw, ModelParams, "params.yaml")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"shift": "ring", "position": "none"}, 'shift is "ring"; expected none or grid'),
        ({"shift": "grid", "position": "orbit"}, 'position is "orbit"; expected none or absolute'),
    ],
)
def test_a_plane_has_neither_rings_nor_orbits(changes: dict[str, Any], found: str) -> None:
    assert refused(SHIFTED, **{"name": "swin"} | changes) == (
        f"params.yaml: model.{found} with swin, whose images are planar"
    )
