"""The firmware's sources as a library on this machine: its answers bit by bit."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geocore.edge.description import QuantisedModel
from geocore.edge.firmware import PROJECT
from geocore.edge.tools import COMPILER
from geocore.errors import UserError

__all__ = ["CompiledFirmware", "compile_firmware"]


class CompiledFirmware:
    """The compiled sources of ``model``: the arithmetic of the chip, not its timing."""

    def __init__(self, library: Path, model: QuantisedModel) -> None:
        self._model = model
        pointer = np.ctypeslib.ndpointer(np.float64, flags="C_CONTIGUOUS")
        self._call = getattr(ctypes.CDLL(str(library)), f"{PROJECT}_double")
        self._call.restype, self._call.argtypes = None, [pointer, pointer]

    def logits(self, images: Tensor) -> Tensor:
        """Logits ``(n, classes)`` float64 of ``images (n, height, width, channels)`` in [0, 1].

        Images are put on the input's grid first, as a sensor would give them.
        """
        if images.shape[1:] != self._model.shape:
            raise ValueError(f"images are {tuple(images.shape[1:])}; expected {self._model.shape}")
        grid = self._model.input
        pixels: npt.NDArray[np.float64] = (grid.quantise(images).double() * grid.step).numpy()
        out = np.zeros((len(pixels), self._model.shapes[self._model.nodes[-1].name][2]))
        for image, row in zip(np.ascontiguousarray(pixels), out, strict=True):
            self._call(image, row)
        return torch.from_numpy(out)


def compile_firmware(sources: Path, model: QuantisedModel, log: Path) -> CompiledFirmware:
    """Compile ``sources`` with the script that lies among them, and load what it gives.

    Only for sources that were written a moment ago: what is loaded here runs. The folder's path
    must be new to this process, as a library of the same path is not loaded twice. What the
    compiler says goes to the end of ``log``. Raises ``UserError`` with its first error.
    """
    done = subprocess.run(
        ["bash", "build_lib.sh"],
        cwd=sources,
        env={**os.environ, "LC_ALL": "C"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    with log.open("a", encoding="utf-8") as stream:
        stream.write(done.stdout)
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        errors = [line for line in lines if "error:" in line]
        said = (errors or lines[-1:] or [f"exit code {done.returncode}"])[0]
        raise UserError(f"{COMPILER}: {said}; expected sources that compile: all of it is in {log}")
    return CompiledFirmware(sources / "firmware" / f"{PROJECT}-{PROJECT}.so", model)
