"""Names to snapshots: the workspace, revisions, experiments, runs; and names of nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from geocore.errors import UserError
from geocore.report.comparison import SECTIONS, Comparison, Missing, compare
from geocore.report.pictures import gallery
from geocore.report.reading import read_snapshot
from geocore.report.snapshot import Snapshot
from geocore.runs.digest import digest_file
from geocore.runs.store import Store
from tests.report.scene import PARAMS, Project, png

KEY = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Never changed: for what is only looked at."""
    project = Project(tmp_path_factory.mktemp("whole"))
    project.commit("the first <i>state</i>")
    return project


@pytest.fixture
def project(whole: Project, tmp_path: Path) -> Project:
    shutil.copytree(whole.root, tmp_path / "project", symlinks=True)
    copy = object.__new__(Project)
    copy.__dict__ = {**whole.__dict__, "root": tmp_path / "project"}
    return copy


def refused(project: Project, name: str) -> tuple[str, ...]:
    with pytest.raises(UserError) as caught:
        read_snapshot(project.root, name)
    return caught.value.lines


def test_what_a_revision_holds(whole: Project) -> None:
    found = read_snapshot(whole.root, "main")
    assert (found.name, found.kind) == ("main", "revision")
    assert found.commit == whole.git("rev-parse", "main")
    assert found.about == "the first <i>state</i>"
    assert found.params == {
        "data.seed": 0, "train.lr": 0.002, "train.epochs": 3, "train.note": None
    }  # fmt: skip
    assert found.metrics == {
        "evaluate.test.accuracy": 0.95,
        "evaluate.test.nll": 0.2,
        "evaluate.test.n": 359,
        "evaluate.test.ece": None,
    }
    assert found.gates["evaluate.accuracy_min"]["passed"] is True
    assert set(found.code) == {
        "dvc.yaml", "flows/train.py", "geocore/train/__init__.py", "geocore/train/loop.py",
        "tasks/train.py",
    }  # fmt: skip
    assert set(found.data) == {
        "data/raw", "results/evaluate/pictures", "results/train/curve.csv"
    }  # fmt: skip
    assert found.curves["train/curve.csv"]["val_accuracy"] == [0.1, 0.6, 0.95]
    assert found.pictures == {
        "evaluate/pictures/confusion.png": png(10),
        "evaluate/pictures/kept.png": png(20),
    }
    assert found.notes == ()


def test_a_clean_workspace_differs_in_nothing(whole: Project) -> None:
    pair = [read_snapshot(whole.root, name) for name in ("HEAD", "workspace")]
    assert pair[1].kind == "workspace"
    assert pair[1].commit == pair[0].commit
    assert pair[1].curves == pair[0].curves
    assert pair[1].pictures == pair[0].pictures
    found = compare(pair, everything=True)
    assert all(not row.differs for section in SECTIONS for row in found.section(section))
    assert found.same == {"params": 4, "metrics": 4, "gates": 1, "code": 5, "data": 3}


def test_the_workspace_has_what_lies_there_now(project: Project) -> None:
    project.write("geocore/train/loop.py", "RATE = 2\n")
    project.write("geocore/train/new.py", "")
    project.write("geocore/train/__pycache__/new.pyc", "")
    project.write("geocore/cli/app.py", "UNUSED = 2\n")
    (project.root / "tasks/train.py").unlink()
    pair = [read_snapshot(project.root, name) for name in ("HEAD", "workspace")]
    found = compare(pair)
    assert [row.name for row in found.code] == [
        "geocore/train/loop.py", "geocore/train/new.py", "tasks/train.py"
    ]  # fmt: skip
    assert pair[1].notes == (
        "its results are older than geocore/train, tasks/train.py: dvc repro renews them",
    )


def test_an_experiment_by_its_name(project: Project) -> None:
    base = project.git("rev-parse", "HEAD")
    project.write_params({**PARAMS, "train": {**PARAMS["train"], "lr": 0.1}})
    commit = project.commit("an experiment")
    project.git("reset", "--quiet", "--hard", base)
    project.experiment("brave-newt", commit, baseline=base)
    found = read_snapshot(project.root, "brave-newt")
    assert (found.kind, found.name, found.commit) == ("experiment", "brave-newt", commit)
    rows = compare([read_snapshot(project.root, "HEAD"), found]).params
    assert [(row.name, row.values) for row in rows] == [("train.lr", (0.002, 0.1))]
    project.experiment("brave-newt", base, baseline=commit)
    told = refused(project, "brave-newt")
    ends = (f"{base[:12]}, {commit[:12]}", f"{commit[:12]}, {base[:12]}")
    assert told[0] in {
        f"experiment 'brave-newt' is not unique; it may be commit {end}" for end in ends
    }


