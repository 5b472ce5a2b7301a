"""What a design is made of, seen as an estimator sees it: parts, and what of each costs area.

A part is one of the modules in ``geocore/edge/rtl`` at its parameters, or a kernel of adders. Its
features are the physical things in it: bits of memory in the tables that serve as such, bits of
counters, widths of adders and multiplexers. A part's look-up tables and flip-flops are taken to be
sums of features times coefficients that are not negative (``geocore.edge.estimate_fit``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from geocore.edge.fixedpoint import FixedPoint
from geocore.edge.node_module import Place
from geocore.edge.nodes import Add, Concatenate, Convolution, Dense, MaxPool, Upsample, Weighted

__all__ = ["KINDS", "Features", "KernelCount", "Part", "features", "node_parts"]

Features = dict[str, float]
Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class KernelCount:
    """A kernel's adders in tables and registers in bits, as alkaid counts them, and its latency."""

    adders: float
    registers: float
    latency: int


@dataclass(frozen=True)
class Part:
    """``count`` equal modules ``geocore_KIND``, or one kernel, ``kind`` ``"kernel"``."""

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    count: int = 1


def node_parts(place: Place, count: KernelCount | None) -> list[Part]:
    """The parts of a node's module; ``count`` is of its kernel, if it has one."""
    node = place.node
    if isinstance(node, Weighted) and place.lanes is None:
        if count is None:
            raise ValueError(f"count of {node.name} is None; expected its kernel's")
        adders = _adders(place, node, count)
        return [_window(place, node), *adders] if isinstance(node, Convolution) else adders
    if isinstance(node, Dense):
        return _shared(place, node)
    if isinstance(node, MaxPool):
        height, width, channels = place.shapes[0]
        return [
            Part(
                "pool",
                {
                    "HEIGHT": height, "WIDTH": width, "CHANNELS": channels,
                    "BITS": place.grid.bits, "SIGNED": int(place.grid.signed), "SIZE": node.size,
                },
            )
        ]  # fmt: skip
    if isinstance(node, Upsample):
        bits = place.shape[2] * place.grid.bits
        return [
            Part("upsample", {"WIDTH": place.shapes[0][1], "BITS": bits, "FACTOR": node.factor})
        ]
    assert isinstance(node, (Add, Concatenate))
    return _joined(place, node)


def features(part: Part) -> Features:
    """What of one such part costs area, by name. Raises ``ValueError`` for a kind unknown here."""
    if part.kind not in KINDS:
        raise ValueError(f"kind is {part.kind!r}; expected one of {', '.join(KINDS)}")
    return KINDS[part.kind](part.parameters)


def _window(place: Place, node: Convolution) -> Part:
    height, width, channels = place.shapes[0]
    above, below, left, right = node.padding
    return Part(
        "window",
        {
            "HEIGHT": height, "WIDTH": width, "BITS": channels * node.input.bits,
            "ROWS": node.weight.shape[2], "COLUMNS": node.weight.shape[3], "STRIDE": node.stride,
            "ABOVE": above, "BELOW": below, "LEFT": left, "RIGHT": right,
        },
    )  # fmt: skip


def _adders(place: Place, node: Weighted, count: KernelCount) -> list[Part]:
    kernel = Part(
        "kernel",
        {
            "ADDERS": count.adders,
            "REGISTERS": count.registers,
            "BIASES": int(node.bias.count_nonzero()),
        },
    )
    bits, latency = place.shape[2] * place.grid.bits, count.latency
    credit = Part("credit", {"BITS": bits, "LATENCY": latency, "DEPTH": latency + 2})
    return [kernel, *_onto(place.shape[2], node.accumulator, place.grid), credit]


