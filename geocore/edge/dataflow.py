"""When each word passes where: the streaming design cycle by cycle, without its bits.

A design is a network of processes between which words pass (``geocore.edge.verilog``). When a word
is offered and when it is taken follows from when others were, by the rules of the modules in
``geocore/edge/rtl``: a recurrence in ``max`` and ``+``, followed word by word and not cycle by
cycle. The cycles are the Verilog's own, to the last one.

The rules are written twice: to be read, in ``geocore.edge.dataflow_modules``, and compiled, in
``geocore/edge/rtl/dataflow.cpp``, about fifty times as fast: 0.05 s a frame of the ENet of
``geocore.edge.enet``.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from shutil import which

import numpy as np
import numpy.typing as npt

from geocore.edge.dataflow_modules import followed
from geocore.edge.dataflow_network import KINDS, Edge, Network, Timing
from geocore.edge.description import QuantisedModel
from geocore.edge.tools import COMPILER
from geocore.errors import UserError

__all__ = ["Edge", "Flow", "Timing", "flow", "readable_flow"]

Cycles = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Flow:
    """``cycles`` in which each word of each image went out, from that of the first pixel on.

    ``waiting`` is the largest number of places of a queue that were in use, by its edge.
    ``stopped`` are the edges on which a word is offered that nobody will ever take: none where all
    came out. ``late``: a word came later than it may; then the rest need not be there.
    """

    cycles: list[list[int]]
    waiting: dict[Edge, int]
    stopped: list[Edge]
    late: bool = False

    @property
    def latency(self) -> int:
        """Cycles from the first pixel of the first image to its last word."""
        return self.cycles[0][-1]

    @property
    def interval(self) -> float:
        """Cycles from one image's last word to the next one's, in the mean."""
        if len(self.cycles) < 2:
            return math.nan
        return (self.cycles[-1][-1] - self.cycles[0][-1]) / (len(self.cycles) - 1)


def flow(
    model: QuantisedModel,
    timing: Timing,
    images: int = 2,
    *,
    limits: Sequence[Sequence[int]] = (),
) -> Flow:
    """Stream ``images`` of them back to back, every word taken as soon as it is there.

    ``limits`` are the last cycles in which each word may go out, as in ``Flow.cycles``; a word that
    comes later ends it. Raises ``ValueError`` for a timing that lacks a latency, or has none that
    the network could have; ``UserError`` where the compiler that is there fails. Without a C++
    compiler it is followed in Python.
    """
    if which(COMPILER) is None:
        return readable_flow(model, timing, images, limits=limits)
    network = Network(model, timing, images)
    numbers = [network.channels, len(network.parts)]
    for part in network.parts:
        numbers.append(KINDS.index(part.kind))
        for listed in (part.reads, part.gives, part.numbers):
            numbers += [len(listed), *listed]
    flat = _flat(limits)
    program = _program()
    with tempfile.TemporaryDirectory() as scratch:
        given, found = Path(scratch) / "in", Path(scratch) / "out"
        head = np.array([*numbers, len(flat)], np.int64)
        np.concatenate([head, flat]).tofile(given)
        done = subprocess.run([program, given, found], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"dataflow: exit code {done.returncode}: {done.stderr.strip()}")
        out = np.fromfile(found, np.int64)
    words = int(out[1])
    taken, (first, *rest) = out[2 : words + 2], out[words + 2 :].tolist()
    channels, most = rest[: 2 * network.channels], rest[2 * network.channels :]
    stopped = [channels[2 * n] > channels[2 * n + 1] for n in range(network.channels)]
    return _found(network, taken, first, most, stopped, bool(out[0]), flat)


def readable_flow(
    model: QuantisedModel,
    timing: Timing,
    images: int = 2,
    *,
    limits: Sequence[Sequence[int]] = (),
) -> Flow:
    """``flow`` by the rules that are there to be read."""
    network = Network(model, timing, images)
    channels, most = followed(network.parts, network.channels)
    taken = np.array(channels[network.parts[-1].reads[0]].taken, np.int64)
    images_taken = channels[network.parts[0].gives[0]].taken
    stopped = [len(channel.offered) > len(channel.taken) for channel in channels]
    first = images_taken[0] if images_taken else 0
    return _found(network, taken, first, most, stopped, False, _flat(limits))


def _found(
    network: Network,
    taken: Cycles,
    first: int,
    most: Sequence[int],
    stopped: Sequence[bool],
    ended: bool,
    limits: Cycles,
) -> Flow:
    counted, words = taken - first, network.words
    both = min(len(counted), len(limits))
    late = ended or bool((counted[:both] > limits[:both]).any())
    whole = len(counted) // words
    return Flow(
        cycles=counted[: whole * words].reshape(whole, words).tolist(),
        waiting={edge: most[part] for edge, part in network.queues.items()},
        stopped=[edge for (edge, _), way in network.ways.items() if stopped[way] and not ended],
        late=late,
    )


def _flat(limits: Sequence[Sequence[int]]) -> Cycles:
    return np.array([cycle for image in limits for cycle in image], np.int64)


@cache
def _program() -> Path:
    """The compiled rules, in a folder of this process."""
    folder = Path(_folder().name)
    source = resources.files("geocore.edge") / "rtl" / "dataflow.cpp"
    (folder / "dataflow.cpp").write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(
        [COMPILER, "-std=c++17", "-O2", "-o", "dataflow", "dataflow.cpp"],
        cwd=folder, text=True, errors="replace", capture_output=True,
    )  # fmt: skip
    if done.returncode != 0:
        said = (done.stderr.splitlines() or ["nothing said"])[0]
        raise UserError(f"{COMPILER}: {said}; expected a compiler of C++17")
    return folder / "dataflow"


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """It goes with the process."""
    return tempfile.TemporaryDirectory(prefix="geocore-dataflow-")
