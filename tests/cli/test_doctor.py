"""The doctor tells what is there, what is missing and what differs from the pins."""

from __future__ import annotations

import io
import json
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from geocore.cli import inspection
from geocore.cli.doctor import examine, render

ROOT = Path(__file__).parents[2]


def shown(report: dict[str, Any]) -> str:
    text = io.StringIO()
    render(report, Console(file=text, width=200))
    return text.getvalue()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of which only the landmarks are there."""
    monkeypatch.delenv("GEOCORE_HOME", raising=False)
    monkeypatch.delenv("GEOCORE_DATA", raising=False)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "flows").mkdir()
    return tmp_path


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Let the packages look as if they were not installed."""
    real = metadata.version

    def version(name: str) -> str:
        if name in packages:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)


def test_features_are_the_extras_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {"core": project["dependencies"], **project["optional-dependencies"]}

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[\[<>=]", requirement)[0].lower() for requirement in requirements}

    expected = {feature: names(requirements) for feature, requirements in declared.items()}
    expected["escnn"].add("escnn")
    expected["kernels"].add("neural-tangents")
    assert {name: set(packages) for name, packages in inspection.FEATURES.items()} == expected


def test_every_package_of_a_feature_is_pinned_exactly_and_never_locally() -> None:
    pins = inspection.read_pins(ROOT / "requirements.lock")
    assert {package for packages in inspection.FEATURES.values() for package in packages} <= set(
        pins
    )
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pattern = re.compile(
        r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; python_(full_)?version [<>]=? \"[0-9.]+\")?"
    )
    assert [line for line in lines if not pattern.fullmatch(line)] == []
    assert len({line.split("==")[0] for line in lines}) == len(lines)
    for package, version in inspection.APART.items():
        assert pins[package] == version


def test_the_report_is_json_and_names_this_machine(project: Path) -> None:
    report = json.loads(json.dumps(examine(project)))
    assert report["repository"] == str(project)
    assert report["python"]["version"].split(".")[:2] == [str(n) for n in sys.version_info[:2]]
    assert report["cpu"]["usable"] >= 1
    assert report["memory"] > 2**28
    core = {p["name"]: p["installed"] for p in report["features"]["core"]["packages"]}
    assert core["torch"] == metadata.version("torch")
    assert report["gpu"]["torch"] == metadata.version("torch")


def test_outside_a_repository_there_are_no_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = examine()
    assert report["repository"] is None
    assert report["caches"] == []
    assert "none here or above (no dvc.yaml)" in shown(report)


def test_what_a_feature_lacks_is_named_with_the_remedy(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "escnn", "joblib", "dvc")
    report = examine(project)
    assert report["features"]["escnn"]["missing"] == ["escnn", "joblib"]
    assert report["features"]["escnn"]["install"] == (
        "pip install 'geocore[escnn]' && pip install --no-deps escnn==1.0.11"
    )
    assert "escnn needs: pip install 'geocore[escnn]' && pip install" in shown(report)
    assert report["ready"] is False  # the pipeline lacks dvc
    (project / "requirements.lock").write_text("escnn==1.0.11\n")
    report = examine(project)
    assert report["features"]["escnn"]["install"] == "make setup"
    assert "lacks escnn, joblib" in shown(report)
    assert "escnn needs: make setup" in shown(report)


def test_what_differs_from_the_pins_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = metadata.version("torch").partition("+")[0]  # a local build counts as its version
    (project / "requirements.lock").write_text(
        f'# core\ntorch=={torch}\nnumpy==1.0.0\nabsent==2.0\nother==1 ; python_version == "3.99"\n'
    )
    report = examine(project)
    numpy = metadata.version("numpy")
    assert report["differing"] == [
        {"name": "numpy", "installed": numpy, "pinned": "1.0.0"},
        {"name": "absent", "installed": None, "pinned": "2.0"},
    ]
    assert f"numpy is {numpy}; requirements.lock pins 1.0.0" in shown(report)
    assert "absent is not installed; requirements.lock pins 2.0" in shown(report)


def test_requirements_left_out_on_purpose_are_told(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "lie-learn", "py3nj", "neural-tangents")
    left = [(item["required_by"], item["package"]) for item in examine(project)["left_out"]]
    assert left == [("escnn", "lie-learn"), ("escnn", "py3nj")]


def test_caches_are_measured(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".dvc/cache/files").mkdir(parents=True)
    (project / ".dvc/cache/files/a").write_bytes(bytes(3 * 2**20))
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "piece").write_bytes(bytes(2**19))
    monkeypatch.setenv("GEOCORE_HOME", "elsewhere")
    report = examine(project)
    assert {cache["path"]: cache["bytes"] for cache in report["caches"]} == {
        ".geocore": 2**19,
        ".dvc/cache": 3 * 2**20,
        ".prefect": 0,
    }
    assert report["caches"][0]["folder"] == str(elsewhere)
    assert "3.0 MiB (versions of the stages' outputs)" in shown(report)


def test_data_sets_are_told_by_their_files(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert examine(project)["data"] == {"folder": None, "exists": False, "datasets": []}
    home = project / "data-home"
    monkeypatch.setenv("GEOCORE_DATA", str(home))
    assert "is no folder" in shown(examine(project))
    for name in (
        "mnist/train-images-idx3-ubyte.gz",
        "mnist/t10k-labels-idx1-ubyte",
        "cifar/train.parquet",
        "cats/tabby/1.png",
        "empty/readme.txt",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    assert examine(project)["data"]["datasets"] == [
        {"name": "cats", "kind": "images", "files": 1},
        {"name": "cifar", "kind": "Parquet files", "files": 1},
        {"name": "mnist", "kind": "IDX files", "files": 2},
    ]
    assert "mnist (2 IDX files)" in shown(examine(project))


def test_a_gpu_is_told_with_its_memory(project: Path) -> None:
    report = examine(project)
    report["gpu"] = {
        "torch": "2.13.0+cu130",
        "cuda": "13.0",
        "devices": [{"name": "A card", "memory": 8 * 2**30}],
    }
    assert "A card 8.0 GiB (torch 2.13.0+cu130, CUDA 13.0)" in shown(report)
    report["gpu"] = None
    assert "unknown without torch" in shown(report)
