"""Studies below a study: two networks on one table, figures and costs of both, staleness told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from geocore.config.load import read_yaml
from tests.flows.project import Project, copy_project

STUDY = "studies/family"


@pytest.fixture(scope="module")
def family(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy with a study, two below it, and stages that take something of both; all has run."""
    made = copy_project(tmp_path_factory.mktemp("family") / "project", server)
    for name in ("family", "family/digits/narrow", "family/digits/wide"):
        done = made.geocore("new-study", name)
        assert done.returncode == 0, done.stderr
    change(made, f"{STUDY}/digits/wide/params.yaml", "model", embed=16)
    collecting(made)
    assert json.loads(made.geocore("check", "--json").stdout) == {"faults": []}
    done = made.repro("-R", STUDY)
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def change(project: Project, file: str, section: str, **values: Any) -> None:
    params = read_yaml(project.root / file)
    params.setdefault(section, {}).update(values)
    (project.root / file).write_text(yaml.safe_dump(params, sort_keys=False))


def collecting(project: Project) -> None:
    """Let the study keep its data and collect; training and gates are those of the two below."""
    file = project.root / STUDY / "dvc.yaml"
    stages = read_yaml(file)["stages"]
    deps = [
        f"{STUDY}/digits/{name}/{path}"
        for name in ("narrow", "wide")
        for path in (
            "params.yaml",
            "results/evaluate/metrics.json",
            "results/train/curve.csv",
            "results/train/metrics.json",
        )
    ]
    collected = ["collect.figures", "collect.baseline", "collect.against"]
    collect = {
        "cmd": f"python -m flows.collect {STUDY}",
        "wdir": "../..",
        "deps": [*deps, "flows/", "geocore/", "tasks/"],
        "params": [{f"{STUDY}/params.yaml": collected}],
        "metrics": [{f"{STUDY}/results/collect/metrics.json": {"cache": False}}],
        "outs": [f"{STUDY}/results/collect/{name}" for name in ("table.csv", "pages", "charts")],
    }
    costs = ["cost.batch_sizes", "cost.repeats", "cost.train_batch", "runtime.device"]
    cost = {
        "cmd": f"python -m flows.cost {STUDY}",
        "wdir": "../..",
        "deps": [
            *(f"{STUDY}/digits/{name}/results/train/model.json" for name in ("narrow", "wide")),
            *("flows/", "geocore/", "tasks/"),
        ],
        "params": [{f"{STUDY}/params.yaml": costs}],
        "plots": [
            {f"{STUDY}/results/cost/{name}": {"cache": False}}
            for name in ("table.csv", "latency.png")
        ],
    }
    kept = {name: stages[name] for name in ("fetch", "project", "resample")}
    stages = {**kept, "collect": collect, "cost": cost}
    file.write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    path = project.root / STUDY / "params.yaml"
    params = {t: v for t, v in read_yaml(path).items() if t in ("data", "project", "resample")}
    params |= {"runtime": read_yaml(path)["runtime"]}
    params["collect"] = {
        "figures": ["test.accuracy", "test.nll"], "baseline": "narrow", "against": ["parameters"]
    }  # fmt: skip
    params["cost"] = {"batch_sizes": [1, 4], "repeats": 1, "train_batch": 4}
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    page = project.root / STUDY / "README.md"
    text = page.read_text().replace("results/evaluate/", "results/collect/")
    page.write_text(text.replace("test.accuracy", "studies.digits.wide.mean.test.accuracy"))


def test_both_train_on_one_table(family: Project) -> None:
    assert not (family.root / STUDY / "digits/wide/data").exists()
    narrow, wide = (run["inputs"]["healpix"] for run in family.runs("train")[:2])
    assert narrow == wide
    assert len(family.runs("resample")) == 1


def test_their_figures_are_collected(family: Project) -> None:
    found = family.json(f"{STUDY}/results/collect/metrics.json")
    wide, narrow = (
        family.json(f"{STUDY}/digits/{name}/results/evaluate/metrics.json")["test"]
        for name in ("wide", "narrow")
    )
    gain = found["gain"]["digits"]["wide"]["test"]
    assert gain["nll"] == pytest.approx(wide["nll"] - narrow["nll"])
    assert (family.root / STUDY / "results/collect/pages/digits.html").is_file()
    charts = sorted(
        path.name for path in (family.root / STUDY / "results/collect/charts").iterdir()
    )
    assert charts == [f"digits_test-{figure}_parameters.png" for figure in ("accuracy", "nll")]


def test_their_costs_are_measured(family: Project) -> None:
    table = (family.root / STUDY / "results/cost/table.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table] == ["network", "digits/narrow", "digits/wide"]
    (run,) = family.runs("cost")
    assert run["machine"]["threads"] == 1


def test_a_change_below_makes_the_figure_above_stale(family: Project) -> None:
    (own,) = json.loads(family.geocore("papers", "--json").stdout)["own"]
    assert own["state"] == "measured", own
    file = f"{STUDY}/digits/wide/params.yaml"
    before = Path(family.root / file).read_text()
    change(family, file, "train", lr=0.003)
    (own,) = json.loads(family.geocore("papers", "--json").stdout)["own"]
    Path(family.root / file).write_text(before)
    assert own["state"] == "stale"
    assert any("train.lr" in line and "digits/wide/train" in line for line in own["because"])


def test_a_second_repro_does_nothing(family: Project) -> None:
    done = family.repro("-R", "studies")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Data and pipelines are up to date." in done.stdout


def test_costs_are_measured_again_when_they_are_asked_for(family: Project) -> None:
    before = len(family.runs("cost"))
    done = family.repro("--force", "--single-item", f"{STUDY}/dvc.yaml:cost")
    assert done.returncode == 0, done.stdout + done.stderr
    newest, *others = family.runs("cost")
    assert len(others) == before
    assert set(newest["pieces"].values()) == {"made"}
    done = family.repro("-R", STUDY)
    assert "Data and pipelines are up to date." in done.stdout
