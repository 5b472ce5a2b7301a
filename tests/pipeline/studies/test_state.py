"""How a study stands, with DVC's answer given: each state, and what makes a figure stale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geocore.errors import UserError
from geocore.pipeline.studies import state
from geocore.pipeline.studies.papers import PAPERS
from geocore.pipeline.studies.state import Study, survey
from geocore.runs.atomic import write_json, write_text
from geocore.runs.digest import digest_file

PAGE = """\
---
headline: {label: accuracy, file: out/metrics.json, key: test.accuracy, published: 0.9, source: T1}
---
# Mine
"""
DVC = """\
stages:
  train:
    cmd: python -m flows.train studies/%s
    deps: [geocore/train, data/own]
    params: [{studies/%s/params.yaml: [train.lr]}]
    outs: [studies/%s/out/weights]
  evaluate:
    cmd: python -m flows.evaluate studies/%s
    deps: [studies/%s/out/weights, geocore/measure]
    metrics: [{studies/%s/out/metrics.json: {cache: false}}]
  gate:
    cmd: python -m flows.gate studies/%s
    deps: [studies/%s/out/metrics.json]
"""


class Repository:
    """A repository of studies whose DVC says what a test tells it to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.status: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, ...]] = []
        self.refused = ""

    def answer(self, root: Path, *files: str) -> dict[str, list[Any]]:
        self.asked.append(files)
        if self.refused in files:
            raise UserError(f"dvc status: {self.refused} validation failed")
        return self.status

    def add(self, name: str = "mine", *, page: str = PAGE, measured: bool = True) -> Path:
        folder = self.root / "studies" / name
        write_text(folder / "dvc.yaml", DVC.replace("%s", name))
        write_text(folder / "README.md", page)
        if measured:
            write_json(folder / "out/metrics.json", {"test": {"accuracy": 0.75}})
            write_text(folder / "dvc.lock", "stages: {evaluate: {cmd: x}}\n")
        return folder

    def changed(self, stage: str, *entries: Any, name: str = "mine") -> None:
        self.status[f"studies/{name}/dvc.yaml:{stage}"] = list(entries)

    def study(self, name: str = "mine") -> Study:
        return next(study for study in survey(self.root) if study.name == name)

    def ran(self, run: str, **entry: Any) -> None:
        own = {"run": run, "stage": "evaluate", "state": "done", "started": run}
        write_json(self.root / f".geocore/ledger/{run}.json", own | entry)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    made = Repository(tmp_path)
    monkeypatch.setattr(state, "dvc_status", made.answer)
    monkeypatch.delenv("GEOCORE_HOME", raising=False)
    return made


def test_without_a_folder_a_paper_is_not_built_and_dvc_not_asked(repository: Repository) -> None:
    found = survey(repository.root)
    assert [study.name for study in found] == [paper.name for paper in PAPERS]
    assert {(study.state, study.figure) for study in found} == {("not built", None)}
    assert repository.asked == []


def test_own_studies_follow_the_fifteen_by_name(repository: Repository) -> None:
    for name in ("zebra", "apple", "lyapunov"):
        repository.add(name, measured=False)
    (repository.root / "studies/pictures").mkdir()
    write_text(repository.root / "studies/.apple.tmp/dvc.yaml", "stages: {}\n")
    found = survey(repository.root)
    assert [study.name for study in found[15:]] == ["apple", "zebra"]
    assert [study.title for study in found[15:]] == ["Mine", "Mine"]
    assert repository.study("lyapunov").title.startswith("Finite-time Lyapunov")
    assert repository.study("lyapunov").state == "not run"


def test_a_scaffold_without_headline_is_begun_and_tells_no_figure(repository: Repository) -> None:
    repository.add("heal_swin", page="---\nheadline: null\n---\n# x\n")
    study = repository.study("heal_swin")
    assert (study.state, study.figure) == ("begun", None)


def test_measured_with_the_figure_of_the_file(repository: Repository) -> None:
    repository.add()
    study = repository.study()
    assert study.state == "measured"
    assert study.figure is not None
    assert (study.figure.value, study.figure.published, study.figure.source) == (0.75, 0.9, "T1")
    assert repository.asked == [("studies/mine/dvc.yaml",)]


def test_one_question_for_all_studies(repository: Repository) -> None:
    for name in ("a", "b", "posterior"):
        repository.add(name)
    survey(repository.root)
    assert repository.asked == [
        ("studies/posterior/dvc.yaml", "studies/a/dvc.yaml", "studies/b/dvc.yaml")
    ]


def test_code_parameters_data_or_command_make_it_stale(repository: Repository) -> None:
    repository.add()
    deps = {"geocore/train": "modified", "studies/mine/params.yaml": {"train.lr": "modified"}}
    repository.changed("train", {"changed deps": {**deps, "data/own": "deleted"}})
    repository.changed(
        "evaluate", {"changed deps": {"geocore/train": "modified"}}, "changed command"
    )
    study = repository.study()
    assert study.state == "stale"
    assert study.figure is not None
    assert study.because == (
        "geocore/train modified (train, evaluate)",
        "train.lr modified (train)",
        "data/own deleted (train)",
        "changed command (evaluate)",
    )


def test_code_that_decides_nothing_is_told_beside_the_figure(repository: Repository) -> None:
    repository.add()
    moved = {"flows/stage.py": "modified", "geocore/config/load.py": "modified"}
    moved |= {"geocore/runs": "modified", "geocore/pipeline/stage.py": "new"}
    repository.changed("train", {"changed deps": moved})
    study = repository.study()
    assert (study.state, study.because) == ("measured", ())
    assert study.plumbing == tuple(moved)
    for decides in (
        "geocore/pipeline/stages.py",
        "geocore/errors_of.py",
        "data/flows",
        "flows.csv",
    ):
        repository.changed("evaluate", {"changed deps": {decides: "modified"}})
        study = repository.study()
        assert (study.state, study.because) == ("stale", (f"{decides} modified (evaluate)",))
        assert study.plumbing == tuple(moved)


