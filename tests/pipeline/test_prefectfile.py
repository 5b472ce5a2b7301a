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
    (tmp_path / "binary").write_bytes(b"\xff\x00")
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
            {"parameters": {"targets": ["studies/mine/dvc.yaml:train"]}},
            "target 'studies/mine/dvc.yaml:train' is of another pipeline; expected stages of the "
            "root's dvc.yaml, whose metrics are reported",
        ),
        (
            {"parameters": {"targets": ["studies/mine/dvc.yaml"]}},
            "target 'studies/mine/dvc.yaml' is of another pipeline; expected stages of the root's "
            "dvc.yaml, whose metrics are reported",
        ),
        ({"parameters": 3}, "parameters are 3; expected a mapping of them"),
        (
            {"entrypoint": "prefect.yaml:repro"},
            "entrypoint is 'prefect.yaml:repro'; prefect.yaml is not Python, "
            "expected flows/FILE.py",
        ),
        (
            {"entrypoint": "binary:repro"},
            "entrypoint is 'binary:repro'; binary is not Python, expected flows/FILE.py",
        ),
        (
            {"schedule": {"cron": "0 3 * * *", "timezone": "UTC"}},
            "schedule is an unknown key; did you mean schedules?",
        ),
        (
            {"work_pool": {"name": "local", "nmae": "other"}},
            "work_pool: nmae is an unknown key; did you mean name?",
        ),
        ({"schedules": 3}, "schedules are 3; expected a list"),
        (
            {"schedules": [{"cron": "99 99 * * *", "timezone": "UTC"}]},
            "cron: minute is '99'; expected 0 to 59",
        ),
        (
            {"schedules": [{"interval": 0, "timezone": "UTC"}]},
            "interval is 0; expected seconds above 0, or a duration like PT6H",
        ),
        (
            {"schedules": [{"rrule": None, "timezone": "UTC"}]},
            "rrule is None; expected a rule like FREQ=DAILY",
        ),
        (
            {"schedules": [{"cron": "0 3 * * *", "timezone": "UTC", "activ": False}]},
            "schedule: activ is an unknown key; did you mean active?",
        ),
        (
            {
                "schedules": [
                    {"cron": "@daily", "timezone": "UTC", "parameters": {"targets": ["trian"]}}
                ]
            },
            "schedule: target 'trian' is no stage; did you mean train?",
        ),
        (
            {"parameters": {"targets": "train"}},
            "targets are 'train'; expected a list of stages, or null for all",
        ),
        (
            {"schedules": [{"cron": "3 o'clock", "timezone": "UTC"}]},
            "cron: \"3 o'clock\"; expected five fields, like '0 3 * * *', or one of @hourly, "
            "@daily, @midnight, @weekly, @monthly, @yearly, @annually",
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


@pytest.mark.parametrize("schedule", [{"interval": 3600}, {"interval": "PT6H"}, {"cron": "@daily"}])
def test_schedules_that_come(copy: Path, schedule: dict[str, Any]) -> None:
    assert write(copy, nightly(schedules=[{"timezone": "UTC", **schedule}], paused=True)) == []


@pytest.mark.parametrize("text", ["3", "[]", "{a: b}", "null"])
def test_deployments_that_are_no_list(copy: Path, text: str) -> None:
    (copy / "prefect.yaml").write_text(f"deployments: {text}\n")
    found = yaml.safe_load(text)
    with pytest.raises(UserError) as caught:
        read_deployments(copy)
    line = f"prefect.yaml: deployments are {found!r}; expected a list of them"
    assert caught.value.lines == (line,)


def test_names_that_are_missing_or_stand_there_twice(copy: Path) -> None:
    assert write(copy, nightly(), nightly(), nightly(name=None), "nightly") == [
        "prefect.yaml: deployment nightly: stands there twice; expected each name once",
        "prefect.yaml: deployment (no name): no name; expected one",
        "prefect.yaml: deployments have 'nightly'; expected a name and an entrypoint",
    ]
