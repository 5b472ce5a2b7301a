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
from geocore.edge.nodes import IMAGES
from geocore.edge.taken_over import layer_name
from geocore.edge.tools import COMPILER
from geocore.errors import UserError

__all__ = ["CompiledFirmware", "compile_firmware"]


class _Traced(ctypes.Structure):
    """A layer's name and where its values lie: hls4ml's own structure."""

    _fields_ = [("name", ctypes.c_char_p), ("data", ctypes.c_void_p)]


class CompiledFirmware:
    """The compiled sources of ``model``: the arithmetic of the chip, not its timing."""

    def __init__(self, library: Path, model: QuantisedModel) -> None:
        self._model = model
        self._library = ctypes.CDLL(str(library))
        pointer = np.ctypeslib.ndpointer(np.float64, flags="C_CONTIGUOUS")
        self._call = getattr(self._library, f"{PROJECT}_double")
        self._call.restype, self._call.argtypes = None, [pointer, pointer]
        names = {layer_name(node): node.name for node in model.nodes}
        source = (library.parent / f"{PROJECT}.cpp").read_text(encoding="utf-8")
        self._traced = {
            layer: name
            for layer, name in names.items()
            if "save_layer_output<" in source and f'"{layer}"' in source
        }

    @property
    def traced(self) -> bool:
        """Whether the sources were written with ``trace``: ``values`` tells what nodes give."""
        return bool(self._traced)

    def logits(self, images: Tensor) -> Tensor:
        """What the network gives, float64: logits ``(n, classes)``, maps ``(n, h, w, classes)``.

        Of ``images (n, height, width, channels)`` in [0, 1], which are put on the input's grid
        first, as a sensor would give them.
        """
        pixels = self._pixels(images)
        shape = self._model.shapes[self._model.nodes[-1].name]
        out = np.zeros((len(pixels), *shape))
        for image, value in zip(pixels, out, strict=True):
            self._call(image, value)
        found = torch.from_numpy(out)
        return found.flatten(1) if shape[:2] == (1, 1) else found

    def values(self, images: Tensor) -> dict[str, Tensor]:
        """What each node gives as numbers, float64 ``(n, height, width, channels)``, by its name.

        Pools and upsamplings by 1 are no layers and so are not among them. Raises ``ValueError``
        for a library that was written without ``trace``.
        """
        if not self.traced:
            raise ValueError("the firmware is not traced; expected write_firmware(..., trace=True)")
        pixels = self._pixels(images)
        shapes = self._model.shapes
        found: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in shapes}
        out = np.zeros(shapes[self._model.nodes[-1].name])
        room = (_Traced * (len(self._traced) + 1))()
        self._library.allocate_trace_storage.argtypes = [ctypes.c_size_t]
        self._library.collect_trace_output.argtypes = [ctypes.POINTER(_Traced)]
        for image in pixels:
            # Anew for each image: what a second one would be given is never freed.
            self._library.allocate_trace_storage(ctypes.sizeof(ctypes.c_double))
            try:
                self._call(image, out)
                self._library.collect_trace_output(room)
                for entry in room[: len(self._traced)]:
                    name = self._traced[entry.name.decode()]
                    at = ctypes.cast(entry.data, ctypes.POINTER(ctypes.c_double))
                    found[name].append(np.ctypeslib.as_array(at, shapes[name]).copy())
            finally:
                self._library.free_trace_storage()
        return {
            name: torch.from_numpy(np.stack(rows))
            for name, rows in found.items()
            if rows and name != IMAGES
        }

    def _pixels(self, images: Tensor) -> npt.NDArray[np.float64]:
        if images.shape[1:] != self._model.shape:
            raise ValueError(f"images are {tuple(images.shape[1:])}; expected {self._model.shape}")
        grid = self._model.input
        return np.ascontiguousarray((grid.quantise(images).double() * grid.step).numpy())


def compile_firmware(
    sources: Path, model: QuantisedModel, log: Path, *, optimise: bool = True
) -> CompiledFirmware:
    """Compile ``sources`` and load what it gives.

    Only for sources that were written a moment ago: what is loaded here runs. The folder's path
    must be new to this process, as a library of the same path is not loaded twice. Without
    ``optimise`` it compiles sooner and runs slower. What the compiler says goes to the end of
    ``log``. Raises ``UserError`` with its first error, or for a compiler that is missing.
    """
    library = sources / "firmware" / f"{PROJECT}.so"
    weights = (sources / "firmware" / "weights").resolve()
    # In one piece, where hls4ml's script compiles two that share nearly all of their headers. With
    # -O3, as there, it takes several times as long and is no faster by a tenth.
    whole = f'#include "firmware/{PROJECT}.cpp"\n#include "{PROJECT}_bridge.cpp"\n'
    command = [
        COMPILER, "-O1" if optimise else "-O0", "-std=c++11", "-fPIC", "-fno-gnu-unique", "-shared",
        "-I.", "-Ifirmware/ap_types", f'-DWEIGHTS_DIR="{weights}"', "-x", "c++", "-",
        "-o", str(library.resolve()),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            cwd=sources,
            env={**os.environ, "LC_ALL": "C"},
            input=whole,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise UserError(
            f"{COMPILER}: not found on PATH; expected a C++ compiler (Debian: apt install g++)"
        ) from None
    with log.open("a", encoding="utf-8") as stream:
        stream.write(done.stdout)
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        errors = [line for line in lines if "error:" in line]
        said = (errors or lines[-1:] or [f"exit code {done.returncode}"])[0]
        raise UserError(f"{COMPILER}: {said}; expected sources that compile: all of it is in {log}")
    return CompiledFirmware(library, model)
