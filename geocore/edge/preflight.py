"""A converter that cannot lie: what hls4ml would get wrong is refused, what it gives is checked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from geocore.edge.description import QuantisedModel
from geocore.edge.firmware_options import FirmwareOptions
from geocore.edge.nodes import (
    Add,
    Concatenate,
    Convolution,
    Dense,
    MaxPool,
    Upsample,
    Weighted,
)
from geocore.edge.reference import reference_integers
from geocore.edge.taken_over import left_out, seen
from geocore.errors import UserError

if TYPE_CHECKING:
    from geocore.edge.compiled import CompiledFirmware

__all__ = ["corner_images", "preflight", "require_shapes", "require_unrolled", "self_check"]

_UNROLLED = 4096  # elements of an array that the vendors' compilers take apart
_READERS = 7  # of one stream that hls4ml can copy
# What it calls its own layers, and we the file's.
_RESERVED = ("input", "Conv2D_*", "Dense_*", "bn_*", "clone_*", "grid_of_*", "zp2d_*")


def preflight(model: QuantisedModel, options: FirmwareOptions) -> None:
    """Raise ``UserError`` for a network that hls4ml crashes on or gets wrong without a word.

    The line names the node and what to do. Names that C++ does not take; a convolution, a pool or
    an upsampling behind a dense node; a node whose inputs are so small that nothing is left of them
    on its grid; where data are streamed, more than seven readers of one value and a kernel of one
    row and several columns with a stride; a network whose every node changes nothing; products of a
    layer beyond what the vendors' compilers unroll, which are fan-in times outputs with strategy
    Latency, over the reuse factor with Resource.
    """
    require_shapes(model, options)
    _require_bits(model)


def require_shapes(model: QuantisedModel, options: FirmwareOptions) -> None:
    """``preflight`` as far as it does not ask for bits: the same for any weights and grids."""
    known = {node.name for node in model.nodes}
    for name in options.reuse_factors:
        if name not in {node.name for node in model.weighted}:
            raise UserError(
                f"reuse_factors has {name}; expected one of "
                f"{', '.join(node.name for node in model.weighted)}"
            )
    for name in sorted(known):
        taken = any(fnmatchcase(name, pattern) for pattern in _RESERVED)
        if taken or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise UserError(
                f"{name!r} is a node's name; expected letters, digits and _, no digit first, and "
                f"not {', '.join(_RESERVED)}: name the layer otherwise"
            )
    if all(left_out(node) for node in model.nodes):
        raise UserError(
            "the network has no node that changes anything; expected one: it needs no chip"
        )
    _require_pixels(model)
    if options.io_type == "io_stream":
        _require_readers(model)
        _require_rows(model)
    for node in model.weighted:
        asked = options.reuse_of(node.name)
        if asked < 1:
            raise UserError(f"reuse factor of {node.name} is {asked}; expected at least 1")
        require_unrolled(node, min(asked, node.fan_in), options.strategy)


def _require_pixels(model: QuantisedModel) -> None:
    """Behind a dense node are vectors, and so behind what joins one with anything."""
    vectors: set[str] = set()
    for node in model.nodes:
        flat = [source for source in node.sources if source in vectors]
        if isinstance(node, Dense) or (
            flat and (isinstance(node, Add | Concatenate) or left_out(node))
        ):
            vectors.add(node.name)
        elif flat and isinstance(node, Convolution | MaxPool | Upsample):
            raise UserError(
                f"{node.name} ({node.kind.replace('_', ' ')}) reads {flat[0]}, which is a vector; "
                f"expected an image: in place of the dense node before it, take a convolution "
                f"with a kernel of the image's size"
            )


def _require_bits(model: QuantisedModel) -> None:
    """Where a number is rounded by more bits than it has, hls4ml's arithmetic ends the process."""
    for node in model.nodes:
        if not isinstance(node, Weighted | Add | Concatenate) or node.output is None:
            continue
        if isinstance(node, Weighted):
            reach = {"its own sums": node.accumulator}
        else:
            reach = {source: model.grids[source] for source in node.sources}
        adds = isinstance(node, Add)  # a sum has the bits of its longest term and one more
        name = (max if adds else min)(reach, key=lambda name: reach[name].integer_bits)
        if node.output.fraction + reach[name].integer_bits + adds < 0:
            raise UserError(
                f"{node.name} rounds all of {name} ({reach[name]}) to zero on its grid "
                f"({node.output}), which hls4ml's arithmetic crashes on; expected a finer grid: "
                f"more bits for what {node.name} gives, or the open flow for this network"
            )


