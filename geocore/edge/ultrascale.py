"""Sums of three numbers in one row of UltraScale+ LUTs, which yosys by itself does not find.

Kernels add three numbers at a time (``ternary_adder``). Where yosys takes two LUTs a bit for it,
the chip has one with two outputs: ``O5`` the carry save ``maj(x, y, z)`` and ``O6`` the parity of
``x``, ``y``, ``z`` and the carry save of the bit below, which the carry chain adds up. So the
module is put together from those by hand (``rtl/ultrascale_ternary_adder.v``).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

__all__ = ["RENAMED", "for_ultrascale", "lut_table"]

_MODULE = "ternary_adder.v"
_PORTS = "input I0, I1, I2, I3, I4, I5, output O5, O6"
# The cell's name until yosys has mapped all else, and whether x, y and z are negated in it.
_BITS = {
    "geocore_bit_none": (False, False, False),
    "geocore_bit_one": (True, False, False),
    "geocore_bit_two": (False, True, True),
}


def for_ultrascale(files: Mapping[str, str]) -> dict[str, str]:
    """The files of a module with its sums of three numbers as the chip does them."""
    found = dict(files)
    if _MODULE in files:
        own = resources.files("geocore.edge") / "rtl" / f"ultrascale_{_MODULE}"
        found[_MODULE] = own.read_text(encoding="utf-8") + _CELLS
    return found


def lut_table(x: bool, y: bool, z: bool) -> int:
    """The table of the LUT of a bit, of numbers of which those that are true are negated.

    Row ``I0 + 2 I1 + 4 I2 + 8 I3 + 16 I4`` has ``O5`` in the lower 32 bits, ``O6`` in the upper.
    """
    table = 0
    for row in range(32):
        bits = [row >> place & 1 ^ turned for place, turned in enumerate((x, y, z))]
        table |= (sum(bits) >= 2) << row
        table |= (sum(bits) + (row >> 3 & 1)) % 2 << row + 32
    return table


_CELLS = "".join(f"(* blackbox *) module {name} ({_PORTS}); endmodule\n" for name in _BITS) + (
    "(* blackbox *) module geocore_carry (output [7:0] CO, O, input CI, CI_TOP, "
    "input [7:0] DI, S); endmodule\n"
)
RENAMED = "".join(
    f"setparam -set INIT 64'h{lut_table(*turned):016x} t:{name}\nchtype -set LUT6_2 t:{name}\n"
    for name, turned in _BITS.items()
) + ("chtype -set CARRY8 t:geocore_carry\n")
"""Commands of yosys that make the cells the chip's own, after mapping."""
