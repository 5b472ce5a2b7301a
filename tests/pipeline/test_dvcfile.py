"""``dvc.yaml`` and ``dvc.lock`` as plain values."""

from __future__ import annotations

from pathlib import Path

import pytest

from geocore.errors import UserError
from geocore.pipeline.dvcfile import locked_params, locked_stages, read_dvc

DVC = """
stages:
  one:
    cmd: >
      python -m
      flows.one
    deps: [geocore/data, in.txt]
    params: [a.b, other.yaml: [c.d]]
    outs: [x, y: {cache: false}]
    metrics: [m.json: {cache: false}]
    plots: [p.csv]
"""


def test_every_form_of_an_entry_is_read(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(DVC)
    stage = read_dvc(tmp_path)["one"]
    assert stage.cmd == "python -m flows.one"
    assert stage.params == ("a.b", "c.d")
    assert stage.outs == ("x", "y", "m.json", "p.csv")
    assert stage.covering("geocore/data/table.py") == "geocore/data"
    assert stage.covering("geocore/database.py") is None
    assert stage.covering("in.txt") == "in.txt"


def test_a_stage_without_command_is_named(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {one: {deps: [a]}}")
    with pytest.raises(UserError, match=r"stage one has no cmd; expected python -m flows.one"):
        read_dvc(tmp_path)


def test_the_lock_tells_the_last_values(tmp_path: Path) -> None:
    assert locked_params(tmp_path, "one") is None
    (tmp_path / "dvc.lock").write_text(
        "schema: '2.0'\nstages: {one: {cmd: x, params: {params.yaml: {a.b: 1}}}}"
    )
    assert locked_params(tmp_path, "one") == {"a.b": 1}
    assert locked_params(tmp_path, "two") is None


@pytest.mark.parametrize(
    ("stages", "line"),
    [
        ("3", "dvc.yaml: stages is 3; expected a mapping of keys"),
        ("[one]", "dvc.yaml: stages is ['one']; expected a mapping of keys"),
        ("{one: {cmd: x, params: 5}}", "dvc.yaml: stage one: params is 5; expected a list"),
        (
            "{one: {cmd: x, params: [[a]]}}",
            "dvc.yaml: stage one: params is [['a']]; expected a list",
        ),
        (
            "{one: {cmd: x, params: [own.yaml: 5]}}",
            "dvc.yaml: stage one: params: own.yaml is 5; expected a list",
        ),
        ("{one: {cmd: x, deps: data}}", "dvc.yaml: stage one: deps is 'data'; expected a list"),
        ("{one: {cmd: x, outs: [{}]}}", "dvc.yaml: stage one: outs is [{}]; expected a list"),
        (
            "{one: {cmd: x, plots: {a: b}}}",
            "dvc.yaml: stage one: plots is {'a': 'b'}; expected a list",
        ),
    ],
)
def test_what_is_of_another_type_is_one_line(tmp_path: Path, stages: str, line: str) -> None:
    (tmp_path / "dvc.yaml").write_text(f"stages: {stages}\n")
    with pytest.raises(UserError) as caught:
        read_dvc(tmp_path)
    assert caught.value.lines == (line,)


@pytest.mark.parametrize(
    ("stages", "line"),
    [
        ("3", "dvc.lock: stages is 3; expected a mapping of keys"),
        ("{one: 3}", "dvc.lock: stage one is 3; expected a mapping of keys"),
        ("{one: {params: 3}}", "dvc.lock: stage one: params is 3; expected a mapping of keys"),
        (
            "{one: {params: {params.yaml: 3}}}",
            "dvc.lock: stage one: params: params.yaml is 3; expected a mapping of keys",
        ),
    ],
)
def test_a_lock_of_another_type_is_one_line(tmp_path: Path, stages: str, line: str) -> None:
    assert locked_stages(tmp_path) == {}
    (tmp_path / "dvc.lock").write_text(f"stages: {stages}\n")
    with pytest.raises(UserError) as caught:
        locked_params(tmp_path, "one")
    assert caught.value.lines == (line,)