def test_what_is_in_no_cache_is_left_out_and_said(project: Project) -> None:
    project.forget_cache()
    found = read_snapshot(project.root, "HEAD")
    assert (found.curves, found.pictures) == ({}, {})
    assert found.metrics["evaluate.test.accuracy"] == 0.95
    assert found.notes == (
        "not in DVC's cache here (dvc pull brings them): "
        "results/evaluate/pictures, results/train/curve.csv",
    )


def test_a_revision_before_anything_ran(project: Project) -> None:
    project.git("rm", "--quiet", "-r", "params.yaml", "dvc.lock", "results")
    project.commit("bare", repro=False)
    found = read_snapshot(project.root, "HEAD")
    assert (found.params, found.metrics, found.gates, found.data) == ({}, {}, {}, {})
    assert found.notes == (
        "nothing in its dvc.lock: which code and data it stands for is not known",
    )


@pytest.mark.parametrize(
    ("path", "content", "line"),
    [
        ("params.yaml", "a: [", "HEAD: params.yaml line 1: "),
        ("params.yaml", b"\xff", "HEAD: params.yaml: byte 0 is not UTF-8; expected text"),
        ("dvc.lock", "stages: 3", "HEAD: dvc.lock: holds no stages; "),
        (
            "results/evaluate/metrics.json",
            "NaN",
            "HEAD: results/evaluate/metrics.json: no JSON object; expected what a stage writes",
        ),
    ],
)
def test_a_broken_file_of_a_revision(
    project: Project, path: str, content: str | bytes, line: str
) -> None:
    project.write(path, content)
    project.commit(repro=False)
    told = refused(project, "HEAD")
    assert len(told) == 1
    assert told[0].startswith(line)
    assert refused(project, "workspace")[0].startswith(line.replace("HEAD", "workspace"))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mian", "did you mean main?"),
        ("workspcae", "did you mean workspace?"),
        ("brave", "did you mean brave-newt?"),
        ("20261122T200120-trian", "did you mean 20261122T200120-train-d8aa7f?"),
        (
            "zzz",
            "expected workspace, a branch, tag or commit, an experiment, or a run of geocore runs",
        ),
        (
            "",
            "expected workspace, a branch, tag or commit, an experiment, or a run of geocore runs",
        ),
        ("--help", None),
        ("a\nb \x1b[31m", None),
    ],
)
def test_names_of_nothing(project: Project, name: str, hint: str | None) -> None:
    project.experiment("brave-newt", project.git("rev-parse", "HEAD"))
    project.entry("20261122T200120-train-d8aa7f")
    (line,) = refused(project, name)
    assert line.startswith(f"{name!r} is no git revision, experiment or run; ")
    assert "\n" not in line
    assert "\x1b" not in line
    if hint is not None:
        assert line.endswith(hint)


def test_the_beginning_of_several_runs(project: Project) -> None:
    project.entry("20261122T200120-train-aaaaaa")
    project.entry("20261122T200121-train-bbbbbb")
    assert refused(project, "20261122") == (
        "run '20261122' is not unique; it may be 20261122T200120-train-aaaaaa, "
        "20261122T200121-train-bbbbbb",
    )
    assert read_snapshot(project.root, "20261122T200121").kind == "run"


def test_a_run_of_the_whole_pipeline_has_its_snapshot(project: Project) -> None:
    noted = read_snapshot(project.root, "workspace").to_json()
    project.entry("20261122T200120-repro-aaaaaa", stage="repro", snapshot=noted)
    found = read_snapshot(project.root, "20261122")
    assert (found.name, found.kind) == ("20261122", "run")
    assert found.about == "run 20261122T200120-repro-aaaaaa, done"
    comparison = compare([read_snapshot(project.root, "HEAD"), found], everything=True)
    assert not any(row.differs for name in SECTIONS for row in comparison.section(name))
    assert found.curves == read_snapshot(project.root, "HEAD").curves
    project.entry("20261123T200120-repro-aaaaaa", stage="repro", snapshot={"kind": "workspace"})
    assert refused(project, "20261123") == (
        "20261123T200120-repro-aaaaaa: snapshot.params is missing; expected a mapping",
    )


