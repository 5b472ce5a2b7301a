"""A quantised network as a stream of pixels through hardware: Verilog, one module a node.

Every node is a module with one word a pixel, all its channels, the first in the lowest bits. Words
pass where ``valid`` and ``ready`` meet, so that any part may wait for any other. The modules that
``geocore/edge/rtl`` holds do the work; what is written here joins them:

- a convolution is ``geocore_window`` and a kernel of shifts and adders (``geocore.edge.kernels``)
  that is used once an output pixel, behind ``geocore_credit``;
- a dense node is such a kernel where its value comes in one word, or ``geocore_dense``, whose
  multipliers are shared in time;
- pooling, upsampling, sums and joined channels have modules of their own;
- what several nodes read goes through ``geocore_fork``; queues lie where ``Layout.queues`` says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.kernels import Kernel
from geocore.edge.node_module import Place, node_module
from geocore.edge.nodes import Dense, Node, Shape
from geocore.edge.top_module import top_module

__all__ = ["Design", "Layout", "write_verilog"]

Edge = tuple[str, str]
_NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Layout:
    """What the arithmetic leaves open.

    ``levels`` adders lie between two registers of a kernel. ``lanes`` of a dense node: numbers that
    it takes a cycle, with multipliers shared in time; a node that is not named is a kernel of
    adders, for which its whole value must come in one word. ``queues`` has the words that wait
    between a node and one of its readers, by their names; 0 where none are named.
    """

    levels: int = 4
    lanes: Mapping[str, int] = field(default_factory=dict)
    queues: Mapping[Edge, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Design:
    """Verilog by file name; ``top`` joins ``modules``, a module a node.

    ``top`` has AXI stream ports: images on ``s_axis``, what the network gives on ``m_axis``, words
    padded to bytes, ``tlast`` on a value's last word. ``kernels`` are those of adders, by node.
    """

    top: str
    files: dict[str, str]
    modules: dict[str, str]
    kernels: dict[str, Kernel]
    model: QuantisedModel

    @property
    def input_bits(self) -> int:
        """Of an image's word, without padding."""
        return self.model.shape[2] * self.model.input.bits

    @property
    def output(self) -> tuple[Shape, FixedPoint]:
        """Shape and grid of what it gives."""
        last = self.model.nodes[-1].name
        return self.model.shapes[last], self.model.grids[last]


def write_verilog(model: QuantisedModel, layout: Layout | None = None, name: str = "net") -> Design:
    """The network as Verilog. Equal arguments give equal files.

    Raises ``ValueError`` for a node whose name is none in Verilog, a layout that names no node or
    no edge of the network, lanes that a node cannot have, and a dense node without lanes whose
    value comes in several words.
    """
    layout = layout or Layout()
    if not _NAME.fullmatch(name) or name.startswith("geocore_"):
        raise ValueError(f"name is {name!r}; expected letters, digits and underscores of your own")
    _check(model, layout)
    files = {
        file.name: file.read_text(encoding="utf-8")
        for file in sorted(
            (resources.files("geocore.edge") / "rtl").iterdir(), key=lambda f: f.name
        )
        if file.name.endswith(".v")
    }
    kernels: dict[str, Kernel] = {}
    modules: dict[str, str] = {}
    for node in model.nodes:
        made = node_module(_place(model, layout, node), f"{name}_{node.name}")
        if made.kernel is not None:
            kernels[node.name] = made.kernel
            files |= made.kernel.files | made.kernel.shared
        files |= made.tables
        files[f"{made.name}.v"] = made.text
        modules[node.name] = made.name
    files[f"{name}.v"] = top_module(model, layout.queues, name, modules)
    return Design(name, files, modules, kernels, model)


def _place(model: QuantisedModel, layout: Layout, node: Node) -> Place:
    return Place(
        node=node,
        shapes=[model.shapes[source] for source in node.sources],
        grids=[model.grids[source] for source in node.sources],
        shape=model.shapes[node.name],
        grid=model.grids[node.name],
        levels=layout.levels,
        lanes=layout.lanes.get(node.name),
    )


def _check(model: QuantisedModel, layout: Layout) -> None:
    nodes = {node.name: node for node in model.nodes}
    for name in nodes:
        if not _NAME.fullmatch(name):
            raise ValueError(f"a node is called {name!r}; expected letters, digits and underscores")
    for name, lanes in layout.lanes.items():
        node = nodes.get(name)
        if not isinstance(node, Dense):
            raise ValueError(f"lanes names {name}; expected a dense node of the network")
        channels = model.shapes[node.sources[0]][2]
        if not 1 <= lanes <= channels:
            raise ValueError(f"lanes of {name} is {lanes}; expected 1 to its {channels} channels")
    edges = {(source, node.name) for node in model.nodes for source in node.sources}
    for edge, depth in layout.queues.items():
        if edge not in edges or depth < 1:
            raise ValueError(f"queues has {depth} words on {edge}; expected 1 or more on an edge")
    for node in model.nodes:
        if isinstance(node, Dense) and node.name not in layout.lanes:
            height, width, _ = model.shapes[node.sources[0]]
            if height * width > 1:
                raise ValueError(
                    f"{node.name} reads {height} x {width} words; expected lanes, or one word"
                )
