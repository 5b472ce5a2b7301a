"""A design simulated cycle by cycle by Verilator: every bit of it, and when it comes."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.synthesis import Netlist, cell_models
from geocore.edge.verilator import compile_verilog
from geocore.edge.verilog import Design
from geocore.errors import UserError

__all__ = ["Simulated", "Simulator", "build_simulator"]

_QUIET = 1_000_000  # cycles without a word: it will not go on
_BROKEN = {
    4: "m_axis_tlast is wrong",
    5: "m_axis changes, or is taken back, before it is taken",
    6: "m_axis_tvalid is high in reset",
}


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
    """A compiled design. Each run starts from a reset of registers and memories that are drawn."""

    def __init__(self, program: Path, design: Design) -> None:
        self._program, self._design = program, design

    def run(
        self,
        images: Tensor,
        *,
        give: int = 256,
        take: int = 256,
        seed: int = 0,
        reset_after: int = 0,
    ) -> Simulated:
        """Stream images ``(n, height, width, channels)``, numbers, one after the other.

        A pixel is offered in ``give`` of 256 cycles and a word taken in ``take`` of 256, at
        random from ``seed``, which also fills registers and memories before the reset. With
        ``reset_after``, so many cycles are run and thrown away first, and end in another reset.
        Raises ``UserError`` if the design comes to a stop before its last word or breaks a rule of
        AXI streams (what is offered stays as it is until it is taken; ``tlast`` on each value's
        last word; nothing in reset), and ``ValueError`` for images of another shape.
        """
        model = self._design.model
        if images.shape[1:] != model.shape or len(images) == 0:
            raise ValueError(f"images are {tuple(images.shape)}; expected (n, {model.shape})")
        for name, value in (("give", give), ("take", take)):
            if not 1 <= value <= 256:
                raise ValueError(f"{name} is {value}; expected 1 to 256")
        for name, value in (("seed", seed), ("reset_after", reset_after)):
            if not 0 <= value < 2**31:
                raise ValueError(f"{name} is {value}; expected 0 to 2^31 - 1")
        shape, grid = self._design.output
        words = _words(model.input.quantise(images).flatten(0, 2).numpy(), model.input)
        height, width, _ = model.shape
        count = len(images)
        outputs = shape[0] * shape[1]
        numbers = [count, height * width, outputs, give, take, seed, _QUIET, reset_after]
        with tempfile.TemporaryDirectory(prefix="geocore-simulation-") as scratch:
            given, found = Path(scratch) / "in.bin", Path(scratch) / "out.bin"
            words.tofile(given)
            done = subprocess.run(
                [self._program, given, found, *map(str, numbers)],
                cwd=self._program.parents[1],  # where the tables of weights lie
                capture_output=True,
                text=True,
            )
            self._check(done, count * outputs)
            rows = np.fromfile(found, np.uint32).reshape(count * outputs, -1)
        cycles = rows[:, 0].astype(np.int64) + (rows[:, 1].astype(np.int64) << 32)
        integers = _integers(rows[:, 2:], shape[2], grid).reshape(count, *shape)
        return Simulated(
            torch.from_numpy(integers),
            torch.from_numpy(cycles - int(done.stdout)).reshape(count, outputs),
        )

    def _check(self, done: subprocess.CompletedProcess[str], words: int) -> None:
        top, said = self._design.top, done.stderr.strip()
        if done.returncode == 3:
            raise UserError(
                f"{top}: comes to a stop, {said}; expected {words} words: a queue before a join is "
                "too short"
            )
        if rule := _BROKEN.get(done.returncode):
            raise UserError(f"{top}: {rule}, {said}; expected the rules of AXI streams")
        if done.returncode != 0:
            raise RuntimeError(f"simulation: exit code {done.returncode}: {said}")


def build_simulator(design: Design, folder: Path, netlists: Iterable[Netlist] = ()) -> Simulator:
    """Write the design into ``folder``, and compile it by Verilator.

    ``netlists`` take their modules' places; the primitives' models are yosys' own. Raises
    ``UserError`` where a tool is missing or the Verilog is refused, with the first line that says
    why.
    """
    files = dict(design.files)
    for netlist in netlists:
        files |= cell_models() | {f"{netlist.module}.v": netlist.verilog}
    return Simulator(compile_verilog(files, design.top, "harness.cpp", folder), design)


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
