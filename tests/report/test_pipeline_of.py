"""Studies as what is compared: their folders, and their folders in a revision."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from geocore.errors import UserError
from geocore.report.comparison import compare
from geocore.report.lockfile import Lock, Locked
from geocore.report.page import comparison_page
from geocore.report.pipeline_of import lock_of, own_name, study_of, tree_of
from geocore.report.reading import read_snapshot
from geocore.runs.digest import digest_bytes
from tests.report.scene import Project

ACCURACY = {"plain": 0.9, "wide": 0.95}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two studies of one network each, beside the root's pipeline; committed."""
    project = Project(tmp_path / "project")
    for name in ACCURACY:
        study(project, name)
    project.commit()
    return project


def study(project: Project, name: str) -> None:
    """One of its own results, one that DVC owns, one of the root's data, two files of code."""
    folder = f"studies/digits/{name}"
    code = ("flows/train.py", "geocore/train/loop.py")
    curve = f"epoch,val_nll\n0,1\n1,{1 - ACCURACY[name]}\n".encode()
    project.write(f"{folder}/dvc.yaml", f"stages: {{train: {{cmd: {name}}}}}\n")
    project.write(f"{folder}/params.yaml", yaml.safe_dump({"train": {"lr": ACCURACY[name]}}))
    metrics = json.dumps({"test": {"accuracy": ACCURACY[name]}})
    project.write(f"{folder}/results/evaluate/metrics.json", metrics)
    project.write(f"{folder}/results/train/curve.csv", curve)
    paths = [*code, f"{folder}/data/own"]
    project.write(f"{folder}/data/own", "ours")
    deps = [{"path": path, "md5": project._md5(path)} for path in paths]
    deps.append({"path": "studies/digits/data/raw", "md5": "a" * 32 + ".dir"})
    outs = [{"path": f"{folder}/results/train/curve.csv", "md5": project.cached(curve)}]
    params = {f"{folder}/params.yaml": {"train.lr": ACCURACY[name]}}
    stages = {"train": {"cmd": name, "deps": deps, "params": params, "outs": outs}}
    project.write(f"{folder}/dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": stages}))
    project.entry(
        f"2-{name}", "evaluate", study=folder,
        outs={"results/evaluate/metrics.json": digest_bytes(metrics.encode())},
    )  # fmt: skip


@pytest.mark.parametrize("before", ["", "HEAD:"], ids=["workspace", "revision"])
def test_two_networks_of_a_study_are_compared_as_two_roots_would_be(
    project: Project, before: str
) -> None:
    names = [f"{before}studies/digits/{name}" for name in ACCURACY]
    pair = [read_snapshot(project.root, name) for name in names]
    assert [s.notes for s in pair] == [(), ()]
    assert [s.params for s in pair] == [{"train.lr": 0.9}, {"train.lr": 0.95}]
    assert [s.metrics for s in pair] == [
        {"evaluate.test.accuracy": 0.9}, {"evaluate.test.accuracy": 0.95}
    ]  # fmt: skip
    assert all(list(s.curves) == ["train/curve.csv"] for s in pair)
    found = compare(pair, everything=True)
    assert {row.name: row.differs for row in found.code} == {
        "dvc.yaml": True, "flows/train.py": False, "geocore/train/loop.py": False
    }  # fmt: skip
    assert {row.name: row.differs for row in found.data} == {
        "data/own": False, "results/train/curve.csv": True, "studies/digits/data/raw": False,
    }  # fmt: skip
    records = [s.record["stages"]["evaluate"]["run"] for s in pair]
    assert records == ["2-plain", "2-wide"]
    page = comparison_page(found, pair)
    assert "<h1>plain against wide</h1>" in page, "what they have in common is said once"
    assert f"{before}studies/digits</span>" in page


def test_a_study_as_it_lies_against_its_revision(project: Project) -> None:
    folder = "studies/digits/wide"
    project.write(f"{folder}/data/own", "theirs")
    project.write("geocore/train/loop.py", "RATE = 2\n")
    now, then = (read_snapshot(project.root, n) for n in (f"./{folder}/", f"HEAD:{folder}"))
    assert (now.dirty, then.dirty) == (True, False)
    assert now.notes == ("its results are older than data/own, geocore/train/loop.py: "
                         "dvc repro renews them",)  # fmt: skip
    changed = compare([then, now])
    assert [row.name for row in changed.code] == ["geocore/train/loop.py"]
    assert [row.name for row in changed.data] == ["data/own"]
    assert (changed.params, changed.metrics) == ((), ())


@pytest.mark.parametrize(
    "name", ["studies/none", "studies/digits", "HEAD:studies/none", "HEAD:", "../project", "/", "."]
)
def test_what_is_no_study_is_told_in_a_line(project: Project, name: str) -> None:
    with pytest.raises(UserError) as caught:
        read_snapshot(project.root, name)
    assert len(caught.value.lines) == 1 and "expected" in str(caught.value)


def test_paths_from_a_study_s_folder() -> None:
    assert study_of("./studies//x/") == "studies/x"
    assert [study_of(name) for name in ("/studies", "../x", "a/../b", "", ".", "\0")] == [""] * 6
    assert own_name("studies/x/results/a", "studies/x") == "results/a"
    assert own_name("studies/xy/a", "studies/x") == "studies/xy/a"
    tree = {"geocore/a.py": "1", "dvc.yaml": "2", "studies/x/dvc.yaml": "3", "params.yaml": "4"}
    assert tree_of(tree, "studies/x") == {"geocore/a.py": "1", "dvc.yaml": "3"}
    assert tree_of(tree, "") == tree
    lock = Lock({"train": Locked({"studies/x/data": "1"}, {"studies/x/results": "2"}, {"lr": 1})})
    assert lock_of(lock, "studies/x") == Lock(
        {"train": Locked({"data": "1"}, {"results": "2"}, {"lr": 1})}
    )
    assert lock_of(lock, "") is lock
