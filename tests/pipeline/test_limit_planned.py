"""What is estimated of ``limit`` is what it computes: the same matrices, block by block."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from geocore.errors import UserError
from geocore.pipeline.kernel_cost import KernelTask
from geocore.pipeline.kernel_estimate import estimate
from geocore.pipeline.limit import STAGE
from geocore.pipeline.limit_planned import planned_kernels
from tests.pipeline.limit_jobs import job


def noted(task: KernelTask) -> str:
    columns = task.rows if task.columns is None else task.columns
    return f"{task.name} {len(task.rows)} x {len(columns)}"


@pytest.mark.parametrize(
    ("task", "changes"), [("accuracy", {}), ("accuracy", {"order": 8}), ("sphere", {})]
)
def test_the_matrices_are_those_of_the_stage(
    tmp_path: Path, task: str, changes: dict[str, Any]
) -> None:
    cost: dict[str, Any] = {}
    own = job(tmp_path, task, **changes)
    own = own.noting(lambda **values: cost.update(values.get("kernel_cost", {})))
    told = {noted(found): found for found in planned_kernels(own)}
    STAGE.make(own)
    assert sorted(told) == sorted(cost) and len(told) >= 2
    for name, found in told.items():
        assert found.blocks == cost[name]["blocks"] == cost[name]["made"]


def test_a_task_without_matrices(tmp_path: Path) -> None:
    words = re.escape("params.yaml: limit: its task stores no kernel matrices; expected one that")
    with pytest.raises(UserError, match=words):
        estimate(job(tmp_path, "width"), 0.1)
