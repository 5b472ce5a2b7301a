"""The compressed ENet on a ZCU102: cycles of whole frames, and what it takes after synthesis.

    python benchmarks/chip_enet.py --folder build/chip_enet
    python benchmarks/chip_enet.py --folder build/chip_enet --weights 8 --frames 10

The network of arXiv:2205.07690 as ``geocore.edge.enet`` has it, on frames of 152 x 240 x 3, with
weights at random: what a chip takes depends on their bits, not on what they have learnt, but that
trained ones have more zeros. Batch norms have seen a few frames, so that values fill their grids.
``mixed`` has, as published, 28 convolutions of 4 bits (here the 3x3 ones of the bottlenecks and
those of the skips) and 30 of 8; activations have 8 bits.

Frames stream back to back through the Verilog in Verilator: every bit is compared with the integer
reference and every cycle with the dataflow's, and the queues are the least that lose nothing.
yosys synthesises each node's module once, and all that joins them (queues, forks, ports) as one
more. ``--folder`` keeps queues and what has been synthesised: a run that was cut off goes on.
Milliseconds are at an assumed clock of 7 ns, the published one: a clock is not measured here. What
came stands in ``results/chip_enet.txt``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor

from geocore.edge.bits import Bits, LayerBits
from geocore.edge.calibration import activation_peaks
from geocore.edge.dataflow import Timing, flow
from geocore.edge.description import QuantisedModel
from geocore.edge.device import utilisation
from geocore.edge.enet import Enet
from geocore.edge.quantised import QuantisedNetwork
from geocore.edge.queues import size_queues
from geocore.edge.reference import reference_integers
from geocore.edge.simulation import build_simulator
from geocore.edge.sources import Sources
from geocore.edge.synthesis import Resources, synthesise
from geocore.edge.tracing import trace
from geocore.edge.verilog import Design, Layout, write_verilog
from geocore.runs.digest import digest_json
from geocore.train.feed import tensor_feed

SHAPE = (152, 240, 3)
CLOCK_NS = 7.0
PUBLISHED = ("published", "700,000", "", "4.9", "< 30", "", "< 30", "< 30", "< 30")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--weights", choices=["mixed", "4", "8"], default="mixed")
    parser.add_argument("--activations", type=int, default=8)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--only", choices=["simulation", "synthesis"])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=110)
    model, frames = network(chosen.weights, chosen.activations, chosen.frames)
    folder = chosen.folder / f"{chosen.weights}_{chosen.activations}"
    folder.mkdir(parents=True, exist_ok=True)
    design, timing = streaming(model, folder, console)
    known = folder / "simulation.json"
    if chosen.only != "synthesis":
        known.write_text(json.dumps(simulated(design, timing, frames, folder / "rtl", console)))
    if chosen.only == "simulation":
        return
    cycles = json.loads(known.read_text()) if known.exists() else {}
    nodes, joints = synthesised(design, chosen.folder / "netlists", console)
    report(design, cycles, nodes, joints, f"weights {chosen.weights}", console)


def network(weights: str, activations: int, count: int) -> tuple[QuantisedModel, Tensor]:
    """The description, and frames to stream through it: smooth shapes with noise on top."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count + 4, 3, 10, 15, generator=generator)
    smooth = F.interpolate(coarse, size=SHAPE[:2], mode="bilinear").permute(0, 2, 3, 1)
    frames = (smooth + 0.1 * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Enet()
    seen, frames = frames[:4], frames[4:]
    for norm in module.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = None  # the plain mean of what it has seen
    with torch.no_grad():
        module(seen)
    graph = trace(module.eval(), SHAPE)
    labels = torch.zeros(len(seen), *SHAPE[:2], dtype=torch.int64)
    peaks = activation_peaks(graph, tensor_feed(seen, labels, torch.device("cpu")))
    bits = Bits(4 if weights == "4" else 8, activations)
    if weights == "mixed":
        low = [
            node.name for node in graph.weighted if "_main_" in node.name or "_skip_" in node.name
        ]
        bits = dataclasses.replace(bits, layers=dict.fromkeys(low, LayerBits(weights=4)))
    return QuantisedNetwork(graph, bits, peaks).describe(), frames


def streaming(model: QuantisedModel, folder: Path, console: Console) -> tuple[Design, Timing]:
    """The Verilog with queues as long as they must be."""
    began = time.perf_counter()
    kernels = write_verilog(model, Layout(), "enet").kernels
    written = time.perf_counter()
    timing = Timing({name: kernel.latency for name, kernel in kernels.items()})
    about = folder / f"queues_{digest_json([model.about(), dict(timing.latency)])[:16]}.json"
    if not about.exists():
        listed = [[*edge, depth] for edge, depth in size_queues(model, timing).items()]
        about.write_text(json.dumps([time.perf_counter() - written, listed]))
    seconds, listed = json.loads(about.read_text())
    queues = {(source, node): depth for source, node, depth in listed}
    bits = sum(
        depth * model.shapes[source][2] * model.grids[source].bits
        for (source, _), depth in queues.items()
    )
    console.print(
        f"Verilog written in {written - began:.1f} s; {len(queues)} queues of "
        f"{sum(queues.values())} words, {bits / 1000:.1f} kbit, sized in {seconds:.1f} s"
    )
    design = write_verilog(model, Layout(queues=queues), "enet")
    return design, dataclasses.replace(timing, queues=queues)


def simulated(
    design: Design, timing: Timing, frames: Tensor, folder: Path, console: Console
) -> dict[str, int | float]:
    """Latency and interval of the Verilog. Exits for a bit or a cycle that is not as foretold."""
    model = design.model
    began = time.perf_counter()
    simulator = build_simulator(design, folder)
    built = time.perf_counter()
    found = simulator.run(frames)
    ran = time.perf_counter()
    expected = reference_integers(model, frames)[model.nodes[-1].name]
    if not torch.equal(found.integers, expected):
        raise SystemExit("the Verilog differs from the integer reference")
    began_flow = time.perf_counter()
    told = flow(model, timing, len(frames))
    followed = time.perf_counter() - began_flow
    if told.cycles != found.cycles.tolist():
        raise SystemExit("the Verilog's cycles differ from the dataflow's")
    console.print(
        f"{len(frames)} frames: {expected.numel()} numbers and {found.cycles.numel()} cycles as "
        f"foretold; Verilator built in {built - began:.0f} s and ran {ran - built:.1f} s, the "
        f"dataflow {followed:.2f} s"
    )
    return {"latency": found.latency, "interval": found.interval, "frames": len(frames)}


def synthesised(
    design: Design, folder: Path, console: Console
) -> tuple[dict[str, Resources], Resources]:
    """What each node's module takes by its node's name, and what joins them."""
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    joints = kept(design.joints(), folder)
    adders = {node: kernel.adders for node, kernel in design.kernels.items()}
    largest_first = sorted(design.modules, key=lambda node: -adders.get(node, 0))
    nodes = {node: kept(design.part(design.modules[node]), folder) for node in largest_first}
    console.print(f"synthesised in {time.perf_counter() - began:.0f} s")
    return nodes, joints


def kept(sources: Sources, folder: Path) -> Resources:
    """What a module takes; a file of the folder holds it once it is known, under any name."""
    part = {
        name.replace(sources.module, "module"): text.replace(sources.module, "module")
        for name, text in sources.files.items()
    }
    about = folder / f"{digest_json(part)}.json"
    if not about.exists():
        found = synthesise(sources, folder / sources.module).resources
        about.write_text(json.dumps(dataclasses.asdict(found)))
    return Resources(**json.loads(about.read_text()))


def report(
    design: Design,
    cycles: dict[str, int | float],
    nodes: dict[str, Resources],
    joints: Resources,
    title: str,
    console: Console,
) -> None:
    kinds: dict[str, Resources] = {"queues, forks, ports": joints}
    for node in design.model.nodes:
        name = node.kind.replace("_", " ")
        kinds[name] = kinds.get(name, Resources(0, 0, 0, 0, 0)) + nodes[node.name]
    parts = Table("nodes", "LUT", "of them memory", "FF", "DSP", "BRAM36", title=title)
    for name, found in sorted(kinds.items(), key=lambda item: -item[1].lut):
        parts.add_row(name, *(f"{value:,}" for value in dataclasses.astuple(found)))
    whole = sum(kinds.values(), Resources(0, 0, 0, 0, 0))
    parts.add_row("all", *(f"{value:,}" for value in dataclasses.astuple(whole)))
    console.print(parts)
    shares = utilisation(whole, "zcu102")
    table = Table(
        "", "cycles, first frame", "cycles a frame", "ms, 7 ns", "LUT %", "memory LUT %", "FF %",
        "DSP %", "BRAM %",
    )  # fmt: skip
    interval = cycles.get("interval", float("nan"))
    table.add_row(
        title,
        f"{cycles.get('latency', 0):,}",
        f"{interval:,.0f}",
        f"{cycles.get('latency', 0) * CLOCK_NS * 1e-6:.2f}, {interval * CLOCK_NS * 1e-6:.2f}",
        *(f"{100 * shares[key]:.1f}" for key in ("lut", "lut_memory", "ff", "dsp", "bram")),
    )
    table.add_row(*PUBLISHED)
    console.print(table)


if __name__ == "__main__":
    main()
