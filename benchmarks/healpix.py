"""HEALPix index mathematics: compiled, against healpy, on one thread, random pixels.

    python benchmarks/healpix.py --nside 1024 1048576

Each function is compiled for itself (``torch.compile``, one graph); both sides get their
arguments in the layout that they like and allocate their results. Best of several rounds, in which
the two take turns. Results are compared before anything is timed.

A result of 10^6 numbers is new memory each time, and asking the system for it can cost more than
computing it. numpy asks for huge pages; torch does if ``THP_MEM_ALLOC_ENABLE`` is set, so it is
here (``--small-pages`` leaves it out).

Predicted, from counts of operations on eight 64-bit lanes and of bytes, and what came
(``benchmarks/results/healpix.txt``), as times as fast as healpy:

    nest2ring ring2nest ring2xyf xyf2ring     5        5.2 to 6.2
    nest2xyf xyf2nest, bound by memory        2        2.0 to 2.8
    pix2vec pix2ang vec2pix ang2pix           3 to 6   2.5 to 8.0
    neighbours                                3        2.0 to 2.7
    interp_weights                            5        3.5 to 3.7

What fell short writes more than its result: ``pix2vec`` its columns and then their places, ring
neighbours and nested weights the numbers in the other order. As one loop, ring neighbours took two
minutes to compile.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
if "--small-pages" not in sys.argv:
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

import healpy
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from geocore.healpix.adjacency import neighbours
from geocore.healpix.grid import (
    nest2ring,
    nest2xyf,
    pix2ang,
    pix2vec,
    ring2nest,
    ring2xyf,
    xyf2nest,
    xyf2ring,
)
from geocore.healpix.interpolate import interp_weights
from geocore.healpix.locate import ang2pix, vec2pix

BITS = ("nest2ring", "ring2nest", "nest2xyf", "ring2xyf", "xyf2nest", "xyf2ring")


@dataclass
class Row:
    """One function of the two libraries, and the best times so far in nanoseconds a pixel."""

    name: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    best: tuple[float, float] = (math.inf, math.inf)

    @property
    def ratio(self) -> float:
        return self.best[1] / self.best[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nside", type=int, nargs="+", default=[64, 1024, 2**20])
    parser.add_argument("--pixels", type=int, default=10**6)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--only", default="", help="functions whose names start so")
    parser.add_argument("--small-pages", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for nside in chosen.nside:
        torch.compiler.reset()
        rows = [row for row in functions(nside, chosen.pixels) if row.name.startswith(chosen.only)]
        for row in rows:
            check(row, nside)
        for _ in range(chosen.repeats):
            for row in rows:
                row.best = (
                    min(row.best[0], seconds(row.ours) * 1e9 / chosen.pixels),
                    min(row.best[1], seconds(row.theirs) * 1e9 / chosen.pixels),
                )
        show(rows, nside, chosen.pixels, chosen.small_pages)


def functions(nside: int, pixels: int) -> list[Row]:
    """All functions on the same random pixels and directions."""
    generator = torch.Generator().manual_seed(0)
    pixel = torch.randint(12 * nside**2, (pixels,), generator=generator)
    vectors = torch.randn(pixels, 3, dtype=torch.float64, generator=generator)
    vectors /= vectors.norm(dim=1, keepdim=True)
    theta = torch.acos(vectors[:, 2])
    phi = torch.atan2(vectors[:, 1], vectors[:, 0]).remainder(2 * math.pi)
    coordinates = nest2xyf(nside, pixel)

    p, t, f = pixel.numpy(), theta.numpy(), phi.numpy()
    columns, xyf = vectors.T.contiguous().numpy(), [c.numpy() for c in coordinates]
    rows = [
        Row("nest2ring", compiled(nest2ring, nside, pixel), lambda: healpy.nest2ring(nside, p)),
        Row("ring2nest", compiled(ring2nest, nside, pixel), lambda: healpy.ring2nest(nside, p)),
        Row("nest2xyf", compiled(nest2xyf, nside, pixel), lambda: healpy.pix2xyf(nside, p, True)),
        Row("ring2xyf", compiled(ring2xyf, nside, pixel), lambda: healpy.pix2xyf(nside, p)),
        Row("xyf2nest", compiled(xyf2nest, nside, *coordinates),
            lambda: healpy.xyf2pix(nside, *xyf, True)),
        Row("xyf2ring", compiled(xyf2ring, nside, *coordinates),
            lambda: healpy.xyf2pix(nside, *xyf)),
    ]  # fmt: skip
    for ordering in ("nested", "ring"):
        nest = ordering == "nested"

        def add(
            name: str,
            function: Callable[..., object],
            inputs: Sequence[torch.Tensor],
            peer: Callable[..., object],
            arrays: Sequence[np.ndarray],
            ordering: str = ordering,
            nest: bool = nest,
        ) -> None:
            ours = compiled(function, nside, *inputs, ordering)
            rows.append(Row(f"{name} {ordering}", ours, lambda: peer(nside, *arrays, nest=nest)))

        add("pix2vec", pix2vec, [pixel], healpy.pix2vec, [p])
        add("vec2pix", vec2pix, [vectors], healpy.vec2pix, list(columns))
        add("pix2ang", pix2ang, [pixel], healpy.pix2ang, [p])
        add("ang2pix", ang2pix, [theta, phi], healpy.ang2pix, [t, f])
        add("neighbours", neighbours, [pixel], healpy.get_all_neighbours, [p])
        add("interp_weights", interp_weights, [theta, phi], healpy.get_interp_weights, [t, f])
    return rows


def compiled(function: Callable[..., object], *arguments: object) -> Callable[[], object]:
    ready = torch.compile(function, fullgraph=True, dynamic=False)
    return lambda: ready(*arguments)


def check(row: Row, nside: int) -> None:
    """Both give the same; of a pixel, the rounding of an angle is a part ``nside`` times larger."""
    tolerance = 2e-15 * (nside if row.name.startswith("interp") else 1)
    ours, theirs = numbers(row.ours()), numbers(row.theirs())
    if ours.shape != theirs.shape:  # we have neighbours, weights and vectors in the last place
        ours = np.moveaxis(ours, -1, -2)
    np.testing.assert_allclose(ours, theirs, atol=tolerance, rtol=0)


def numbers(result: Any) -> np.ndarray:
    return np.stack(result) if isinstance(result, tuple) else np.asarray(result)


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def show(rows: Sequence[Row], nside: int, pixels: int, small_pages: bool) -> None:
    memory = "small pages" if small_pages else "huge pages"
    table = Table("function", "ns a pixel", f"healpy {healpy.__version__}", "times as fast")
    table.title = (
        f"nside {nside}, {pixels:,} random pixels, one thread, int64 and float64, "
        f"torch {torch.__version__} compiled, {memory}"
    )
    for row in rows:
        table.add_row(row.name, *(f"{t:.2f}" for t in row.best), f"{row.ratio:.2f}")
    mean = math.exp(sum(math.log(row.ratio) for row in rows) / len(rows))
    table.add_section()
    table.add_row("geometric mean", "", "", f"{mean:.2f}")
    bits = [row.ratio for row in rows if row.name in BITS]
    if bits:
        table.add_row("slowest of the pure bit functions", "", "", f"{min(bits):.2f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
