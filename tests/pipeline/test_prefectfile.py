"""What ``prefect.yaml`` says, and each mistake in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from geocore.config.load import read_yaml
from geocore.errors import UserError
from geocore.pipeline.prefectfile import deployment_faults, read_deployments

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("dvc.yaml", "prefect.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "flows").symlink_to(ROOT / "flows")
    return tmp_path


def write(root: Path, *deployments: Any) -> list[str]:
    (root / "prefect.yaml").write_text(yaml.safe_dump({"deployments": list(deployments)}))
    return list(deployment_faults(root))


def nightly(**changed: Any) -> dict[str, Any]:
    usual: dict[str, Any] = read_yaml(ROOT / "prefect.yaml")["deployments"][0]
    return {**usual, **changed}


def test_the_project_has_a_nightly_one_and_one_on_demand() -> None:
    found = read_deployments(ROOT)
    assert list(found) == ["nightly", "on-demand"]
    assert {deployment.work_pool for deployment in found.values()} == {"local"}
    assert {deployment.entrypoint for deployment in found.values()} == {"flows/repro.py:repro"}
    assert found["nightly"].full_name == "repro/nightly"
    assert [schedule["cron"] for schedule in found["nightly"].schedules] == ["0 3 * * *"]
    assert found["on-demand"].schedules == ()


def test_a_project_without_deployments(tmp_path: Path) -> None:
    assert list(deployment_faults(tmp_path)) == []
    with pytest.raises(UserError, match=r"no prefect.yaml in .*; expected one with deployments"):
        read_deployments(tmp_path)


@pytest.mark.parametrize("targets", [None, ["train", "gate"], ["dvc.yaml"], ["dvc.yaml:train"]])
def test_targets_that_dvc_knows(copy: Path, targets: Any) -> None:
    assert write(copy, nightly(parameters={"targets": targets})) == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (
            {"parameters": {"targets": ["trian"]}},
            "target 'trian' is no stage; did you mean train?",
        ),
        (
            {"parameters": {"targets": ["studies/none/dvc.yaml:train"]}},
            "target 'studies/none/dvc.yaml:train': studies/none/dvc.yaml does not exist; "
            "expected a dvc.yaml",
        ),
        (
            {"parameters": {"targets": "train"}},
            "targets are 'train'; expected a list of stages, or null for all",
        ),
        (
            {"schedules": [{"cron": "3 o'clock", "timezone": "UTC"}]},
            "cron is \"3 o'clock\"; expected five fields, like '0 3 * * *'",
        ),
        (
            {"schedules": [{"cron": "0 3 * * *"}]},
            "timezone is None; expected one said by name, like UTC",
        ),
        (
            {"schedules": [{"cron": "0 3 * * *", "timezone": "Middle/Earth"}]},
            "timezone is 'Middle/Earth'; expected one said by name, like UTC",
        ),
        (
            {"schedules": [{"at": "night"}]},
            "schedule {'at': 'night'}; expected one of cron, interval, rrule",
        ),
    ],
)
def test_a_mistake_is_one_line(copy: Path, changed: dict[str, Any], line: str) -> None:
    expected = f"prefect.yaml: deployment nightly: {line}"
    assert write(copy, nightly(**changed)) == [expected]
    with pytest.raises(UserError) as caught:
        read_deployments(copy)
    assert caught.value.lines == (expected,)


def test_names_that_are_missing_or_stand_there_twice(copy: Path) -> None:
    assert write(copy, nightly(), nightly(), nightly(name=None), "nightly") == [
        "prefect.yaml: deployment nightly: stands there twice; expected each name once",
        "prefect.yaml: deployment (no name): no name; expected one",
        "prefect.yaml: deployments have 'nightly'; expected a name and an entrypoint",
    ]
