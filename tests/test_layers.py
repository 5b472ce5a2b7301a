"""Imports go down the list of rooms, and the floors stay apart."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the top floor to the ground, as docs/design.md lists them; rooms of a line may not meet.
ROOMS = (
    ("cli",),
    ("pipeline",),
    ("report",),
    ("edge",),
    ("ensembles", "kernels", "explain"),
    ("train",),
    ("models",),
    ("groups", "lattice", "bundles", "manifolds"),
    ("data",),
    ("camera",),
    ("so3",),
    ("healpix",),
    ("measure",),
    ("runs",),
    ("config", "compat", "testing"),
    ("errors", "_lazy"),
)
FLOOR = {room: number for number, rooms in enumerate(ROOMS) for room in rooms}
FILES = sorted((ROOT / "geocore").rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_down(path: Path) -> None:
    parts = path.relative_to(ROOT / "geocore").with_suffix("").parts
    names = imported(path)
    assert not {name.split(".")[0] for name in names} & {"prefect", "dvc", "flows", "tasks"}
    if parts[0] in ("__init__", "__main__"):
        return
    here = parts[0]
    assert here in FLOOR, f"{here} is no room of docs/design.md"
    for name in names:
        room = name.split(".")[1] if name.startswith("geocore.") else here
        if room != here:
            assert FLOOR[room] > FLOOR[here], f"{here} imports {name}, which lies above it"


def test_every_room_stands_in_the_design() -> None:
    design = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    for room in FLOOR:
        assert room in ("errors", "_lazy") or room in design


@pytest.mark.parametrize("statement", ["import geocore", "import geocore.cli.app"])
def test_import_is_cheap(statement: str) -> None:
    heavy = ("torch", "numpy", "pyarrow", "pydantic")
    code = f"{statement}; import sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_exports_are_few_and_exist() -> None:
    code = (
        "import importlib, pathlib\n"
        "for init in sorted(pathlib.Path('geocore').glob('*/__init__.py')):\n"
        "    package = importlib.import_module('geocore.' + init.parent.name)\n"
        "    names = getattr(package, '__all__', [])\n"
        "    assert len(names) <= 15, (package, len(names))\n"
        "    for name in names: getattr(package, name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
