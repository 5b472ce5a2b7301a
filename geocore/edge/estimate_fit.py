"""Where the estimator's coefficients come from: runs of yosys on parts, and fits to them.

Parts are drawn at random over what networks ask for, many are synthesised in one go, each as a
module of its own that nothing is merged across, and counted. ``fit_parts`` and ``fit_kernels``
make the models of ``geocore.edge.estimate_table`` of such runs (``benchmarks/estimator.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from geocore.edge.estimate_model import PartModel, Sum, fit_logarithm, fit_sum
from geocore.edge.estimate_parts import Part, features
from geocore.edge.kernel_size import KernelSize
from geocore.edge.kernels import Kernel
from geocore.edge.sources import Sources, held_files
from geocore.edge.synthesis import Resources, synthesise

__all__ = [
    "KernelModels",
    "KernelRun",
    "PartRun",
    "fit_kernels",
    "fit_parts",
    "synthesise_kernels",
    "synthesise_parts",
]

_PORT = re.compile(r"(input|output)\s+(?:wire|reg)?\s*(\[[^\]]*\])?\s*(\w+)\s*(?:,|$)", re.M)
_PARAMETER = re.compile(r"parameter (\w+) = (\"[^\"]*\"|[^,\s/]+)")


@dataclass(frozen=True)
class PartRun:
    """A part, and what yosys made of it."""

    part: Part
    lut: int
    ff: int


@dataclass(frozen=True)
class KernelRun:
    """A kernel as alkaid counts it at so many ``levels`` of adders between registers.

    ``lut`` and ``ff`` are yosys', None where it was not asked.
    """

    size: KernelSize
    levels: int
    adders: float
    registers: int
    latency: int
    lut: int | None = None
    ff: int | None = None

    @property
    def part(self) -> Part:
        """The kernel with alkaid's counts."""
        numbers = {
            "ADDERS": self.adders, "REGISTERS": self.registers, "BIASES": self.size.biases
        }  # fmt: skip
        return Part("kernel", numbers)


@dataclass(frozen=True)
class KernelModels:
    """Of a kernel's ``adders`` and ``registers``, logarithms; its ``latency`` in cycles."""

    adders: Sum
    registers: Sum
    latency: Sum


def fit_parts(runs: Sequence[PartRun]) -> dict[str, PartModel]:
    """A model of each kind of part that there are runs of."""
    found = {}
    for kind in sorted({run.part.kind for run in runs}):
        alike = [run for run in runs if run.part.kind == kind]
        rows = [features(run.part) for run in alike]
        lut, _ = fit_sum(rows, [run.lut for run in alike])
        ff, _ = fit_sum(rows, [run.ff for run in alike])
        found[kind] = PartModel(lut, ff)
    return found


def fit_kernels(runs: Sequence[KernelRun]) -> KernelModels:
    """Of what alkaid counts, from the weights' digits."""
    rows = [run.size.features() for run in runs]
    adders, _ = fit_logarithm(rows, [run.adders for run in runs])
    registers, _ = fit_logarithm(
        [run.size.stored(run.adders, run.levels) for run in runs],
        [max(run.registers, 1) for run in runs],
    )
    cycles = [
        {name: value / run.levels for name, value in run.size.depth().items()} | {"cycle": 1.0}
        for run in runs
    ]
    latency, _ = fit_sum(cycles, [run.latency for run in runs], signed=True)
    return KernelModels(adders, registers, latency)


def synthesise_parts(
    parts: Sequence[Part], folder: Path, tables: Mapping[str, str] | None = None
) -> list[Resources]:
    """What each of the parts takes, from one run of yosys in ``folder``.

    ``tables`` are files that the parts' parameters name. Raises as ``synthesise``.
    """
    texts, ports, instances = [], ["input wire clk"], []
    for n, part in enumerate(parts):
        text, own = _wrapper(f"part_{n}", part)
        texts.append(text)
        ports += [f"{way} wire [{bits - 1}:0] p{n}_{name}" for way, name, bits in own]
        joined = ", ".join(f".{name}(p{n}_{name})" for _, name, _ in own)
        instances.append(f"    part_{n} i{n} ({joined});\n")
    files = {**_sources(), **(tables or {})}
    return _counted(
        files, texts, ports, instances, [f"part_{n}" for n in range(len(parts))], folder
    )


