"""A run of one stage against revisions and the workspace: no difference that is none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from geocore.errors import UserError
from geocore.report.alignment import aligned
from geocore.report.comparison import Comparison, Missing, compare
from geocore.report.reading import read_snapshot
from geocore.runs.closure import module_digests
from geocore.runs.digest import digest_bytes, digest_tree
from tests.report.scene import CURVE, Project

ROOT = Path(__file__).parents[2]
RUN = "20261122T200120-train-aaaaaa"
TABLE = {"table.json": b'{"rows": 1}', "part-00000.arrow": b"rows"}


def entry(project: Project, run: str = RUN, **more: Any) -> dict[str, Any]:
    """What the ledger would keep of ``train`` on what lies there now."""
    about = {
        "params": {"train.lr": 0.002, "train.epochs": 3},
        "inputs": {"healpix": digest_bytes(TABLE["table.json"])},
        "outs": {
            "results/train/weights.safetensors": digest_bytes(b"weights"),
            "results/train/curve.csv": digest_bytes(CURVE.encode()),
            "results/evaluate/pictures": digest_tree(project.root / "results/evaluate/pictures"),
        },
        "code": {"closure": module_digests(["flows.train"], project.root)},
    }
    return project.entry(run, **{**about, **more})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose last run of ``train`` the ledger has, made of what HEAD holds."""
    project = Project(tmp_path)
    project.owned |= {"data/healpix": TABLE, "results/train/weights.safetensors": b"weights"}
    # As in a real flow, what makes the digests is among the code.
    shutil.copytree(ROOT / "geocore/runs", tmp_path / "geocore/runs")
    for name in ("geocore/_lazy.py", "geocore/errors.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    project.write("flows/train.py", "import geocore.runs.closure\nimport geocore.train.loop\n")
    project.commit("first")
    made = {"data/healpix": digest_bytes(TABLE["table.json"])}
    project.entry("20261122T1-resample-aaaaaa", stage="resample", outs=made)
    entry(project)
    return project


def compared(project: Project, *names: str) -> Comparison:
    snapshots = [read_snapshot(project.root, name) for name in names]
    return compare(aligned(project.root, snapshots))


@pytest.mark.parametrize("other", ["HEAD", "workspace", "repro"])
def test_equal_ones_are_equal_whatever_made_their_digests(project: Project, other: str) -> None:
    if other == "repro":
        noted = read_snapshot(project.root, "workspace").to_json()
        other = project.entry("20261122T3-repro-aaaaaa", "repro", snapshot=noted)["run"]
    for names in ((RUN, other), (other, RUN)):
        found = compared(project, *names)
        assert (found.params, found.code, found.data, found.metrics) == ((), (), (), ())
        assert found.same["params"] == 2
        assert found.same["data"] == 4
        assert found.same["code"] > 8


def test_a_statement_is_a_difference_and_a_comment_is_none(project: Project) -> None:
    project.write("geocore/train/loop.py", "# words\nRATE = 1  # more\n")
    assert compared(project, RUN, "workspace").code == ()
    project.write("geocore/train/loop.py", "RATE = 2\n")
    project.write(
        "flows/train.py", "import geocore.runs.closure, geocore.train.loop, tasks.train\n"
    )
    project.commit("second")
    for other in ("workspace", "HEAD"):
        found = compared(project, RUN, other)
        rows = {row.name: row.values for row in found.code}
        assert set(rows) == {"flows.train", "geocore.train.loop", "tasks", "tasks.train"} - {
            "tasks"
        }
        assert rows["tasks.train"][0] is Missing.ABSENT
    assert compared(project, RUN, "HEAD~1").code == ()


def test_data_that_differs(project: Project) -> None:
    project.owned |= {"data/healpix": {**TABLE, "table.json": b'{"rows": 2}'}}
    project.commit("second")
    assert [row.name for row in compared(project, RUN, "HEAD").data] == ["data/healpix"]
    assert compared(project, RUN, "HEAD~1").data == ()


def test_data_that_is_in_no_cache_is_not_recorded(project: Project) -> None:
    project.forget_cache()
    found = compared(project, RUN, "HEAD")
    assert found.data == ()
    assert found.same["data"] == 0


def test_runs_alone_are_compared_as_they_are(project: Project) -> None:
    closure = {**module_digests(["flows.train"], project.root), "geocore.train.loop": "other"}
    entry(project, "20261122T3-train-bbbbbb", code={"closure": closure})
    found = compared(project, RUN, "20261122T3")
    assert [row.name for row in found.code] == ["geocore.train.loop"]
    assert found.data == ()


def test_two_stages_and_a_revision(project: Project) -> None:
    project.write("flows/fetch.py", "import geocore.runs.closure\n")
    project.commit("second")
    code = {"closure": module_digests(["flows.fetch"], project.root)}
    entry(
        project, "20261122T4-fetch-bbbbbb", stage="fetch", params={}, inputs={}, outs={}, code=code
    )
    found = compared(project, "HEAD", RUN, "20261122T4")
    assert (found.code, found.data, found.params) == ((), (), ())


def test_code_of_another_digest_is_not_comparable(project: Project) -> None:
    closure = {**module_digests(["flows.train"], project.root), "geocore.runs.source": "older"}
    entry(project, "20261122T3-train-bbbbbb", code={"closure": closure})
    (row,) = compared(project, "20261122T3", "HEAD").code
    assert row.values[1] is Missing.INCOMPARABLE


def test_code_that_cannot_be_had_is_not_comparable(project: Project) -> None:
    snapshot = read_snapshot(project.root, "workspace").to_json()
    snapshot["code"] = {**snapshot["code"], "geocore/train/loop.py": "0" * 40}
    project.entry("20261122T3-repro-bbbbbb", "repro", snapshot=snapshot)
    (row,) = compared(project, RUN, "20261122T3").code
    assert row.values[1] is Missing.INCOMPARABLE
    project.git("rm", "--quiet", "flows/train.py")
    project.commit("without the stage", repro=False)
    (row,) = compared(project, RUN, "HEAD").code
    assert row.values[1] is Missing.INCOMPARABLE


def test_without_a_run_nothing_is_asked_again(project: Project) -> None:
    snapshots = [read_snapshot(project.root, name) for name in ("HEAD", "workspace")]
    assert aligned(project.root, snapshots) == snapshots


def test_a_run_of_a_study_is_compared_with_its_own_alone(project: Project) -> None:
    first, second = (f"20261122T{n}-train-bbbbbb" for n in (3, 4))
    entry(project, first, study="studies/mine")
    entry(project, second, study="studies/mine", params={"train.lr": 0.1})
    rows = compared(project, first, second).params
    assert [row.name for row in rows] == ["train.epochs", "train.lr"]
    line = (
        f"{first}: of studies/mine, a pipeline of its own; beside a run of one stage "
        "expected only what is of the same pipeline"
    )
    for other in ("HEAD", "workspace", RUN):
        for names in ((first, other), (other, first)):
            with pytest.raises(UserError) as caught:
                compared(project, *names)
            assert caught.value.lines == (line,)
    # The study's folder is of its pipeline, as it lies and in a revision.
    project.write("studies/mine/dvc.yaml", "stages: {}\n")
    project.write("studies/mine/params.yaml", "train: {lr: 0.5}\n")
    project.commit("a study", repro=False)
    for folder in ("studies/mine", "HEAD:studies/mine"):
        (row,) = (row for row in compared(project, second, folder).params if row.name == "train.lr")
        assert row.values == (0.1, 0.5)
    entry(project, second, study="")
    assert compared(project, RUN, second).params == ()
