"""What a network will take on a chip of the UltraScale+ family, before any Verilog is written.

Each node's module is a few parts (``geocore.edge.estimate_parts``), whose look-up tables and
flip-flops are sums fitted to runs of yosys, each with the error that it had on runs left out of the
fit. Adders of a kernel come from its weights' digits, or are alkaid's own count where kernels are
given. Cycles follow from when words can pass (``geocore.edge.estimate_cycles``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from geocore.edge.dataflow import Timing, flow
from geocore.edge.description import QuantisedModel
from geocore.edge.estimate_cycles import Cycles, unhindered_cycles
from geocore.edge.estimate_model import LEAST, Sum
from geocore.edge.estimate_parts import KernelCount, Part, features, node_parts
from geocore.edge.estimate_table import ADDERS, LATENCY, PARTS, REGISTERS
from geocore.edge.kernel_size import KernelSize
from geocore.edge.kernels import Kernel, adder_kernel
from geocore.edge.node_module import Place
from geocore.edge.nodes import IMAGES, Convolution, Dense
from geocore.edge.synthesis import Resources
from geocore.edge.verilog import Layout
from geocore.errors import UserError

__all__ = ["Area", "Estimate", "Figure", "count_kernels", "estimate"]

# A reader may hold its writer back: cycles of the latency, a part of the interval.
_CYCLES_ERROR, _INTERVAL_ERROR = 2.0, 0.002
_MEMORY_ERROR = 0.055  # root mean square over 126 parts that have some; 108 of them are exact
_KERNEL_ERROR = 1.0  # cycles of a kernel whose latency is not counted


@dataclass(frozen=True)
class Figure:
    """A value and its standard error, in the value's unit."""

    value: float
    error: float

    @property
    def relative(self) -> float:
        """The error as a part of the value; 0 for an exact 0."""
        return self.error / self.value if self.value else 0.0


@dataclass(frozen=True)
class Area:
    """Look-up tables, those of them that serve as memory, flip-flops, DSP slices and 36 Kbit
    blocks.
    """

    lut: Figure
    lut_memory: Figure
    ff: Figure
    dsp: Figure = Figure(0.0, 0.0)
    bram: Figure = Figure(0.0, 0.0)

    @property
    def resources(self) -> Resources:
        """The values in whole primitives, as for ``geocore.edge.device.require_fits``."""
        lut, memory, ff, dsp = (
            math.ceil(figure.value) for figure in (self.lut, self.lut_memory, self.ff, self.dsp)
        )
        return Resources(lut, memory, ff, dsp, self.bram.value)


@dataclass(frozen=True)
class Estimate:
    """By node, and by ``FROM to READER`` and ``fork of NODE`` for what lies between them; in all.

    ``latency`` counts cycles from the first pixel to the last word, ``interval`` those from one
    image's last word to the next one's, ``kernels`` those of each kernel of adders.
    """

    areas: dict[str, Area]
    total: Area
    latency: Figure
    interval: Figure
    kernels: dict[str, int]


def estimate(
    model: QuantisedModel,
    layout: Layout | None = None,
    kernels: Mapping[str, Kernel] | None = None,
    *,
    followed: bool = False,
) -> Estimate:
    """Estimate the network in this layout, in milliseconds.

    ``kernels`` are those that are known by node (``count_kernels``, ``Design.kernels``): their
    adders and latencies are counted, which halves the error of the rest. Errors of parts of one
    kind add up, those of different kinds, which were fitted on their own, by their squares.
    Neither multipliers nor blocks of memory are in such a design.

    Cycles are those of queues as long as they need to be (``size_queues``); ``followed`` ones are
    those of the layout's own queues, word by word, which takes a second or more. Raises
    ``ValueError`` for a dense node without lanes whose value comes in several words, and
    ``UserError`` where the network, followed, comes to a stop.
    """
    layout, given = layout or Layout(), kernels or {}
    counts = _counts(model, layout, given)
    # A kernel that was not counted is told less closely: adders, and registers.
    plain, unsure = (0.0, 0.0), (ADDERS.error, math.hypot(ADDERS.error, REGISTERS.error))
    rough = {name: plain if name in given else unsure for name in counts}
    parts = dict(_parts(model, layout, counts))
    luts = {name: _luts(found, rough.get(name, plain)) for name, found in parts.items()}
    ffs = {name: _flip_flops(found, rough.get(name, plain)) for name, found in parts.items()}
    memory = {name: _memory(found) for name, found in parts.items()}
    areas = {
        name: Area(_figure([luts[name]]), _figure([memory[name]]), _figure([ffs[name]]))
        for name in parts
    }
    whole = (_figure(list(pieces.values())) for pieces in (luts, memory, ffs))
    latency = {name: count.latency for name, count in counts.items()}
    late, off = _KERNEL_ERROR * math.sqrt(len(counts.keys() - given.keys())), 0.0
    if followed:
        cycles = _followed(model, Timing(latency, layout.lanes, layout.queues))
    else:
        cycles = unhindered_cycles(model, latency, layout.lanes, layout.queues)
        late, off = math.hypot(late, _CYCLES_ERROR), _INTERVAL_ERROR * cycles.interval
    return Estimate(
        areas=areas,
        total=Area(*whole),
        latency=Figure(cycles.latency, late),
        interval=Figure(cycles.interval, off),
        kernels=latency,
    )


