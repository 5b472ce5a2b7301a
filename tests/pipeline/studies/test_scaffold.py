"""A new study: whole or not at all, and sound as it stands."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from geocore.config.load import leaves, read_yaml
from geocore.errors import UserError
from geocore.pipeline.dvcfile import read_dvc
from geocore.pipeline.studies import scaffold
from geocore.pipeline.studies.page import read_page
from geocore.pipeline.studies.scaffold import STAGES, new_study
from geocore.pipeline.wiring import faults
from geocore.runs.atomic import write_text

ROOT = Path(__file__).parents[3]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("flows", "tasks", "geocore"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def left(root: Path) -> list[str]:
    """What lies below studies/ and .geocore/."""
    folders = (root / "studies", root / ".geocore")
    return [path.name for folder in folders if folder.is_dir() for path in folder.iterdir()]


def test_the_wiring_of_a_new_study_holds(copy: Path) -> None:
    files = new_study(copy, "mine")
    assert [path.relative_to(copy).as_posix() for path in files] == [
        "studies/mine/dvc.yaml", "studies/mine/params.yaml", "studies/mine/README.md"
    ]  # fmt: skip
    assert faults(copy) == []
    assert tuple(read_dvc(copy / "studies/mine")) == STAGES
    assert left(copy) == ["mine"]


def test_everything_but_code_and_own_data_lies_below_the_study(copy: Path) -> None:
    new_study(copy, "mine")
    for stage in read_dvc(copy / "studies/mine").values():
        code = ("geocore/", "flows/", "tasks/", "data/own")
        paths = [
            *stage.outs,
            *stage.params_files,
            *(d for d in stage.deps if not d.startswith(code)),
        ]
        assert all(path.startswith("studies/mine/") for path in paths), paths
        assert stage.cmd == f"python -m flows.{stage.name} studies/mine"


def test_parameters_are_the_roots_of_the_sections_that_are_read(copy: Path) -> None:
    new_study(copy, "mine")
    roots, own = read_yaml(copy / "params.yaml"), read_yaml(copy / "studies/mine/params.yaml")
    assert own == {title: roots[title] for title in own}
    stages = read_dvc(copy / "studies/mine").values()
    assert set(own) == {leaf.split(".")[0] for s in stages for leaf in s.params} | {"runtime"}
    assert {leaf for stage in stages for leaf in stage.params} <= set(leaves(own))


def test_options_of_outputs_come_along(copy: Path) -> None:
    new_study(copy, "mine")
    roots, own = (
        read_yaml(copy / folder / "dvc.yaml")["stages"] for folder in ("", "studies/mine")
    )

    def moved(entries: list[Any]) -> list[Any]:
        below = "studies/mine/"
        return [
            {f"{below}{k}": v for k, v in e.items()} if isinstance(e, dict) else f"{below}{e}"
            for e in entries
        ]

    for key in ("outs", "metrics", "plots"):
        for stage in STAGES:
            assert own[stage].get(key) == (
                moved(roots[stage][key]) if key in roots[stage] else None
            )


ROOTS = """\
stages:
  fetch: {cmd: python -m flows.fetch, deps: [flows/fetch.py, data/own], outs: [data/raw]}
  project: {cmd: python -m flows.project, deps: [data/raw], frozen: true}
  resample: {cmd: python -m flows.resample}
  train: {cmd: python -m flows.train, params: [train.lr], outs: [w]}
  ensemble: {cmd: python -m flows.ensemble, params: [ensemble.members], outs: [e]}
  evaluate: {cmd: python -m flows.evaluate, deps: [w, e], metrics: [{m: {cache: false}}]}
  report: {cmd: python -m flows.report, deps: [m], outs: [page]}
  gate: {cmd: python -m flows.gate, deps: [m, page]}
