"""The open flow's parts of ``synthesize``: Verilog, its simulation, a netlist a module.

Each is made once and holds in its key only what decides it. What is compiled or simulated is always
written by this process: Verilog in a store could hold anything, and a simulator runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geocore.edge.dataflow import Timing
from geocore.edge.description import QuantisedModel
from geocore.edge.equivalence import equivalent
from geocore.edge.layout import choose_lanes, choose_layout
from geocore.edge.product_design import write_product_verilog
from geocore.edge.queues import joins, size_queues
from geocore.edge.reference import reference_integers
from geocore.edge.simulation import build_simulator
from geocore.edge.synthesis import Resources, synthesise
from geocore.edge.verilog import Design, Layout, write_verilog
from geocore.pipeline.piece import make_part
from geocore.pipeline.stage import Job
from geocore.pipeline.synthesis_hls import digest_images
from geocore.runs.digest import digest_json
from geocore.runs.store import Piece

__all__ = ["RTL", "Netlists", "OpenFlow", "Simulation", "layout_of", "streamed"]

RTL = "rtl"
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
    """What each node's module takes, and on how many vectors those that multiply were compared."""

    resources: Mapping[str, Resources]
    vectors: Mapping[str, int]
    tool: str

    @property
    def total(self) -> Resources:
        """Of all modules."""
        found = Resources(0, 0, 0, 0, 0.0)
        for resources in self.resources.values():
            found = found + resources
        return found


class OpenFlow:
    """The parts of one network, ``model``, that ``digest`` stands for in keys.

    With ``products`` its weights are multiplied with in DSP slices (``write_product_verilog``).
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

    @cached_property
    def _design(self) -> Design:
        write = write_product_verilog if self._products else write_verilog
        return write(self._model, self._layout)

    @cached_property
    def _layout(self) -> Layout:
        if not self._products:
            return choose_layout(self._model, dense_cycles=self._dense_cycles)
        lanes = choose_lanes(self._model, dense_cycles=self._dense_cycles)
        if not joins(self._model):
            return Layout(lanes=lanes)
        kernels = write_product_verilog(self._model, Layout(lanes=lanes)).kernels
        timing = Timing({name: kernel.latency for name, kernel in kernels.items()}, lanes)
        return Layout(lanes=lanes, queues=size_queues(self._model, timing))

    def design(self) -> Piece:
        """Part ``design``: the folder ``rtl``; digests of each module and its sources in values."""

        def build(folder: Path) -> dict[str, Any]:
            (folder / RTL).mkdir()
            for name, text in self._design.files.items():
                (folder / RTL / name).write_text(text, encoding="utf-8")
            return {
                "modules": {
                    node: digest_json(self._design.part(module))
                    for node, module in self._design.modules.items()
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
            parameters=self._chosen, inputs=self._network, code=[__name__],
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
        """Part ``netlist`` of each module: what it takes; of some, held against their Verilog.

        These have kernels, or are dense nodes that share multipliers, with who gives and who takes
        waiting at random. A netlist that differs from its Verilog is refused, not counted:
        ``UserError``. Of DSP slices nothing is held: yosys has no model of them.
        """
        resources: dict[str, Resources] = {}
        compared: dict[str, int] = {}
        tool = ""
        modules: dict[str, str] = design.values["modules"]
        with self._job.progress.bar("netlists", len(modules)) as bar:
            for node, digest in modules.items():
                shared = node in design.values["lanes"]
                values = self._netlist(node, digest, vectors, shared).values
                resources[node] = Resources(**values["resources"])
                if values["vectors"]:
                    compared[node] = values["vectors"]
                tool = values["tool"]
                bar.advance()
        return Netlists(resources, compared, tool)

    def _netlist(self, node: str, digest: str, vectors: int, shared: bool) -> Piece:
        parameters: dict[str, Any] = {"vectors": vectors}
        if self._products:
            parameters = {"dsp": True}
        elif shared:
            parameters["shared"] = True

        def build(folder: Path) -> dict[str, Any]:
            module = self._design.modules[node]
            held = not self._products and (shared or node in self._design.kernels)
            with self._scratch() as scratch:
                netlist = synthesise(
                    self._design, module, scratch / "synthesis", dsp=self._products
                )
                if held:
                    equivalent(self._design, module, netlist, scratch / "equal", vectors=vectors)
            (folder / "netlist.v").write_text(netlist.verilog, encoding="utf-8")
            return {
                "resources": asdict(netlist.resources),
                "vectors": vectors if held else 0,
                "tool": netlist.tool,
            }

        return make_part(
            self._job,
            "netlist",
            build,
            parameters=parameters,
            inputs={"sources": digest},
            code=["geocore.edge.synthesis", "geocore.edge.equivalence"],
        )


def layout_of(design: Piece) -> Layout:
    """The layout of a part ``design``."""
    values = design.values
    queues = {(source, reader): words for source, reader, words in values["queues"]}
    return Layout(values["levels"], values["lanes"], queues)


def streamed(images: Tensor, count: int) -> Tensor:
    """``count`` images, from the first again where there are fewer."""
    return images[torch.arange(count) % len(images)]
