"""The street numbers' network on a chip by the open flow, beside published figures for its shape.

The network is that of arXiv:2101.05108: 32 x 32 x 3 images, three times a 3 x 3 convolution and
pooling, three dense layers. By default its weights are drawn, of ``--bits`` bits and half of them
zero: what a chip takes depends on little else. ``--description`` takes a trained one, the
``weights.safetensors`` of the stage ``synthesize``. LUTs, flip-flops and memories are counted by
yosys after synthesis, cycles by Verilator, and every logit is compared with the integers'
reference. Netlists are kept in ``--folder`` for the next run. ``--vectors`` holds each netlist
against its Verilog, and ``--route`` places and routes the first convolution on an ECP5.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from geocore.edge.description import QuantisedModel
from geocore.edge.device import utilisation
from geocore.edge.equivalence import equivalent
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.layout import choose_layout
from geocore.edge.nodes import IMAGES, Convolution, Dense, MaxPool, Node
from geocore.edge.place_route import place_and_route
from geocore.edge.reference import reference_integers
from geocore.edge.simulation import build_simulator
from geocore.edge.sources import Sources
from geocore.edge.synthesis import Netlist, Resources, synthesise
from geocore.edge.verilog import write_verilog

# 6-bit weights, half of them zero, by hls4ml's tutorial: Vivado 2020.1, U250, 5 ns.
PUBLISHED = Resources(lut=118_931, lut_memory=0, ff=30_702, dsp=353, bram=34)
PUBLISHED_CYCLES = (1044, 1028)


def drawn_network(bits: int, seed: int) -> QuantisedModel:
    """The network with weights of so many bits, the smaller half of them zero."""
    generator = torch.Generator().manual_seed(seed)
    top = 2 ** (bits - 1) - 1
    kept = FixedPoint(bits, bits - 1, signed=True)

    def weights(*shape: int) -> Tensor:
        found = (torch.randn(shape, generator=generator) * top / 3).round().clamp(-top, top)
        found[found.abs() < found.abs().flatten().sort().values[found.numel() // 2]] = 0
        extra = (found != 0).flatten().nonzero()[found.numel() // 2 :]
        found.view(-1)[extra] = 0
        return torch.as_tensor(found, dtype=torch.int64)

    def biases(count: int) -> Tensor:
        return torch.randint(-60, 60, (count,), generator=generator)

    grid = FixedPoint(8, 8, signed=False)
    nodes: list[Node] = []
    source, channels, taken = IMAGES, 3, 4 * 24
    for n, out in enumerate((16, 16, 24)):
        given, grid = grid, FixedPoint(bits, bits - 3, signed=False)
        weight = weights(out, channels, 3, 3)
        name = f"convolution_{n}"
        nodes.append(Convolution(name, (source,), weight, biases(out), kept, given, grid))
        nodes.append(MaxPool(f"pooling_{n}", (name,)))
        source, channels = f"pooling_{n}", out
    for n, out in enumerate((42, 64, 10)):
        given, grid = grid, FixedPoint(bits, bits - 4, signed=False)
        output = None if n == 2 else grid
        name = f"dense_{n}"
        nodes.append(Dense(name, (source,), weights(out, taken), biases(out), kept, given, output))
        source, taken = name, out
    return QuantisedModel((32, 32, 3), FixedPoint(8, 8, signed=False), tuple(nodes))


def kept_netlist(sources: Sources, folder: Path) -> Netlist:
    """Of a module, from the folder if its files are those of last time."""
    module = sources.module
    text = json.dumps(sources.files, sort_keys=True)
    place = folder / f"{module}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    about = place / "netlist.json"
    if about.exists():
        found = json.loads(about.read_text(encoding="utf-8"))
        verilog = (place / "netlist.v").read_text(encoding="utf-8")
        return Netlist(module, verilog, Resources(**found["resources"]), found["tool"])
    netlist = synthesise(sources, place)
    resources = dataclasses.asdict(netlist.resources)
    about.write_text(json.dumps({"resources": resources, "tool": netlist.tool}), encoding="utf-8")
    return netlist


def row(table: Table, name: str, found: Resources, *more: str) -> None:
    table.add_row(name, f"{found.lut:,}", f"{found.ff:,}", str(found.dsp), f"{found.bram:g}", *more)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--description", type=Path, help="weights.safetensors of synthesize; else drawn"
    )
    parser.add_argument("--bits", type=int, default=7, help="of drawn weights and activations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--levels", type=int, default=4, help="adders between two registers")
    parser.add_argument("--dense-cycles", type=int, default=20)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--vectors", type=int, default=0, help="of netlist against Verilog")
    parser.add_argument("--route", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("build/chip"))
    chosen = parser.parse_args()
    if chosen.description is None:
        model = drawn_network(chosen.bits, chosen.seed)
    else:
        model = QuantisedModel.read(chosen.description, "quantised.")
    layout = choose_layout(model, levels=chosen.levels, dense_cycles=chosen.dense_cycles)
    design = write_verilog(model, layout)
    console = Console(width=100)
    zeros = sum(int((node.weight == 0).sum()) for node in model.weighted)
    weights = sum(node.weight.numel() for node in model.weighted)
    console.print(
        f"{'drawn' if chosen.description is None else chosen.description} weights, at most "
        f"{max(node.weight_format.bits for node in model.weighted)} bits, "
        f"{zeros / weights:.0%} of {weights:,} zero; {layout.levels} adders between registers; "
        f"lanes {dict(layout.lanes)}"
    )

    table = Table("module", "LUT", "FF", "DSP", "BRAM36", "kernel's cycles", "netlist = Verilog")
    total = Resources(0, 0, 0, 0, 0.0)
    tool = ""
    parts = {node: design.part(module) for node, module in design.modules.items()}
    for node, sources in [*parts.items(), ("joined", design.joints())]:
        netlist = kept_netlist(sources, chosen.folder)
        total, tool = total + netlist.resources, netlist.tool
        kernel = design.kernels.get(node)
        same = ""
        if chosen.vectors and node != "joined":
            folder = chosen.folder / f"equivalence_{node}"
            held = equivalent(sources, netlist, folder, vectors=chosen.vectors)
            same = f"{held.vectors:,} cycles"
        row(table, node, netlist.resources, str(kernel.latency) if kernel else "", same)
    table.add_section()
    row(table, "all", total, "", "")
    row(table, "published (Vivado, U250)", PUBLISHED, "", "")
    console.print(table)
    shares = utilisation(total, "zcu102")
    console.print(f"{tool}; of a ZCU102: {', '.join(f'{k} {v:.1%}' for k, v in shares.items())}")

    generator = torch.Generator().manual_seed(1)
    images = torch.rand(chosen.images, *model.shape, generator=generator)
    wanted = reference_integers(model, images)[model.nodes[-1].name]
    simulator = build_simulator(design, chosen.folder / "simulation")
    found = simulator.run(images)
    waited = simulator.run(images, give=200, take=90, seed=3)
    exact = torch.equal(found.integers, wanted) and torch.equal(waited.integers, wanted)
    console.print(
        f"{len(images)} images back to back, and again with both sides waiting at random: logits "
        f"{'equal the reference' if exact else 'DIFFER'}"
    )
    table = Table("", "cycles to the last logit", "cycles between images", "at 5 ns")
    rows = (("here", found.latency, found.interval), ("published", *PUBLISHED_CYCLES))
    for name, latency, interval in rows:
        table.add_row(name, str(latency), f"{interval:g}", f"{latency / 200:.2f} us")
    console.print(table)
    if chosen.route:
        node = model.weighted[0].name
        routed = place_and_route(parts[node], chosen.folder / "routed")
        console.print(
            f"{node} routed on {routed.family}, which is no UltraScale+: "
            f"{routed.frequency_mhz:.0f} MHz, {routed.cells:,} cells ({routed.tool})"
        )


if __name__ == "__main__":
    main()