"""


def test_what_no_stage_of_the_study_makes_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(ROOTS)
    values = {"train": {"lr": 1e-05}, "runtime": {"name": "1e-3"}, "ensemble": {"members": 8}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**values, "runtime": {"name": "x"}}))
    new_study(tmp_path, "a")
    stages = read_dvc(tmp_path / "studies/a")
    assert stages["evaluate"].deps == ("studies/a/w",)
    assert stages["gate"].deps == ("studies/a/m",)
    assert stages["fetch"].deps == ("flows/fetch.py", "data/own")
    assert read_yaml(tmp_path / "studies/a/dvc.yaml")["stages"]["project"]["frozen"] is True
    assert set(read_yaml(tmp_path / "studies/a/params.yaml")) == {"train", "runtime"}


def test_values_stay_what_they_are_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(ROOTS)
    odd = "train: {lr: 1e-5}\nruntime: {a: '1e-3', b: '0o7', c: 'no', d: [1, 2.5], e: '', f: '~'}\n"
    (tmp_path / "params.yaml").write_text(odd)
    new_study(tmp_path, "a")
    assert read_yaml(tmp_path / "studies/a/params.yaml") == read_yaml(tmp_path / "params.yaml")


def test_the_page_has_the_four_headings_and_a_headline_that_a_stage_writes(copy: Path) -> None:
    folder = new_study(copy, "mine", "Spheres\nof mine")[0].parent
    page = read_page(folder, "studies/mine")
    assert page.title == "Spheres of mine"
    assert page.headline is not None
    assert f"studies/mine/{page.headline.file}" in read_dvc(folder)["evaluate"].outs
    text = (folder / "README.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## The claim", "## How it is run here", "## What was measured, and on what",
        "## What differs",
    ]  # fmt: skip
    assert read_page(new_study(copy, "two_words")[0].parent, "x").title == "Two words"


def test_a_study_of_the_fifteen_names_its_paper_and_claims_no_figure(copy: Path) -> None:
    folder = new_study(copy, "heal_swin")[0].parent
    page = read_page(folder, "studies/heal_swin")
    assert page.title == "HEAL-SWIN: a vision transformer on the sphere"
    assert page.headline is None
    assert "https://arxiv.org/abs/2307.07313" in (folder / "README.md").read_text()


@pytest.mark.parametrize("name", ["", "Mine", "1st", "_x", "a-b", "..", "x" * 65, "é", "a\n"])
def test_a_name_that_is_none(copy: Path, name: str) -> None:
    with pytest.raises(UserError) as caught:
        new_study(copy, name)
    assert caught.value.lines[0].startswith("study ")
    assert "expected a name of at most 64 lower-case letters, digits and _" in str(caught.value)
    assert left(copy) == []


def test_a_name_that_is_taken_and_a_title_that_is_not_the_papers(copy: Path) -> None:
    (copy / "studies/mine").mkdir(parents=True)
    with pytest.raises(UserError, match=r"^studies/mine: is there already; expected a new name$"):
        new_study(copy, "mine")
    with pytest.raises(
        UserError, match=r"^--title 'x': lyapunov is 'Finite-time .*no other title$"
    ):
        new_study(copy, "lyapunov", "x")


def test_a_root_that_lacks_a_stage_or_a_section(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {fetch: {cmd: x}}\n")
    with pytest.raises(UserError, match=r"^dvc.yaml: no stage project; expected it, to make a stu"):
        new_study(tmp_path, "a")
    (tmp_path / "dvc.yaml").write_text(ROOTS)
    (tmp_path / "params.yaml").write_text("runtime: {}\n")
    with pytest.raises(UserError, match=r"^params.yaml: train is missing; expected a mapping"):
        new_study(tmp_path, "a")
    assert left(tmp_path) == []


def test_all_or_nothing(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path, text: str) -> None:
        if path.name == "README.md":
            raise UserError("no space left on device")
        write_text(path, text)

    monkeypatch.setattr(scaffold, "write_text", failing)
    with pytest.raises(UserError, match="no space left"):
        new_study(copy, "mine")
    assert left(copy) == []
    monkeypatch.undo()
    (copy / "studies").write_text("a file")
    with pytest.raises(UserError, match=r"^studies/mine: File exists; expected to make it$"):
        new_study(copy, "mine")
    assert list((copy / ".geocore").iterdir()) == []


def test_what_a_kill_left_goes_with_the_next_study(copy: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from geocore.pipeline.studies.scaffold import new_study
Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
new_study(Path(sys.argv[1]), "mine")
"""
    done = subprocess.run([sys.executable, "-c", code, str(copy)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    (leftover,) = left(copy)
    assert leftover.startswith(".mine.tmp-")
    new_study(copy, "mine")
    assert left(copy) == ["mine"]


def test_a_study_below_another_takes_its_data(copy: Path) -> None:
    new_study(copy, "mine")
    files = new_study(copy, "mine/wide")
    assert [path.name for path in files] == ["dvc.yaml", "params.yaml"]
    new_study(copy, "mine/wide/again")
    stages = read_dvc(copy / "studies/mine/wide/again")
    assert tuple(stages) == ("train", "evaluate", "gate")
    assert "studies/mine/data/healpix" in stages["train"].deps
    assert stages["train"].wdir == "../../../.."
    assert "data" not in read_yaml(copy / "studies/mine/wide/params.yaml")
    assert faults(copy) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "other/wide",
            "studies/other: no dvc.yaml there; expected the study that other/wide is of",
        ),
        ("mine/Wide", "study 'mine/Wide': expected a name of at most 64 lower-case letters"),
        ("mine//wide", "study 'mine//wide': expected a name"),
        ("mine/../wide", "study 'mine/../wide': expected a name"),
    ],
)
def test_a_study_below_nothing_is_refused(copy: Path, name: str, line: str) -> None:
    new_study(copy, "mine")
    with pytest.raises(UserError) as error:
        new_study(copy, name)
    assert str(error.value).startswith(line)
    assert left(copy) == ["mine"]


def test_a_study_below_one_without_data_is_refused(copy: Path) -> None:
    new_study(copy, "mine")
    document = read_yaml(copy / "studies/mine/dvc.yaml")
    del document["stages"]["resample"]
    (copy / "studies/mine/dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(UserError, match=r"^studies/mine/wide: no study above gives data/healpix; "):
        new_study(copy, "mine/wide")