def test_a_run_of_a_stage_is_what_ledger_and_store_have(project: Project) -> None:
    def build(folder: Path) -> None:
        (folder / "metrics.json").write_text(json.dumps({"val_nll": 0.5}))
        (folder / "curve.csv").write_text("epoch,val_nll\n0,0.5\n")
        (folder / "pictures").mkdir()
        (folder / "pictures/x.png").write_bytes(png(3))

    Store(project.root / ".geocore/store").make(KEY, build, verb="train")
    project.entry(
        "20261122T1-resample-aaaaaa", stage="resample", outs={"data/healpix": "d1"}
    )  # fmt: skip
    project.entry(
        "20261122T2-train-bbbbbb",
        key=KEY,
        pieces={KEY: "made"},
        params={"train.lr": 0.1},
        inputs={"healpix": "d1", "camera": "d9"},
        outs={"results/train/weights.safetensors": "d2", "results/train/metrics.json": "d3"},
        code={"commit": "c0ffee", "dirty": True, "closure": {"geocore.train.loop": "e1"}},
    )
    found = read_snapshot(project.root, "20261122T2")
    assert (found.kind, found.commit, found.base) == ("run", "c0ffee", "c0ffee+")
    assert found.params == {"train.lr": 0.1}
    assert found.metrics == {"train.val_nll": 0.5}
    assert found.curves == {"train/curve.csv": {"epoch": [0.0], "val_nll": [0.5]}}
    assert found.pictures == {"train/pictures/x.png": png(3)}
    assert found.code == {"geocore.train.loop": "e1"}
    assert found.data == {
        "data/healpix": "d1", "input camera": "d9", "results/train/weights.safetensors": "d2"
    }  # fmt: skip
    assert found.notes == ()
    Store(project.root / ".geocore/store").remove(KEY)
    lost = read_snapshot(project.root, "20261122T2")
    assert (lost.metrics, lost.curves, lost.pictures) == ({}, {}, {})
    assert lost.notes == ("its piece is no longer in the store: no metrics, curves or pictures",)


@pytest.mark.parametrize(
    "odd",
    [
        {"key": "nonsense"},
        {"inputs": [1]},
        {"outs": {"a": 1}},
        {"code": {"closure": 3, "commit": 4}},
    ],
)
def test_an_odd_entry_of_the_ledger_is_no_traceback(project: Project, odd: dict[str, Any]) -> None:
    project.entry("20261122T2-train-bbbbbb", **odd)
    assert read_snapshot(project.root, "20261122T2").kind == "run"