def synthesise_kernels(kernels: Sequence[Kernel], folder: Path) -> list[Resources]:
    """What each of the kernels takes, from one run of yosys; their names must differ."""
    files: dict[str, str] = {}
    ports, instances = ["input wire clk"], []
    for n, kernel in enumerate(kernels):
        files |= kernel.files | kernel.shared
        text = kernel.files[f"{kernel.name}.v"]
        files[f"{kernel.name}.v"] = text.replace("module ", "(* keep_hierarchy *)\nmodule ", 1)
        joined = ".clk(clk)"
        for way, name in (("input", "model_inp"), ("output", "model_out")):
            width = re.search(rf"{way} wire (\[\d+:0\]) {name}", text)
            assert width is not None
            ports.append(f"{way} wire {width[1]} p{n}_{name}")
            joined += f", .{name}(p{n}_{name})"
        instances.append(f"    {kernel.name} i{n} ({joined});\n")
    return _counted(files, [], ports, instances, [kernel.name for kernel in kernels], folder)


def _counted(
    files: Mapping[str, str],
    texts: Sequence[str],
    ports: Sequence[str],
    instances: Sequence[str],
    modules: Sequence[str],
    folder: Path,
) -> list[Resources]:
    top = f"module all_parts ({', '.join(ports)});\n{''.join(instances)}endmodule\n"
    given = {**files, "all_parts.v": "".join(texts) + top}
    synthesise(Sources("all_parts", held_files(given, "all_parts")), folder)
    counted = json.loads((folder / "cells.json").read_text(encoding="utf-8"))["modules"]
    return [Resources.counted(counted[f"\\{name}"]["num_cells_by_type"]) for name in modules]


def _sources() -> dict[str, str]:
    rtl = resources.files("geocore.edge") / "rtl"
    return {
        file.name: file.read_text(encoding="utf-8")
        for file in rtl.iterdir()
        if file.name.startswith("geocore_")
    }


def _wrapper(name: str, part: Part) -> tuple[str, list[tuple[str, str, int]]]:
    """A module that holds the part alone, and its ports: way, name and bits."""
    if part.kind == "sum":
        return _sum_wrapper(name, part)
    text = _sources()[f"geocore_{part.kind}.v"]
    header = re.search(
        r"module \w+ #\((.*?)\n\) \((.*?)\n\);(.*?)\n *(?:reg|wire|assign)", text, re.S
    )
    if header is None:
        raise ValueError(f"geocore_{part.kind}.v has no header of parameters and ports")
    values = dict(_PARAMETER.findall(header[1]))
    values |= {
        key: f'"{v}"' if isinstance(v, str) else str(v) for key, v in part.parameters.items()
    }
    found = _PORT.findall(re.sub(r"//.*", "", header[2]))
    ports = [(way, port, _width(width, values)) for way, width, port in found]
    listed = ", ".join(f"{way} wire [{bits - 1}:0] {port}" for way, port, bits in ports)
    given = ", ".join(f".{key}({value})" for key, value in values.items())
    joined = ", ".join(f".{port}({port})" for _, port, _ in ports)
    body = f"    geocore_{part.kind} #({given}) part ({joined});\n"
    return f"(* keep_hierarchy *)\nmodule {name} ({listed});\n{body}endmodule\n", ports


def _width(text: str, values: Mapping[str, str]) -> int:
    """Bits of ``[A*B-1:0]``, whose names are parameters."""
    if not text:
        return 1
    total = 1
    for factor in text.strip("[]").removesuffix("-1:0").split("*"):
        total *= int(values.get(factor, factor))
    return total


def _sum_wrapper(name: str, part: Part) -> tuple[str, list[tuple[str, str, int]]]:
    bits, terms = int(part.parameters["BITS"]), int(part.parameters["TERMS"])
    wide = bits + terms.bit_length() + 1
    ports = [("input", f"x{n}", bits) for n in range(terms)] + [("output", "y", wide)]
    listed = ", ".join(f"{way} wire signed [{size - 1}:0] {port}" for way, port, size in ports)
    added = " + ".join(f"x{n}" for n in range(terms))
    text = f"module {name} ({listed});\n    assign y = {added};\nendmodule\n"
    return f"(* keep_hierarchy *)\n{text}", ports