def test_of_many_stages_some_are_named(repository: Repository) -> None:
    folder = repository.add()
    stages = "".join(
        f"  s{n}: {{cmd: x, deps: [geocore/train], outs: [studies/mine/o{n}]}}\n" for n in range(5)
    )
    deps = ", ".join(f"studies/mine/o{n}" for n in range(5))
    text = DVC.replace("%s", "mine").replace("deps: [studies/mine/out/weights,", f"deps: [{deps},")
    write_text(folder / "dvc.yaml", text + stages)
    for n in range(5):
        repository.changed(f"s{n}", {"changed deps": {"geocore/train": "modified"}})
    assert repository.study().because == ("geocore/train modified (s0, s1, s2 and 2 more)",)


def test_a_gate_that_failed_or_a_fresh_clone_makes_nothing_stale(repository: Repository) -> None:
    repository.add()
    repository.changed("gate", {"changed deps": {"studies/mine/out/metrics.json": "new"}})
    repository.changed("train", {"changed outs": {"studies/mine/out/weights": "not in cache"}})
    repository.changed("evaluate", {"changed deps": {"studies/mine/out/weights": "deleted"}})
    assert repository.study().state == "measured"
    repository.changed("evaluate", {"changed deps": {"studies/mine/out/weights": "modified"}})
    assert repository.study().because == ("studies/mine/out/weights modified (evaluate)",)


def test_a_figure_that_no_stage_wrote_is_not_told(repository: Repository) -> None:
    folder = repository.add()
    line = "studies/mine/out/metrics.json: is not what stage evaluate wrote; run dvc repro"
    repository.changed("evaluate", {"changed outs": {"studies/mine/out/metrics.json": "modified"}})
    study = repository.study()
    assert (study.state, study.figure) == ("broken", None)
    assert str(study.fault).startswith(line)
    repository.status.clear()
    (folder / "dvc.lock").unlink()  # typed by hand: no run has recorded it
    study = repository.study()
    assert (study.state, study.figure) == ("broken", None)
    assert str(study.fault).startswith(line)


def test_a_file_of_no_stage_cannot_be_the_headline(repository: Repository) -> None:
    repository.add(page=PAGE.replace("out/metrics.json", "../../notes.json"))
    assert repository.study().fault == (
        "studies/mine/README.md: headline.file is ../../notes.json, which no stage of its dvc.yaml "
        "writes; expected an output"
    )


def test_what_is_broken_is_one_line_and_the_others_are_told(repository: Repository) -> None:
    write_text(repository.add("torn") / "out/metrics.json", '{"test": {')
    write_text(repository.add("odd") / "dvc.yaml", "stages: [\n")
    (repository.root / "studies/fpga_cnn").mkdir()
    repository.add("whole")
    assert repository.study("torn").fault == (
        "studies/torn/out/metrics.json: holds no JSON; expected what a stage wrote"
    )
    assert str(repository.study("odd").fault).startswith("studies/odd: dvc.yaml line 2: ")
    assert repository.study("fpga_cnn").fault == (
        "studies/fpga_cnn: no dvc.yaml; expected the study's pipeline"
    )
    assert repository.study("whole").state == "measured"


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("dvc.yaml", "stages: 3", "dvc.yaml: stages is 3; expected a mapping of keys"),
        (
            "dvc.yaml",
            "stages: {train: {cmd: x, params: 5}}",
            "dvc.yaml: stage train: params is 5; expected a list",
        ),
        ("dvc.lock", "stages: 3", "dvc.lock: stages is 3; expected a mapping of keys"),
        ("dvc.lock", "stages: [", "dvc.lock line 1: "),
    ],
)
def test_what_is_of_another_type_breaks_this_study_alone(
    repository: Repository, file: str, text: str, fault: str
) -> None:
    write_text(repository.add("odd") / file, text)
    repository.add("whole")
    assert str(repository.study("odd").fault).startswith(f"studies/odd: {fault}")
    assert (repository.study("odd").state, repository.study("odd").figure) == ("broken", None)
    assert repository.study("whole").state == "measured"


def test_a_study_that_dvc_refuses_hides_no_other(repository: Repository) -> None:
    for name in ("odd", "whole"):
        repository.add(name)
    repository.refused = "studies/odd/dvc.yaml"
    odd = repository.study("odd")
    assert (odd.state, odd.figure) == ("broken", None)
    assert odd.fault == "dvc status: studies/odd/dvc.yaml validation failed"
    assert repository.study("whole").state == "measured"


def test_the_code_is_that_of_the_run_that_gave_these_bytes(repository: Repository) -> None:
    folder = repository.add()
    outs = {"out/metrics.json": digest_file(folder / "out/metrics.json")}
    where: dict[str, Any] = {"study": "studies/mine", "outs": outs}
    repository.ran("1", **where, code={"commit": "a" * 40, "dirty": True})
    repository.ran("2", **{**where, "study": "studies/other"}, code={"commit": "b" * 40})
    repository.ran("3", **{**where, "outs": {"out/metrics.json": "0"}}, code={"commit": "c" * 40})
    study = repository.study()
    assert (study.commit, study.recorded) == ("aaaaaaaaaa+", None)
    repository.ran("4", **where, code={"commit": "d" * 40, "dirty": False})
    assert repository.study().commit == "dddddddddd"
    repository.ran("5", **where, code={"commit": None})
    assert repository.study().commit is None