def count_kernels(model: QuantisedModel, layout: Layout | None = None) -> dict[str, Kernel]:
    """Every kernel of adders by alkaid itself: seconds, not milliseconds.

    Raises ``UserError`` where alkaid is not installed.
    """
    layout = layout or Layout()
    found = {}
    for node in model.weighted:
        if node.name not in layout.lanes:
            weight = node.weight
            if isinstance(node, Convolution):
                weight = weight.permute(0, 2, 3, 1).flatten(1)
            found[node.name] = adder_kernel(node.name, node, weight, levels=layout.levels)
    return found


def _counts(
    model: QuantisedModel, layout: Layout, given: Mapping[str, Kernel]
) -> dict[str, KernelCount]:
    """Of each node that has a kernel of adders: as it is known, or from its weights."""
    found = {}
    for node in model.weighted:
        if node.name in layout.lanes:
            continue
        height, width, _ = model.shapes[node.sources[0]]
        if isinstance(node, Dense) and height * width > 1:
            raise ValueError(
                f"{node.name} reads {height} x {width} words; expected lanes, or one word"
            )
        if (known := given.get(node.name)) is None:
            found[node.name] = _guessed(KernelSize.of(node), layout.levels)
        else:
            found[node.name] = KernelCount(known.adders, known.registers, known.latency)
    return found


def _followed(model: QuantisedModel, timing: Timing) -> Cycles:
    found = flow(model, timing, images=3)
    if found.stopped:
        source, reader = found.stopped[0]
        raise UserError(
            f"the network comes to a stop between {source} and {reader or 'its end'}; expected "
            "longer queues: size_queues finds them"
        )
    return Cycles(found.latency, found.cycles[2][-1] - found.cycles[1][-1])


def _guessed(size: KernelSize, levels: int) -> KernelCount:
    if size.empty:
        return KernelCount(0.0, 0.0, 1)
    adders = math.exp(ADDERS(size.features()))
    cycles = {name: value / levels for name, value in size.depth().items()} | {"cycle": 1.0}
    return KernelCount(
        adders, math.exp(REGISTERS(size.stored(adders, levels))), max(1, round(LATENCY(cycles)))
    )


def _parts(
    model: QuantisedModel, layout: Layout, counts: Mapping[str, KernelCount]
) -> Iterator[tuple[str, list[Part]]]:
    """The parts of each node's module, and what the top module joins them by."""
    readers = dict.fromkeys(model.shapes, 0)
    readers[model.nodes[-1].name] += 1
    for node in model.nodes:
        place = Place(
            node=node,
            shapes=[model.shapes[source] for source in node.sources],
            grids=[model.grids[source] for source in node.sources],
            shape=model.shapes[node.name],
            grid=model.grids[node.name],
            levels=layout.levels,
            lanes=layout.lanes.get(node.name),
            prefix="net",
        )
        yield node.name, node_parts(place, counts.get(node.name))
        for source in node.sources:
            readers[source] += 1
    for (source, reader), depth in layout.queues.items():
        bits = model.shapes[source][2] * model.grids[source].bits
        yield f"{source} to {reader}", [Part("fifo", {"BITS": bits, "DEPTH": depth})]
    for name, count in readers.items():
        if count > 1:
            yield (
                f"fork of {name if name != IMAGES else 'images'}",
                [Part("fork", {"READERS": count})],
            )


Pieces = list[tuple[str, float, float]]  # kind, value, standard error


def _luts(parts: list[Part], rough: tuple[float, float]) -> Pieces:
    return [_piece(part, PARTS[part.kind].lut, rough[0]) for part in parts]


def _flip_flops(parts: list[Part], rough: tuple[float, float]) -> Pieces:
    return [_piece(part, PARTS[part.kind].ff, rough[1]) for part in parts]


def _memory(parts: list[Part]) -> Pieces:
    """By the rule of ``geocore.edge.estimate_parts``, which yosys mostly keeps to."""
    values = [(part, part.count * features(part).get("memory", 0.0)) for part in parts]
    return [(part.kind, value, _MEMORY_ERROR * value) for part, value in values if value]


def _piece(part: Part, found: Sum, rough: float) -> tuple[str, float, float]:
    one = found(features(part))
    own = found.error * max(one, LEAST) if one else 0.0
    more = rough * one if part.kind == "kernel" else 0.0
    return part.kind, part.count * one, part.count * math.hypot(own, more)


def _figure(several: list[Pieces]) -> Figure:
    """All pieces: errors of one kind add up, those of different kinds by their squares."""
    errors: dict[str, float] = {}
    total = 0.0
    for kind, value, error in (piece for pieces in several for piece in pieces):
        total += value
        errors[kind] = errors.get(kind, 0.0) + error
    return Figure(total, math.hypot(*errors.values()))