def _shared(place: Place, node: Dense) -> list[Part]:
    assert place.lanes is not None
    height, width, channels = place.shapes[0]
    grid = node.accumulator
    dense = Part(
        "dense",
        {
            "BEATS": height * width, "INPUTS": place.lanes * ceil(channels / place.lanes),
            "OUTPUTS": len(node.weight), "LANES": place.lanes,
            "INPUT_BITS": node.input.bits, "INPUT_SIGNED": int(node.input.signed),
            "WEIGHT_BITS": node.weight_format.bits + (not node.weight_format.signed),
            "ACCUMULATOR": grid.bits,
        },
    )  # fmt: skip
    return [dense, *_onto(len(node.weight), grid, place.grid)]


def _joined(place: Place, node: Add | Concatenate) -> list[Part]:
    found = [Part("fifo", {"BITS": place.shape[2] * place.grid.bits, "DEPTH": 2})]
    if isinstance(node, Concatenate):
        for shape, grid in zip(place.shapes, place.grids, strict=True):
            found += _onto(shape[2], grid, place.grid)
        return found
    fraction = max(grid.fraction for grid in place.grids)
    widest = max(grid.bits + fraction - grid.fraction for grid in place.grids)
    wide = FixedPoint(widest + len(place.grids).bit_length() + 1, fraction, signed=True)
    found.append(Part("sum", {"BITS": widest, "TERMS": len(place.grids)}, place.shape[2]))
    return found + _onto(place.shape[2], wide, place.grid)


def _onto(count: int, given: FixedPoint, grid: FixedPoint) -> list[Part]:
    if given == grid:
        return []
    return [
        Part(
            "requantise",
            {
                "IN_BITS": given.bits, "IN_SIGNED": int(given.signed),
                "IN_FRACTION": given.fraction, "OUT_BITS": grid.bits,
                "OUT_SIGNED": int(grid.signed), "OUT_FRACTION": grid.fraction,
            },
            count,
        )
    ]  # fmt: skip


def _bits(states: int) -> int:
    """Bits of a counter with so many states."""
    return max(0, (states - 1).bit_length())


def _memory(bits: int, depth: int) -> Features:
    """Tables that serve as memory (Xilinx UG574), and the multiplexers behind their banks.

    Eight tables of a slice hold 32 words of 14 bits or 64 words of 7; of the two, what takes less.
    """
    shallow = 8 * ceil(bits / 14) * ceil(depth / 32), ceil(depth / 32)
    deep = 8 * ceil(bits / 7) * ceil(depth / 64), ceil(depth / 64)
    tables, banks = min(deep, shallow, key=lambda pair: pair[0])
    # A table of six inputs chooses one of four.
    return {"memory": tables, "choice": bits * ceil((banks - 1) / 3), "banks": banks - 1}


def _of_fifo(p: Parameters) -> Features:
    places = _bits(p["DEPTH"])
    odd = places if p["DEPTH"] & (p["DEPTH"] - 1) else 0  # places that wrap before they overflow
    return {"one": 1, "places": places, "odd": odd} | _memory(p["BITS"], p["DEPTH"])


def _of_credit(p: Parameters) -> Features:
    return _of_fifo(p) | {"way": p["LATENCY"]}


def _of_fork(p: Parameters) -> Features:
    return {"one": 1, "readers": p["READERS"]}


def _of_window(p: Parameters) -> Features:
    wide = p["WIDTH"] + p["LEFT"] + p["RIGHT"]
    tall = p["HEIGHT"] + p["ABOVE"] + p["BELOW"]
    rows, columns, strided = p["ROWS"], p["COLUMNS"], p["STRIDE"] > 1
    padded = any(p[side] for side in ("ABOVE", "BELOW", "LEFT", "RIGHT"))
    # Counters that nothing asks for are not there.
    counts_columns = strided or padded or rows > 1 or columns > 1
    counts_rows = strided or padded or rows > 1
    counters = counts_columns * _bits(wide + 1) + counts_rows * _bits(tall + 1)
    memory = {name: (rows - 1) * value for name, value in _memory(p["BITS"], wide).items()}
    return memory | {
        "one": 1,
        "counting": counts_columns,
        "counters": counters,
        "compared": counters * counts_rows,
        "phases": 2 * _bits(p["STRIDE"]),
        # Zeros in the place of pixels; a register's reset does where no memory takes them too.
        "gated": p["BITS"] if padded and rows > 1 else 0,
        "edges": counters if padded else 0,
        "seen": rows * columns * p["BITS"],
    }