def _require_readers(model: QuantisedModel) -> None:
    readers = Counter(
        seen(model, source) for node in model.nodes if not left_out(node) for source in node.sources
    )
    for name, count in readers.items():
        if count > _READERS:
            raise UserError(
                f"{name} is read {count} times; expected at most {_READERS} with io_stream: let "
                f"some of the nodes read a copy, such as a convolution by 1, or take io_parallel"
            )


def _require_rows(model: QuantisedModel) -> None:
    for node in model.nodes:
        if not isinstance(node, Convolution):
            continue
        height, width = node.weight.shape[2:]
        if height == 1 < width and node.stride > 1:
            raise UserError(
                f"{node.name} has a kernel of one row and stride {node.stride}, of which hls4ml "
                f"drops rows with io_stream; expected stride 1 or more rows: pad the image by a "
                f"row on either side and the kernel by rows of zeros, or take io_parallel"
            )


def require_unrolled(
    node: Weighted, reuse: int, strategy: str, allowed: Sequence[int] | None = None
) -> None:
    """Raise ``UserError`` for more products at once than the vendors' compilers unroll.

    All of them with strategy Latency, ``ceil(products / reuse)`` with Resource. ``allowed`` are the
    reuse factors that the node's shape allows, by default all.
    """
    products = node.fan_in * len(node.weight)
    least = -(-products // _UNROLLED)
    least = min((factor for factor in allowed or () if factor >= least), default=least)
    if strategy == "Latency":
        found, remedy = products, f"strategy Resource with a reuse factor of at least {least}"
    else:
        found, remedy = -(-products // reuse), f"a reuse factor of at least {least}"
    if found <= _UNROLLED:
        return
    if least > node.fan_in:
        remedy = f"fewer outputs than {len(node.weight)}: no reuse factor is enough"
    raise UserError(
        f"{node.name} has {found} products at once; expected at most {_UNROLLED}, which is what a "
        f"vendor's compiler unrolls: take {remedy}"
    )


def corner_images(model: QuantisedModel, count: int, seed: int = 0) -> Tensor:
    """Images ``(count, height, width, channels)`` on all of the input's grid, its ends among them.

    The first are all at the lowest, all at the highest, and both in turn; then come random numbers
    of the whole grid, a third of which are at its ends.
    """
    generator = torch.Generator().manual_seed(seed)
    low, high = model.input.lowest, model.input.highest
    shape = (count, *model.shape)
    drawn = torch.randint(low, high + 1, shape, generator=generator)
    ends = torch.randint(0, 2, shape, generator=generator) * (high - low) + low
    chosen = torch.randint(0, 3, shape, generator=generator) == 0
    found = torch.where(chosen, ends, drawn)
    in_turn = (torch.arange(model.shape[0] * model.shape[1] * model.shape[2]) % 2).view(model.shape)
    corners = (low, high, low + in_turn * (high - low))
    for place, value in enumerate(corners[:count]):
        found[place] = value
    return found.double() * model.input.step


def self_check(
    compiled: CompiledFirmware, model: QuantisedModel, seed: int = 0, count: int = 16
) -> None:
    """Raise ``UserError`` unless the compiled firmware equals the reference, number by number.

    On ``count`` images of ``corner_images``, forwards and backwards: a chip that streams must keep
    nothing of the image before. The line names the first node that differs where the firmware is
    traced, else the last one.
    """
    images = corner_images(model, count, seed)
    wanted = reference_integers(model, images)
    last = model.nodes[-1].name
    found = compiled.logits(images)
    step = model.grids[last].step
    expected = (wanted[last].double() * step).view(found.shape)
    backwards = compiled.logits(images.flip(0)).flip(0)
    if torch.equal(found, expected) and torch.equal(backwards, expected):
        return
    where = last
    if compiled.traced:
        values = compiled.values(images)
        where = next(
            (
                node.name
                for node in model.nodes
                if node.name in values
                and not torch.equal(
                    values[node.name], wanted[node.name].double() * model.grids[node.name].step
                )
            ),
            last,
        )
    off = torch.maximum((found - expected).abs(), (backwards - expected).abs())
    wrong = int(off.flatten(1).any(dim=1).sum())
    raise UserError(
        f"hls4ml: {where} is not the reference's: the firmware differs on {wrong} of {count} "
        f"images by up to {float(off.max()) / step:g} units in the last place; expected equal "
        f"numbers: do not put it on a chip, take the open flow for this network"
    )