def test_a_project_without_git(project: Project, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(project.root, bare, ignore=shutil.ignore_patterns(".git"))
    found = read_snapshot(bare, "workspace")
    assert found.commit is None
    assert found.metrics["evaluate.test.accuracy"] == 0.95
    assert found.notes == ("no git repository here: which code it stands for is not known",)
    with pytest.raises(UserError) as caught:
        read_snapshot(bare, "HEAD~1")
    assert caught.value.lines == (
        "'HEAD~1' is no git revision, experiment or run; did you mean HEAD?",
    )


def test_a_project_below_the_repository(project: Project) -> None:
    inner = project.root / "studies/mine"
    for path in ("params.yaml", "results/evaluate/metrics.json"):
        project.write(f"studies/mine/{path}", (project.root / path).read_bytes())
    project.commit("a study")
    found = read_snapshot(inner, "HEAD")
    assert found.params["train.lr"] == 0.002
    assert found.metrics["evaluate.test.accuracy"] == 0.95


@pytest.mark.parametrize(
    "odd",
    [
        {"stage": "gate", "key": KEY},
        {"key": KEY, "state": "failed", "error": "no"},
        {"stage": "repro", "state": "failed"},
        {"key": KEY, "pieces": {"f" * 32: "made"}, "state": "died"},
    ],
)
def test_a_run_without_results_of_its_own_says_that(project: Project, odd: dict[str, Any]) -> None:
    Store(project.root / ".geocore/store").make(KEY, lambda _: None, verb="train")
    project.entry("20261122T2-train-bbbbbb", **odd)
    found = read_snapshot(project.root, "20261122T2")
    assert found.metrics == {}
    assert found.notes == ("this run kept no results: no metrics, curves or pictures",)


def test_code_of_one_lock_alone_is_looked_up_in_both_trees(project: Project) -> None:
    project.write("geocore/shared.py", "SAME = 1\n")
    project.write("geocore/changed.py", "OLD = 1\n")
    project.commit("before")
    project.code_deps = [*project.code_deps, "geocore/shared.py", "geocore/changed.py"]
    project.code_deps.remove("tasks/train.py")
    project.write("geocore/changed.py", "NEW = 1\n")
    project.write("geocore/train/added.py", "")
    project.commit("after")
    noted = read_snapshot(project.root, "workspace").to_json()
    project.entry("20261122T2-repro-bbbbbb", "repro", snapshot=noted)
    for after in ("HEAD", "workspace", "20261122T2"):
        pair = [read_snapshot(project.root, name) for name in ("HEAD~1", after)]
        for snapshots in (pair, pair[::-1]):
            found = compare(snapshots)
            rows = {row.name: row.values for row in found.code}
            assert set(rows) == {"geocore/changed.py", "geocore/train/added.py"}
            assert all(isinstance(value, str) for value in rows["geocore/changed.py"])
            assert Missing.ABSENT in rows["geocore/train/added.py"]
            assert found.same["code"] == 6


def test_a_run_that_noted_no_other_code_cannot_say_what_is_absent(project: Project) -> None:
    noted = read_snapshot(project.root, "workspace").to_json()
    del noted["other_code"], noted["code"]["tasks/train.py"]
    project.entry("20261122T2-repro-bbbbbb", "repro", snapshot=noted)
    found = compare([read_snapshot(project.root, name) for name in ("HEAD", "20261122T2")])
    assert found.code == ()


def test_pictures_of_a_whole_run_come_from_the_cache(project: Project) -> None:
    noted = read_snapshot(project.root, "workspace").to_json()
    project.entry("20261122T2-repro-bbbbbb", "repro", snapshot=noted)
    here = read_snapshot(project.root, "HEAD")
    found = read_snapshot(project.root, "20261122T2")
    assert found.pictures == here.pictures
    assert found.notes == ()
    project.forget_cache()
    lost = read_snapshot(project.root, "20261122T2")
    assert (lost.pictures, set(lost.unread or ())) == ({}, set(here.pictures))
    assert lost.notes == (
        "no longer in DVC's cache here: "
        "evaluate/pictures/confusion.png, evaluate/pictures/kept.png",
    )
    bare = read_snapshot(project.root, "HEAD")
    for owner in (lost, bare):
        figures, _ = gallery([replace(owner, name="lost"), here])
        assert [figure.absent for figure in figures] == [(), ()]


def test_data_that_no_stage_makes_goes_by_what_lies_there(project: Project) -> None:
    project.write("data/own/b/scan.off", "OFF 1")
    project.write("data/own/scan.off", "OFF 2")
    project.write(".dvcignore", ".gitkeep\n*.swp\n")
    project.write("data/own/.gitkeep", "")
    (project.root / "data/own/.gitkeep").unlink()
    project.commit("own data")
    project.write("data/own/.gitkeep", "")
    project.git("add", "--force", "data/own/.gitkeep")
    project.write("data/own/x.swp", "")

    def compared() -> tuple[Comparison, Snapshot]:
        pair = [read_snapshot(project.root, name) for name in ("HEAD", "workspace")]
        return compare(pair), pair[1]

    found, now = compared()
    assert (found.data, now.notes) == ((), ())
    assert found.same["data"] == 4
    project.write("data/own/c.off", "OFF 3")
    found, now = compared()
    assert [row.name for row in found.data] == ["data/own"]
    assert now.notes == ("its results are older than data/own: dvc repro renews them",)
    shutil.rmtree(project.root / "data/own")
    found, now = compared()
    assert found.data[0].values[1] is Missing.ABSENT


def test_code_that_is_not_the_commit_s_is_marked(project: Project) -> None:
    assert not read_snapshot(project.root, "workspace").dirty
    project.write("results/evaluate/metrics.json", "{}")
    project.write("geocore/cli/__pycache__/app.pyc", "")
    assert not read_snapshot(project.root, "workspace").dirty
    project.write("geocore/cli/app.py", "UNUSED = 2\n")
    found = read_snapshot(project.root, "workspace")
    assert found.base == f"{project.git('rev-parse', 'HEAD')[:12]}+"
    project.entry("20261122T2-repro-bbbbbb", "repro", snapshot=found.to_json())
    assert read_snapshot(project.root, "20261122T2").base == found.base
    assert read_snapshot(project.root, "HEAD").base + "+" == found.base


def test_an_experiment_says_what_it_began_from(project: Project) -> None:
    base = project.git("rev-parse", "HEAD")
    commit = project.commit(f"dvc: commit experiment {'157a65' * 10}1234")
    project.experiment("brave-newt", commit, baseline=base)
    told = f"experiment on {base[:12]}: the first <i>state</i>"
    assert read_snapshot(project.root, "brave-newt").about == told
    assert read_snapshot(project.root, commit).about == told
    own = project.commit("with words")
    project.experiment("calm-newt", own, baseline=commit)
    told = f"experiment on {commit[:12]}: with words"
    assert read_snapshot(project.root, "calm-newt").about == told


def test_small_tables_come_from_the_tree_the_cache_and_the_piece(project: Project) -> None:
    rows = b"a,b\n1,2\n"
    project.owned = {
        **project.owned,
        "results/evaluate/kept.csv": rows,
        "results/synthesize/tables": {"deep.parquet": b"PAR1"},
    }
    project.commit("tables")
    noted = read_snapshot(project.root, "workspace").to_json()
    project.entry("20261122T2-repro-bbbbbb", "repro", snapshot=noted)
    expected = {"evaluate/kept.csv": rows, "synthesize/tables/deep.parquet": b"PAR1"}
    for name in ("workspace", "HEAD", "20261122T2"):
        found = read_snapshot(project.root, name)
        assert found.tables == expected, name
        assert found.notes == (), name
    project.forget_cache()
    lost = read_snapshot(project.root, "20261122T2")
    assert lost.tables == {}
    assert set(expected) < set(lost.unread or ())

    def build(folder: Path) -> None:
        (folder / "ledger.csv").write_bytes(rows)

    Store(project.root / ".geocore/store").make(KEY, build, verb="synthesize")
    project.entry("20261122T3-synthesize-cccccc", "synthesize", key=KEY, pieces={KEY: "made"})
    assert read_snapshot(project.root, "20261122T3").tables == {"synthesize/ledger.csv": rows}


def test_a_table_that_is_too_large_is_passed_over_in_silence(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("results", "revision", "workspace"):
        monkeypatch.setattr(f"geocore.report.{module}.TABLE_LIMIT", 7)
    project.owned = {**project.owned, "results/evaluate/kept.csv": b"a,b\n1,2\n"}
    project.commit("a table")
    for name in ("HEAD", "workspace"):
        found = read_snapshot(project.root, name)
        assert (found.tables, found.notes) == ({}, ())


def test_the_runs_behind_results_are_on_record(project: Project) -> None:
    digest = digest_file(project.root / "results/evaluate/metrics.json")
    project.entry(
        "20261122T1-evaluate-aaaaaa", "evaluate",
        outs={"results/evaluate/metrics.json": digest}, wall_seconds=3.5,
    )  # fmt: skip
    for name in ("workspace", "HEAD", "20261122T1"):
        record = read_snapshot(project.root, name).record
        assert record["stages"]["evaluate"]["wall_seconds"] == 3.5, name
    assert set(read_snapshot(project.root, "HEAD").record["lock"]) == {"fetch", "train"}
    noted = read_snapshot(project.root, "workspace").to_json()
    assert "record" not in noted
    project.entry("20261123T2-repro-bbbbbb", "repro", snapshot=noted)
    record = read_snapshot(project.root, "20261123T2").record
    assert set(record["stages"]) == {"evaluate"}
    assert record["whole"]["run"] == "20261123T2-repro-bbbbbb"
