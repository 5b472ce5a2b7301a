"""``geocore estimate synthesize``: the root's networks on a chip, from its own parameters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from geocore.cli.app import app
from tests.pipeline.stages import blobs, write_raw

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root's pipeline, without data."""
    for name in ("geocore", "flows", "tasks"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("dvc.yaml", "params.yaml", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GEOCORE_HOME", raising=False)
    return tmp_path


def estimate(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["estimate", "synthesize", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_a_table_and_the_same_as_json(project: Path) -> None:
    split = (np.arange(30) // 3 % 3).astype(np.uint8)
    write_raw(project / "data/raw", blobs(30, 8, 8, 1), split=split)
    code, out, error = estimate()
    assert code == 0, error
    assert "Of params.yaml, in the open flow, with weights as they begin" in out
    code, told, error = estimate("--json")
    assert code == 0, error
    variants = json.loads(told)["variants"]
    rows = [line.split() for line in out.splitlines()[1 : 1 + len(variants)]]
    assert [row[0] for row in rows] == [one["variant"] for one in variants]
    for row, one in zip(rows, variants, strict=True):
        assert float(row[1].replace(",", "")) == pytest.approx(one["lut"]["value"], rel=0.006)
    assert not (project / ".geocore").exists() and not (project / "results").exists()


def test_without_data_it_is_one_line(project: Path) -> None:
    code, out, error = estimate()
    assert (code, out) == (2, "")
    assert error.startswith("error: data/raw") and error.count("\n") == 1
