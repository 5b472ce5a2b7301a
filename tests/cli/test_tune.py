"""``geocore tune``: a table of chunks, and one line where there is nothing to tune."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from geocore.cli.app import app
from geocore.ensembles.tuning import Measured
from tests.pipeline.test_train import write_table

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root's pipeline with a small network and no data."""
    for name in ("geocore", "flows", "tasks"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("dvc.yaml", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"))
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["model"] |= {"embed": 8, "depths": [1, 1], "heads": [1, 2], "window": 4}
    params["ensemble"] = {"members": 3, "chunk": 2, "seed": 0}
    params["runtime"] |= {"workers": 1, "progress": False}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GEOCORE_HOME", raising=False)
    return tmp_path


def tune(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["tune", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_a_table_and_a_suggestion_that_changes_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(project)
    before = (project / "params.yaml").read_bytes()
    found = [Measured(1, 0.002, 2**20), Measured(2, 0.001, 2**20), Measured(3, 0.00101, 2**20)]
    monkeypatch.setattr("geocore.ensembles.tuning.measure", lambda *_: found)
    code, out, _ = tune()
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][:4] == ["chunk", "ms", "a", "step"]
    # 20 samples in batches of 32: a step an epoch, for 30 epochs, of three members.
    assert lines[1:4] == [
        ["1", "2", "1", "1", "0.18", "s"],
        ["2", "1", "1", "1", "0.09", "s"],
        ["3", "1.01", "1", "1", "0.0909", "s"],
    ]
    assert "Suggested: a chunk of 2.\n" in out
    assert "Nothing was changed: ensemble.chunk in params.yaml decides, and is 2." in out
    monkeypatch.setattr("geocore.ensembles.tuning.measure", lambda *_: found[:2])
    assert "a chunk of 2; larger ones did not fit into the time (--seconds)." in tune()[1]
    monkeypatch.setattr("geocore.ensembles.tuning.measure", lambda *_: found[:1])
    assert "Only chunks of 1 could be measured in that time" in tune()[1]
    assert (project / "params.yaml").read_bytes() == before


def test_it_measures_and_leaves_nothing_behind(project: Path) -> None:
    write_table(project)
    code, out, error = tune("--seconds", "0.6", "--json")
    assert code == 0, error
    found = json.loads(out)
    assert (found["members"], found["chunk"], found["steps"]) == (3, 2, 30)
    assert [row["chunk"] for row in found["measured"]] == [1, 2, 3][: len(found["measured"])]
    assert found["measured"][0]["milliseconds_a_step_and_member"] > 0
    assert not (project / ".geocore").exists() and not (project / "results").exists()


def test_without_the_table_one_line(project: Path) -> None:
    assert tune() == (
        2,
        "",
        "error: data/healpix: missing; expected the table 'healpix': run dvc repro to make it\n",
    )


def test_without_the_stage_one_line(project: Path) -> None:
    folder = project / "studies/plain"
    folder.mkdir(parents=True)
    (folder / "dvc.yaml").write_text("stages: {train: {cmd: python -m flows.train}}\n")
    assert tune("plain") == (
        2,
        "",
        "error: study 'plain' has no stage ensemble to tune; expected one beside train\n",
    )
    code, out, error = tune("nothing")
    assert (code, out) == (2, "")
    assert error == "error: study 'nothing' is unknown; expected one of plain\n"
