"""The open flow's parts of ``synthesize``: Verilog, its simulation, a netlist a module.

Each is made once and holds in its key only what decides it. What is compiled or simulated is always
written by this process: Verilog in a store could hold anything, and a simulator runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from geocore.config.runtime import RuntimeParams
from geocore.edge.bench import write_bench
from geocore.edge.dataflow import Timing
from geocore.edge.description import QuantisedModel
from geocore.edge.equivalence import equivalent
from geocore.edge.layout import choose_lanes, choose_layout
from geocore.edge.queues import joins, size_queues
from geocore.edge.reference import reference_integers
from geocore.edge.simulation import build_simulator
from geocore.edge.sources import Sources
from geocore.edge.synthesis import Resources, synthesise
from geocore.edge.verilog import Design, Layout, write_verilog
from geocore.pipeline.piece import make_part
from geocore.pipeline.stage import Job
from geocore.pipeline.synthesis_hls import digest_images
from geocore.runs.at_once import at_once
from geocore.runs.digest import digest_json
from geocore.runs.store import Piece

__all__ = [
    "BESIDE",
    "RTL",
    "RTL_DIGEST",
    "Netlists",
    "OpenFlow",
    "Simulation",
    "layout_of",
    "streamed",
]

RTL = "rtl"
# Closures of code hold Python alone: what lies in geocore/edge/rtl counts by this statement.
RTL_DIGEST = "6087bf1c96e9e2dfe44806f70b2d0daa"
# Of it, what decides a netlist beside the module's own sources.
BESIDE = ("compare.cpp", "ports.h", "ultrascale_ternary_adder.v")
JOINTS = "queues, forks and ports"  # spaces: it is no node's name
Scratch = Callable[[], AbstractContextManager[Path]]


@dataclass(frozen=True)
class Simulation:
    """Of ``images`` streamed back to back: on how many a number differs from the reference, the
    cycles from the first pixel to the last word, and those from one image to the next.
    """

    images: int
    mismatches: int
    latency: int
    interval: float


@dataclass(frozen=True)
class Netlists:
    """What each node's module takes, and under ``JOINTS`` what joins them; on how many vectors
    those that multiply were compared.
    """

    resources: Mapping[str, Resources]
    vectors: Mapping[str, int]
    tool: str

    @property
    def total(self) -> Resources:
        """Of the whole network."""
        found = Resources(0, 0, 0, 0, 0.0)
        for taken in self.resources.values():
            found = found + taken
        return found


class OpenFlow:
    """The parts of one network, ``model``, that ``digest`` stands for in keys.

    With ``products`` its weights are multiplied with in DSP slices.
    """

    def __init__(
        self,
        job: Job,
        model: QuantisedModel,
        digest: str,
        scratch: Scratch,
        *,
        dense_cycles: int | None,
        products: bool = False,
    ) -> None:
        self._job, self._model, self._scratch = job, model, scratch
        self._network = {"network": digest}
        self._dense_cycles = dense_cycles
        self._products = products
        self._chosen: dict[str, Any] = {"dense_cycles": dense_cycles}
        if products:
            self._chosen["multipliers"] = "dsp"
        self._cut: dict[str, list[Sources]] = {}
        self._cutting = Lock()

    @cached_property
    def _design(self) -> Design:
        return self._write(self._layout)

    def _write(self, layout: Layout) -> Design:
        return write_verilog(self._model, layout, products=self._products)

    @cached_property
    def _layout(self) -> Layout:
        if not self._products:
            return choose_layout(self._model, dense_cycles=self._dense_cycles)
        lanes = choose_lanes(self._model, dense_cycles=self._dense_cycles)
        if not joins(self._model):
            return Layout(lanes=lanes)
        kernels = self._write(Layout(lanes=lanes)).kernels
        timing = Timing({name: kernel.latency for name, kernel in kernels.items()}, lanes)
        return Layout(lanes=lanes, queues=size_queues(self._model, timing))

    def design(self, images: Tensor) -> Piece:
        """Part ``design``: the folder ``rtl`` with a test bench of ``images``.

        In values are digests of each node's parts.
        """

        def build(folder: Path) -> dict[str, Any]:
            (folder / RTL).mkdir()
            bench = write_bench(self._design, images)
            for name, text in (self._design.files | bench).items():
                (folder / RTL / name).write_text(text, encoding="utf-8")
            return {
                "modules": {
                    node: [digest_json(asdict(part)) for part in self._parts(node)]
                    for node in [*self._design.modules, JOINTS]
                },
                "kernels": {
                    node: {"latency": kernel.latency, "adders": kernel.adders}
                    for node, kernel in self._design.kernels.items()
                },
                "levels": self._layout.levels,
                "lanes": dict(self._layout.lanes),
                "queues": [[*edge, words] for edge, words in self._layout.queues.items()],
            }

        return make_part(
            self._job, "design", build,
            parameters=self._chosen,
            inputs=self._network | {"images": digest_images(self._model, images)},
            code=[__name__],
        )  # fmt: skip

    def simulate(self, images: Tensor) -> Simulation:
        """Part ``simulation`` of images ``(n, height, width, channels)``, against the reference."""

        def build(folder: Path) -> dict[str, Any]:
            with self._scratch() as scratch:
                found = build_simulator(self._design, scratch).run(images)
            expected = reference_integers(self._model, images)[self._model.nodes[-1].name]
            wrong = (found.integers != expected).flatten(1).any(dim=1)
            return {
                "images": len(images),
                "mismatches": int(wrong.sum()),
                "latency": found.latency,
                "interval": found.interval,
            }

        seen = digest_images(self._model, images)
        piece = make_part(
            self._job,
            "simulation",
            build,
            parameters=self._chosen,
            inputs=self._network | {"images": seen},
            code=[__name__],
        )
        return Simulation(**piece.values)

    def netlists(self, design: Piece, vectors: int) -> Netlists:
        """Parts ``netlist`` of each module: what they take; of some, held against their Verilog.

        These have kernels, or are dense nodes that share multipliers, with who gives and who takes
        waiting at random. A netlist that differs from its Verilog is refused, not counted:
        ``UserError``. Of DSP slices nothing is held: yosys has no model of them.
        """
        modules: dict[str, list[str]] = design.values["modules"]
        wanted = [
            (node, place) for node, digests in modules.items() for place in range(len(digests))
        ]
        held = {node: vectors if self._held(design, node) else 0 for node in modules}
        processes = self._job.section(RuntimeParams).processes(len(wanted))
        calls = [
            partial(self._netlist, node, place, modules[node][place], held[node])
            for node, place in wanted
        ]
        resources = dict.fromkeys(modules, Resources(0, 0, 0, 0, 0.0))
        tool = ""
        with self._job.progress.bar("netlists", len(wanted)) as bar:
            for number, piece in at_once(calls, processes):
                node, _ = wanted[number]
                resources[node] = resources[node] + Resources(**piece.values["resources"])
                tool = piece.values["tool"]
                bar.advance()
        compared = {node: count for node, count in held.items() if count}
        return Netlists(resources, compared, tool)

    def _parts(self, node: str) -> list[Sources]:
        with self._cutting:  # a design is written once, whoever needs it first
            if node not in self._cut:
                design = self._design
                self._cut[node] = [design.joints()] if node == JOINTS else design.parts(node)
            return self._cut[node]

    def _held(self, design: Piece, node: str) -> bool:
        """Whether its netlist is held against its Verilog: it multiplies, and without slices."""
        values = design.values
        return not self._products and (node in values["lanes"] or node in values["kernels"])

    def _netlist(self, node: str, place: int, digest: str, vectors: int) -> Piece:
        """Of one part of a node; its sources and what is done with them decide it."""

        def build(folder: Path) -> dict[str, Any]:
            sources = self._parts(node)[place]
            if digest_json(asdict(sources)) != digest:
                raise ValueError(f"{node}: its sources are not the design's; expected one Verilog")
            with self._scratch() as scratch:
                netlist = synthesise(sources, scratch / "synthesis", dsp=self._products)
                if vectors:
                    equivalent(sources, netlist, scratch / "equal", vectors=vectors)
            (folder / "netlist.v").write_text(netlist.verilog, encoding="utf-8")
            return {"resources": asdict(netlist.resources), "tool": netlist.tool}

        return make_part(
            self._job,
            "netlist",
            build,
            parameters={"vectors": vectors, "dsp": self._products},
            inputs={"sources": digest, "beside": _beside()},
            code=["geocore.edge.synthesis", "geocore.edge.equivalence"],
        )


def _beside() -> str:
    rtl = files("geocore.edge") / "rtl"
    return digest_json([(rtl / name).read_text(encoding="utf-8") for name in BESIDE])


def layout_of(design: Piece) -> Layout:
    """The layout of a part ``design``."""
    values = design.values
    queues = {(source, reader): words for source, reader, words in values["queues"]}
    return Layout(values["levels"], values["lanes"], queues)


def streamed(images: Tensor, count: int) -> Tensor:
    """``count`` images, from the first again where there are fewer."""
    return images[torch.arange(count) % len(images)]
