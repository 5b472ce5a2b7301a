"""Chips of the UltraScale+ family: what they hold, and whether a design goes in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from geocore.edge.synthesis import Resources
from geocore.errors import UserError

__all__ = ["PARTS", "named_part", "part_of", "require_fits", "utilisation"]

_ZU9EG = Resources(lut=274_080, lut_memory=144_000, ff=548_160, dsp=2_520, bram=912)
_VU13P = Resources(lut=1_728_000, lut_memory=791_040, ff=3_456_000, dsp=12_288, bram=2_688)

PARTS: Mapping[str, Resources] = MappingProxyType(
    {
        "xczu3eg": Resources(lut=70_560, lut_memory=28_800, ff=141_120, dsp=360, bram=216),
        "xczu5ev": Resources(lut=117_120, lut_memory=57_600, ff=234_240, dsp=1_248, bram=144),
        "xczu7ev": Resources(lut=230_400, lut_memory=101_760, ff=460_800, dsp=1_728, bram=312),
        "xczu9eg": _ZU9EG,
        "zcu102": _ZU9EG,
        "xczu28dr": Resources(lut=425_280, lut_memory=213_600, ff=850_560, dsp=4_272, bram=1_080),
        "xcvu9p": Resources(lut=1_182_240, lut_memory=591_840, ff=2_364_480, dsp=6_840, bram=2_160),
        "xcvu13p": _VU13P,
        "xcu250": _VU13P,
        "u250": _VU13P,
    }
)
"""All of a chip, by its part or its board: the maker's product tables (DS890, DS891)."""

_NAMES = {
    "lut": "LUTs",
    "lut_memory": "LUTs as memory",
    "ff": "flip-flops",
    "dsp": "DSP slices",
    "bram": "36 Kbit blocks",
}
_REMEDIES = {
    "lut": "fewer bits or more zeros in weights, fewer lanes, or a larger part",
    "lut_memory": "shorter rows or queues, or a larger part",
    "ff": "more levels of adders between registers, or a larger part",
    "dsp": "products made of LUTs, or a larger part",
    "bram": "shorter queues, or a larger part",
}


def named_part(spelling: str) -> str:
    """The part in a maker's full spelling, as ``xczu9eg-ffvb1156-2-e``; empty if not known here."""
    name = spelling.split("-")[0].lower()
    return name if name in PARTS else ""


def part_of(name: str) -> Resources:
    """All of a part, whatever its case. Raises ``UserError`` for one that is not known here."""
    if name.lower() not in PARTS:
        raise UserError(f"part is {name!r}; expected one of {', '.join(PARTS)}")
    return PARTS[name.lower()]


def utilisation(resources: Resources, part: str) -> dict[str, float]:
    """The share of a part's ``lut``, ``lut_memory``, ``ff``, ``dsp`` and ``bram`` that is taken."""
    whole = dataclasses.asdict(part_of(part))
    return {key: value / whole[key] for key, value in dataclasses.asdict(resources).items()}


def require_fits(resources: Resources, part: str, share: float = 1.0) -> None:
    """Raise ``UserError`` for a design that takes more than ``share`` of any of a part's resources.

    The line names what is exceeded most, and what to do.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}; expected more than 0, at most 1")
    shares = utilisation(resources, part)
    worst = max(shares, key=lambda key: shares[key])
    if shares[worst] <= share:
        return
    there = getattr(part_of(part), worst) * share
    raise UserError(
        f"the design takes {getattr(resources, worst):,} {_NAMES[worst]}; expected at most "
        f"{there:,.0f} on {part}: {_REMEDIES[worst]}"
    )
