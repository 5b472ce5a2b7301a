"""``geocore estimate``: a table of kernels, and one line where there are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from geocore.cli.app import app
from geocore.kernels.cost import BlockCost
from geocore.pipeline.kernel_cost import StoreCost
from tests.pipeline.test_train import write_table

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root's pipeline with a small kernel and no data."""
    for name in ("geocore", "flows", "tasks"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("dvc.yaml", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"))
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["ntk"] |= {"subset": 20, "block": 8}
    params["runtime"] |= {"workers": 2, "progress": False}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GEOCORE_HOME", raising=False)
    return tmp_path


def estimate(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["estimate", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_a_table_by_the_law(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second a pair, on two workers; 20 training samples, 10 of either other split."""
    write_table(project)
    law = BlockCost(0.0, 0.0, 1.0, 0.0, 2.0**20, 2, (), ())
    where = "geocore.pipeline.kernel_estimate"
    monkeypatch.setattr(f"{where}.probe_task", lambda *_: law)
    monkeypatch.setattr(f"{where}.probe_store", lambda *_: StoreCost(0.0, 0.0))
    code, out, error = estimate()
    assert code == 0, error
    rows = [line.split() for line in out.splitlines()[:5]]
    assert rows[0] == ["kernel", "pairs", "blocks", "us", "a", "pair", "time", "memory", "disk"]
    assert [row[:4] for row in rows[1:4]] == [
        ["train", "210", "6", "1e+06"],
        ["val", "200", "6", "1e+06"],
        ["test", "200", "6", "1e+06"],
    ]
    assert rows[1][6:8] == ["128", "MiB"]
    assert "Of params.yaml, 2 blocks at once" in out


def test_it_measures_and_leaves_nothing_behind(project: Path) -> None:
    write_table(project)
    code, out, error = estimate("ntk", "--seconds", "0.3", "--json")
    assert code == 0, error
    found = json.loads(out)
    assert (found["stage"], found["workers"]) == ("ntk", 2)
    assert [row["task"] for row in found["kernels"]] == ["train", "val", "test"]
    assert found["seconds"] > 0
    assert found["seconds"] == pytest.approx(sum(row["seconds"] for row in found["kernels"]))
    assert found["disk"] == sum(row["disk"] for row in found["kernels"]) > 0
    assert found["kernels"][0]["microseconds_a_pair"] >= 0
    assert not (project / ".geocore").exists() and not (project / "results").exists()


def test_where_there_is_nothing_to_estimate(project: Path) -> None:
    assert estimate()[0] == 2
    assert "data/healpix: missing" in estimate()[2]
    write_table(project)
    assert estimate("nope") == (
        2, "", "error: stage 'nope' is unknown; expected one of "
        f"{', '.join(yaml.safe_load((project / 'dvc.yaml').read_text())['stages'])}\n",
    )  # fmt: skip
    stages = yaml.safe_load((project / "dvc.yaml").read_text())
    del stages["stages"]["ntk"]
    (project / "dvc.yaml").write_text(yaml.safe_dump(stages))
    assert estimate() == (
        2, "",
        "error: the root's dvc.yaml has stages with kernels: none; expected the name of one\n",
    )  # fmt: skip


def test_a_mistake_of_the_stage_is_one_here(project: Path) -> None:
    write_table(project)
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["ntk"]["subset"] = 21
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    code, out, error = estimate()
    assert (code, out) == (2, "")
    assert error == (
        "error: params.yaml: ntk.subset is 21; expected an integer from 1 to the 20 training "
        "samples of data/healpix\n"
    )


def test_a_stage_without_kernels(project: Path) -> None:
    write_table(project)
    code, _, error = estimate("train")
    assert (code, error) == (
        2,
        "error: stage train computes no kernels; expected one of limit, ntk\n",
    )
