"""``dvc.yaml`` and ``dvc.lock`` as plain values."""

from __future__ import annotations

from pathlib import Path

import pytest

from geocore.errors import UserError
from geocore.pipeline.dvcfile import locked_params, read_dvc

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
