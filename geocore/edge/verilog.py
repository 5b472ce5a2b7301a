"""A quantised network as a stream of pixels through hardware: Verilog, one module a node.

Every node is a module with one word a pixel, all its channels, the first in the lowest bits. Words
pass where ``valid`` and ``ready`` meet, so that any part may wait for any other. The modules that
``geocore/edge/rtl`` holds do the work; what is written here joins them:

- a convolution is ``geocore_window`` and a kernel of shifts and adders (``geocore.edge.kernels``)
  that is used once an output pixel, behind ``geocore_credit``; or, to compare with, a kernel of
  plain products (``geocore.edge.product_kernel``);
- a dense node is such a kernel where its value comes in one word, or ``geocore_dense``, whose
  multipliers are shared in time;
- pooling, upsampling, sums and joined channels have modules of their own;
- what several nodes read goes through ``geocore_fork``; queues lie where ``Layout.queues`` says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources

from geocore.edge.description import QuantisedModel
from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.kernels import Kernel
from geocore.edge.node_module import Place, node_module
from geocore.edge.nodes import Dense, Node, Shape, is_whole
from geocore.edge.sources import Sources, held_files, places_of
from geocore.edge.top_module import top_module

__all__ = ["Design", "Layout", "write_verilog"]

Edge = tuple[str, str]
_NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")
# In the place of Booth's digits where products are the chip's own: multipliers shared in time.
_SHARED_PRODUCT, _PLAIN_PRODUCT = "geocore_product.v", "plain_product.v"
# Verilog's words (IEEE 1364-2005, annex B) and SystemVerilog's that name what a design may be.
_WORDS = """
    always and assign automatic begin bit buf bufif0 bufif1 byte case casex casez cell chandle
    class clocking cmos config const constraint context continue cover covergroup cross deassign
    default defparam design disable dist do edge else end endcase endclass endconfig endfunction
    endgenerate endmodule endpackage endprimitive endspecify endtable endtask enum event export
    extends extern final for force foreach forever fork function generate genvar highz0 highz1 if
    ifnone import incdir include initial inout input inside instance int integer interface join
    large liblist library local localparam logic longint macromodule medium modport module nand
    negedge new nmos nor noshowcancelled not notif0 notif1 null or output package packed parameter
    pmos posedge primitive priority program property protected pull0 pull1 pulldown pullup
    pulsestyle_ondetect pulsestyle_onevent pure rand rcmos real realtime ref reg release repeat
    return rnmos rpmos rtran rtranif0 rtranif1 scalared sequence shortint shortreal showcancelled
    signed small solve specify specparam static string strong0 strong1 struct super supply0 supply1
    table tagged task this throughout time timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1
    triand trior trireg type typedef union unique unsigned use uwire var vectored virtual void wait
    wand weak0 weak1 while wildcard wire with within wor xnor xor
"""


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
    padded to bytes, ``tlast`` on a value's last word. ``kernels`` are what is used anew every
    cycle, by node.
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

    @cached_property
    def _places(self) -> dict[str, str]:
        return places_of(self.files)

    def part(self, module: str) -> Sources:
        """A module and all that it holds. Raises ``ValueError`` for one that is none of these."""
        files = held_files(self.files, module, self._places)
        for kernel in self.kernels.values():
            if kernel.name == module:
                return Sources(module, files, {"model_inp": kernel.input.bits}, kernel.latency)
        numbers: dict[str, int] = {}
        for node in self.model.nodes:
            if self.modules[node.name] == module:
                widths = [self.model.grids[source].bits for source in node.sources]
                numbers = {f"in{place}_data": width for place, width in enumerate(widths)}
                numbers["in_data"] = widths[0]
        return Sources(module, files, numbers)

    def parts(self, node: str) -> list[Sources]:
        """A node's module in the parts that are synthesised each by itself: the whole but for what
        its kernel holds ``apart``, and each of those.
        """
        whole = self.part(self.modules[node])
        kernel = self.kernels.get(node)
        apart = kernel.apart if kernel is not None else ()
        return [whole.without(apart), *map(self.part, apart)]

    def joints(self) -> Sources:
        """``top`` with its nodes' modules empty: queues, forks and ports."""
        return self.part(self.top).without(self.modules.values())


