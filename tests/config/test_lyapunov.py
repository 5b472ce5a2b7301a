"""``lyapunov``: the keys of each task, and each key's range, in one line."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.config.load import tracked_leaves, validate
from geocore.config.lyapunov import CircleLyapunov, ImagesLyapunov, LyapunovParams
from geocore.errors import UserError

COMMON: dict[str, Any] = {
    "members": 4, "train": 100, "epochs": 2, "batch_size": 10, "lr": 0.1, "seed": 0, "size": 21,
}  # fmt: skip
GOOD: dict[str, dict[str, Any]] = {
    "circle": {
        "depths": [2, 4], "widths": [10], "linear_widths": [2], "linear_depth": 5,
        "linear_networks": 20, "contrast_min": 6.0, "alignment_min": 0.99, "auc_min": 0.97,
        "linear_errors_max": 3.0,
    },
    "images": {
        "source": "digits", "test": 50, "width": 20, "before": 2, "after": 2, "ensembles": 3,
        "groups": 5, "rise_errors_min": 3.0,
    },
}  # fmt: skip


@pytest.mark.parametrize(("task", "kind"), [("circle", CircleLyapunov), ("images", ImagesLyapunov)])
def test_each_task_has_its_keys(task: str, kind: type[LyapunovParams]) -> None:
    found = validate({"task": task, **COMMON, **GOOD[task]}, LyapunovParams, "params.yaml")
    assert type(found) is kind
    leaves = {"task", *COMMON, *GOOD[task]}
    assert set(tracked_leaves(kind)) == {f"lyapunov.{key}" for key in leaves}


@pytest.mark.parametrize(
    ("task", "key", "value", "told"),
    [
        ("circle", "task", ["circle"], 'is ["circle"]; expected one of circle, images'),
        ("circle", "task", "square", 'is "square"; expected one of circle, images'),
        ("circle", "members", 1, "is 1; expected an integer at least 2 and at most 4096"),
        (
            "circle",
            "depths",
            [4, 2],
            "is [4, 2]; expected a list of growing integers from 1 to 256",
        ),
        ("circle", "widths", [], "is []; expected a list of growing integers from 1 to 65536"),
        (
            "circle",
            "linear_widths",
            [2, 65537],
            "[1] is 65537; expected an integer at least 1 and at most 65536",
        ),
        ("circle", "linear_errors_max", 0, "is 0; expected a number above 0 and at most 100"),
        ("circle", "source", "digits", "is an unknown key"),
        ("images", "source", "cifar10", 'is "cifar10"; expected one of digits, mnist, fashion_mn'),
        ("images", "groups", 51, "is 51; expected at most the 50 of lyapunov.test"),
        ("images", "after", 0, "is 0; expected an integer at least 1 and at most 256"),
        ("images", "size", 4, "is 4; expected an integer at least 5 and at most 2001"),
    ],
)
def test_out_of_range(task: str, key: str, value: Any, told: str) -> None:
    raw = {"task": task, **COMMON, **GOOD[task]} | {key: value}
    with pytest.raises(UserError) as error:
        validate(raw, LyapunovParams, "params.yaml")
    (line,) = error.value.lines
    assert line.startswith(f"params.yaml: lyapunov.{key}{told if told[0] == '[' else f' {told}'}")