def _of_pool(p: Parameters) -> Features:
    cells, bits = p["WIDTH"] // p["SIZE"], p["CHANNELS"] * p["BITS"]
    return _memory(bits, cells) | {
        "one": 1,
        "counters": _bits(p["WIDTH"] + 1) + _bits(p["HEIGHT"] + 1),
        "phases": 2 * _bits(p["SIZE"]),
        "bits": bits,
        "compared": p["CHANNELS"] * (p["BITS"] - 1),
    }


def _of_upsample(p: Parameters) -> Features:
    return _memory(p["BITS"], p["WIDTH"]) | {
        "one": 1,
        "counters": _bits(p["WIDTH"] + 1),
        "phases": 2 * _bits(p["FACTOR"]),
        "bits": p["BITS"],
    }


def _of_requantise(p: Parameters) -> Features:
    dropped = max(0, p["IN_FRACTION"] - p["OUT_FRACTION"])
    risen = max(0, p["OUT_FRACTION"] - p["IN_FRACTION"])
    kept = max(0, p["IN_BITS"] - dropped) + risen
    beyond = max(0, kept - p["OUT_BITS"])  # bits that decide whether it saturates
    rounds = min(kept, p["OUT_BITS"]) if dropped else 0
    both = p["IN_SIGNED"] and p["OUT_SIGNED"]  # it saturates at both ends
    return {
        "rounded": rounds,
        "sticky": min(dropped, p["IN_BITS"]),
        "beyond": beyond,
        "beyond both": beyond if both else 0,
        "carried": beyond if dropped else 0,
        "saturated": p["OUT_BITS"] if beyond or p["IN_SIGNED"] > p["OUT_SIGNED"] else 0,
        "saturated both": p["OUT_BITS"] if beyond and both else 0,
        "ends": 1 if beyond else 0,
    }


def _of_dense(p: Parameters) -> Features:
    rows = p["BEATS"] * p["INPUTS"] // p["LANES"]
    products = p["OUTPUTS"] * p["LANES"]
    given, weight = p["INPUT_BITS"], p["WEIGHT_BITS"]
    return {
        "one": 1,
        "rows": _bits(rows + 1),
        # Half a table of six inputs holds a bit of 32 rows.
        "table": products * weight * ceil(rows / 32) / 2 if rows > 2 else 0,
        "held": p["INPUTS"] * given if p["INPUTS"] > p["LANES"] else 0,
        "taken": p["LANES"] * given,
        # A row of adders for two bits of the number: Booth's digits.
        "multiplied": products * (given - 1) / 2 * (weight + 2),
        "products": products * (given + weight),
        "sums": p["OUTPUTS"] * p["ACCUMULATOR"],
        "begun": p["OUTPUTS"] * p["ACCUMULATOR"] if rows > 1 else 0,
    }


def _of_sum(p: Parameters) -> Features:
    return {"adders": (p["TERMS"] - 1) * (p["BITS"] + 1)}


def _of_kernel(p: Parameters) -> Features:
    return {"adders": p["ADDERS"], "biases": p["BIASES"], "registers": p["REGISTERS"]}


KINDS: Mapping[str, Callable[[Parameters], Features]] = {
    "credit": _of_credit,
    "dense": _of_dense,
    "fifo": _of_fifo,
    "fork": _of_fork,
    "kernel": _of_kernel,
    "pool": _of_pool,
    "requantise": _of_requantise,
    "sum": _of_sum,
    "upsample": _of_upsample,
    "window": _of_window,
}
