"""Names that files in Verilog and C++ take: those of a module's attributes, made legal."""

from __future__ import annotations

import re
from collections.abc import Collection

from torch import nn

from geocore.edge.nodes import IMAGES

__all__ = ["legal_name"]

# Of Verilog, SystemVerilog and C++: what a layer could be called by somebody who thinks of neither.
_WORDS = """
    always and assign auto automatic begin bit bool break buf byte case catch cell char class clk
    config const continue cover cross deassign default defparam delete design disable do double
    edge else end endcase endfunction endmodule enum event export extends extern final float for
    force forever forkjoin friend function generate genvar goto if iff import include initial
    inline inout input inside int integer interface join large local localparam logic long
    longint macromodule main medium module namespace negedge new nmos nor not null operator or
    output package packed parameter pmos posedge primitive priority private program property
    protected public pull0 pull1 pulldown pullup pure rand real realtime ref reg register release
    repeat reset return rst scalared sequence short shortint shortreal signed size_t sizeof small
    solve specify static static_cast std string strong struct super supply0 supply1 switch table
    tagged task template test this throw time timescale tran tri tri0 tri1 true try type typedef
    typename union unique unsigned use using var vector vectored virtual void volatile wait wand
    weak while wire with within wor xnor xor
"""
_KEYWORDS = frozenset(_WORDS.split())


def legal_name(path: str, taken: Collection[str]) -> str:
    """An attribute's path as a name: ``encoder.conv.0`` gives ``encoder_conv_0``.

    Anything but letters, digits and ``_`` becomes ``_``; before a digit comes ``layer_``, after a
    keyword of Verilog or C++ ``_layer``, and after a name that is taken ``_2``, ``_3`` and so on.
    """
    name = re.sub(r"[^A-Za-z0-9_]", "_", path) or "layer"
    if name[0].isdigit():
        name = f"layer_{name}"
    if name.lower() in _KEYWORDS or name == IMAGES or hasattr(nn.ModuleDict, name):
        name = f"{name}_layer"
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found
