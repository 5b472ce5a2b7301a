"""``approximate``: the task says which keys there are; each key's range, in one line."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.approximate import ApproximateParams, Cifar10Params, DigitsParams, ToyParams
from geocore.config.load import tracked_leaves, validate
from geocore.errors import UserError

ENSEMBLES: dict[str, Any] = {
    "families": ["none", "dropout"], "p": [0.1], "members": 8, "repeats": 3, "prior": "matching",
    "prior_scale": 1.0, "epochs": 5, "batch_size": 100, "lr": 0.01, "schedule": "cosine", "seed": 0,
}  # fmt: skip
REFERENCE: dict[str, Any] = {
    "reference": "hmc", "chains": 4, "warmup": 100, "draws": 200, "tree_depth": 9,
}  # fmt: skip
TOY = {
    "data": "toy", **ENSEMBLES, **REFERENCE,
    "points": 2000, "hidden": [10, 10], "shells": 6, "spacing": 0.25,
}  # fmt: skip
DIGITS = {"data": "digits", **ENSEMBLES, **REFERENCE, "training": 500, "widths": [4, 8]}
CIFAR10 = {
    "data": "cifar10", **ENSEMBLES, "training": 500, "asked": 100, "depth": 8, "widths": [4, 8, 16]
}  # fmt: skip


@pytest.mark.parametrize(
    ("good", "kind"), [(TOY, ToyParams), (DIGITS, DigitsParams), (CIFAR10, Cifar10Params)]
)
def test_the_task_decides_the_keys(good: dict[str, Any], kind: type[ApproximateParams]) -> None:
    assert isinstance(validate(good, ApproximateParams, "params.yaml"), kind)
    assert tracked_leaves(kind) == [f"approximate.{key}" for key in good]


@pytest.mark.parametrize(
    ("good", "key", "value", "told"),
    [
        (TOY, "data", "moons", 'is "moons"; expected one of toy, digits, cifar10'),
        (TOY, "families", [], "is []; expected a list of one or more of none, dropout, dropconn"),
        (TOY, "families", ["none", "none"], 'is ["none", "none"]; expected a list of one or more'),
        (TOY, "p", [], "is []; expected a list of different numbers above 0 and below 1, at least"),
        (TOY, "p", [0.5, 0.0], "[1] is 0.0; expected a number above 0 and below 1"),
        (TOY, "members", 0, "is 0; expected an integer at least 1 and at most 4096"),
        (TOY, "prior", "none", 'is "none"; expected one of matching, published'),
        (TOY, "prior_scale", 0.0, "is 0.0; expected a number above 0 and at most 1000"),
        (TOY, "reference", "vi", 'is "vi"; expected one of hmc, none'),
        (TOY, "chains", 1, "is 1; expected an integer at least 2 and at most 64"),
        (TOY, "tree_depth", 15, "is 15; expected an integer at least 1 and at most 14"),
        (TOY, "hidden", [], "is []; expected a list of at least one integer from 1 to 4096"),
        (TOY, "spacing", 0.0, "is 0.0; expected a number at least 0.05 and at most 1"),
        (DIGITS, "widths", [4], "is [4]; expected a list of two integers from 1 to 4096"),
        (DIGITS, "training", 1797, "is 1797; expected an integer at least 10 and at most 1700"),
        (CIFAR10, "depth", 9, "is 9; expected one of 8, 14, 20, ..., 110: 6 n + 2"),
        (CIFAR10, "batch_size", 501, "is 501; expected at most the 500 images of approximate.tr"),
    ],
)
def test_out_of_range(good: dict[str, Any], key: str, value: Any, told: str) -> None:
    with pytest.raises(UserError) as error:
        validate(good | {key: value}, ApproximateParams, "params.yaml")
    assert str(error.value).startswith(
        f"params.yaml: approximate.{key}{told if told[0] == '[' else f' {told}'}"
    )


def test_a_key_of_another_task_is_refused() -> None:
    with pytest.raises(UserError, match=r"approximate: unknown key 'depth'|approximate\.depth"):
        validate(TOY | {"depth": 8}, ApproximateParams, "params.yaml")