def write_verilog(
    model: QuantisedModel,
    layout: Layout | None = None,
    name: str = "net",
    *,
    products: bool = False,
) -> Design:
    """The network as Verilog. Equal arguments give equal files.

    With ``products`` every weight has a multiplier of its own, those that are shared in time are
    plain products as well, and ``layout.levels`` is not read: a register lies behind every adder.
    Raises ``ValueError`` for a name that is none in Verilog, or that something else has already; a
    layout that names no node or no edge of the network, lanes that a node cannot have, and a dense
    node without lanes whose value comes in several words.
    """
    layout = layout or Layout()
    if not _NAME.fullmatch(name) or name.startswith("geocore_") or name in _WORDS.split():
        raise ValueError(
            f"name is {name!r}; expected letters, digits and underscores of your own, no word of "
            "Verilog's"
        )
    _check(model, layout)
    files = _Files()
    rtl = {file.name: file for file in (resources.files("geocore.edge") / "rtl").iterdir()}
    for key in sorted(rtl):
        if key.startswith("geocore_"):
            plain = products and key == _SHARED_PRODUCT
            files.add(key, rtl[_PLAIN_PRODUCT if plain else key].read_text(encoding="utf-8"))
    kernels: dict[str, Kernel] = {}
    modules: dict[str, str] = {}
    for node in model.nodes:
        made = node_module(_place(model, layout, node, name, products))
        files.add(f"{made.name}.v", made.text)
        held = made.tables
        if made.kernel is not None:
            kernels[node.name] = made.kernel
            held = held | made.kernel.files | made.kernel.shared
        for key, text in held.items():
            files.add(key, text)
        modules[node.name] = made.name
    files.add(f"{name}.v", top_module(model, layout.queues, name, modules))
    return Design(name, files.texts, modules, kernels, model)


class _Files:
    """Texts by name; a name is taken once, whatever its case: some file systems see none."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._taken: dict[str, str] = {}

    def add(self, name: str, text: str) -> None:
        """Add a file, or the same one again."""
        taken = self._taken.setdefault(name.lower(), name)
        if taken != name or self.texts.setdefault(name, text) != text:
            raise ValueError(
                f"{name} and {taken} are files of two parts of the design; expected names of the "
                "network and its nodes that differ in more than case, and from those of the parts"
            )


def _place(model: QuantisedModel, layout: Layout, node: Node, name: str, products: bool) -> Place:
    return Place(
        node=node,
        shapes=[model.shapes[source] for source in node.sources],
        grids=[model.grids[source] for source in node.sources],
        shape=model.shapes[node.name],
        grid=model.grids[node.name],
        levels=layout.levels,
        lanes=layout.lanes.get(node.name),
        prefix=name,
        products=products,
    )


def _check(model: QuantisedModel, layout: Layout) -> None:
    if not is_whole(layout.levels, 1):
        raise ValueError(f"levels is {layout.levels!r}; expected a whole number from 1")
    nodes = {node.name: node for node in model.nodes}
    for name in nodes:
        if not _NAME.fullmatch(name):
            raise ValueError(f"a node is called {name!r}; expected letters, digits and underscores")
    for name, lanes in layout.lanes.items():
        node = nodes.get(name)
        if not isinstance(node, Dense):
            raise ValueError(f"lanes names {name}; expected a dense node of the network")
        channels = model.shapes[node.sources[0]][2]
        if not is_whole(lanes, 1) or lanes > channels:
            raise ValueError(f"lanes of {name} is {lanes}; expected 1 to its {channels} channels")
    edges = {(source, node.name) for node in model.nodes for source in node.sources}
    for edge, depth in layout.queues.items():
        if edge not in edges or not is_whole(depth, 1):
            raise ValueError(f"queues has {depth} words on {edge}; expected 1 or more on an edge")
    for node in model.nodes:
        if isinstance(node, Dense) and node.name not in layout.lanes:
            height, width, _ = model.shapes[node.sources[0]]
            if height * width > 1:
                raise ValueError(
                    f"{node.name} reads {height} x {width} words; expected lanes, or one word"
                )
