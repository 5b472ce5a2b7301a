"""``limit``: the keys of each task, and each key's range, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from geocore.config.limit import (
    AccuracyLimit,
    EnsembleLimit,
    LimitParams,
    SphereLimit,
    TheoremLimit,
    WidthLimit,
)
from geocore.config.load import tracked_leaves

STUDY = Path(__file__).parents[2] / "studies/equivariant_ntk"
CURVE: dict[str, Any] = {
    "seed": 0, "pool": 10, "sizes": [2, 4], "test": 6, "runs": 2, "depth": 1, "ridge": 1e-5,
    "block": 5, "dtype": "float32", "gain_min": 0.0, "source": "digits",
}  # fmt: skip
GOOD: dict[str, dict[str, Any]] = {
    "accuracy": {"task": "accuracy", **CURVE, "path": None, "image_size": None, "order": 4},
    "sphere": {"task": "sphere", **CURVE, "nside": 2, "bandlimit": 4, "sampling": 6},
    "width": {
        "task": "width", "seed": 0, "widths": [1, 2], "draws": 2, "inputs": 2, "image_size": 4,
    },
    "theorem": {
        "task": "theorem", "seed": 0, "source": "ising", "side": 3, "train": 2, "test": 1,
        "depth": 1, "law_max": 1e-8,
    },
    "ensemble": {
        "task": "ensemble", "seed": 0, "side": 3, "train": 2, "test": 1, "width": 1, "depth": 1,
        "members": 4, "chunk": 4, "steps": [0, 1], "lr": 1.0, "law_max": 1e-8,
    },
}  # fmt: skip
KINDS: dict[str, type[LimitParams]] = {
    "accuracy": AccuracyLimit,
    "sphere": SphereLimit,
    "width": WidthLimit,
    "theorem": TheoremLimit,
    "ensemble": EnsembleLimit,
}


def read(task: str, **changes: Any) -> LimitParams:
    value = {**GOOD[task], **changes}
    found = LimitParams.of(value).read(value)
    assert isinstance(found, LimitParams)
    return found


@pytest.mark.parametrize("task", list(GOOD))
def test_a_task_has_its_own_keys_and_all_are_tracked(task: str) -> None:
    assert type(read(task)) is KINDS[task]
    assert set(tracked_leaves(KINDS[task])) == {f"limit.{key}" for key in GOOD[task]}


@pytest.mark.parametrize(
    ("task", "changes", "told"),
    [
        ("accuracy", {"test": 7}, "limit.pool is 10; expected at least the largest"),
        (
            "accuracy",
            {"sizes": [4, 2]},
            "a list of growing integers from 2 to 100000, at least one",
        ),
        ("accuracy", {"order": 6}, "order"),
        (
            "accuracy",
            {"path": "there"},
            'limit.path is "there"; expected null with limit.source digits',
        ),
        ("accuracy", {"source": "image_folder"}, "limit.path is null; expected the folder of im"),
        (
            "accuracy",
            {"source": "generated"},
            "limit.image_size is null; expected pixels with limit.source g",
        ),
        ("accuracy", {"bandlimit": 4}, "bandlimit"),
        ("sphere", {"bandlimit": 7, "sampling": 8}, "limit.bandlimit is 7; expected at most 3"),
        ("sphere", {"sampling": 3}, "limit.sampling is 3; expected at least limit.bandlimit, 4"),
        ("width", {"widths": [4]}, "a list of growing integers from 1 to 65536, at least two"),
        (
            "theorem",
            {"side": None},
            "limit.side is null; expected a number with limit.source ising",
        ),
        (
            "theorem",
            {"source": "digits"},
            "limit.side is 3; expected null with limit.source digits",
        ),
        ("ensemble", {"chunk": 5}, "limit.chunk is 5; expected at most the 4 of limit.members"),
        ("ensemble", {"steps": [-1, 3]}, "steps.0\n  Input should be greater than or equal to 0"),
        ("ensemble", {"steps": [3]}, "a list of growing integers from 0 to 1000000, at least two"),
    ],
)
def test_what_is_refused(task: str, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as error:
        read(task, **changes)
    assert told in str(error.value)


@pytest.mark.parametrize("file", sorted(STUDY.rglob("params.yaml")))
def test_the_study_has_parameters_that_are_taken(file: Path) -> None:
    value = yaml.safe_load(file.read_text())["limit"]
    assert type(LimitParams.of(value).read(value)) is KINDS[value["task"]]
