"""Fields of exponents against the naive way: an autodiff Jacobian and its SVD, input by input.

    python benchmarks/lyapunov.py
    python benchmarks/lyapunov.py --side 200 --widths 10 50

One thread, processor time, the best of the repeats, in turns; the numbers are compared before
anything is timed. The field is of an 8-layer network with tanh over a square of the plane, float32.
The peers: ``input by input``, ``torch.func.jacrev`` and ``torch.linalg.svd`` of one input after the
other, timed on a few and told for all; ``vmapped``, the same of many inputs at once. Then images:
exponents of a network with a bottleneck at so many inputs of 784 pixels. What came stands in
``results/lyapunov.txt``.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.func import jacrev, vmap

from geocore.explain.circle import circle_network
from geocore.explain.hidden import HiddenMap
from geocore.explain.lyapunov import lyapunov_exponents
from geocore.explain.section import Section, exponent_field
from geocore.explain.tanh_network import tanh_network

Work = Callable[[], object]

_DEPTH = 8
_ONE_BY_ONE = 200  # inputs
_AT_ONCE = 4000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=400)
    parser.add_argument("--widths", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    count = chosen.side**2
    table = Table("network", "inputs", "geocore, s", "input by input, s", "vmapped, s", "ratios")
    table.title = f"exponents and directions, float32, one thread, torch {torch.__version__}"
    for width in chosen.widths:
        network = circle_network(_DEPTH, width, 0)
        plane = Section.plane(1.0, chosen.side)
        hidden, x = HiddenMap(network), plane.points().flatten(0, 1)
        ways: dict[str, tuple[Work, int]] = {
            "ours": (lambda h=hidden, p=plane: exponent_field(h, p), count),  # type: ignore[misc]
            **peers(hidden, x),
        }
        compare(hidden, x)
        row(table, f"{_DEPTH} layers of {width}", count, best(ways, chosen.repeats))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(chosen.images, 784, generator=generator)
    hidden = HiddenMap(tanh_network((784, 20, 20, 20, 20, 2, 20, 20, 20, 20, 10), 0))
    compare(hidden, x)
    ways = {"ours": (lambda: lyapunov_exponents(hidden, x), len(x)), **peers(hidden, x, 200)}
    row(table, "784 pixels, 8 layers of 20, one of 2", len(x), best(ways, chosen.repeats))
    Console(width=120).print(table)


def peers(hidden: HiddenMap, x: Tensor, at_once: int = _AT_ONCE) -> dict[str, tuple[Work, int]]:
    """Each with how many inputs it does."""
    few, many = x[:: max(1, len(x) // _ONE_BY_ONE)][:_ONE_BY_ONE], x[:at_once]
    return {
        "input by input": (lambda: [naive(hidden, one) for one in few], len(few)),
        "vmapped": (lambda: vmapped(hidden, many), len(many)),
    }


def naive(hidden: HiddenMap, one: Tensor) -> tuple[float, Tensor]:
    matrix = jacrev(lambda at: hidden(at[None])[0])(one).detach()
    _, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return float(values[0].log()) / hidden.depth, right[0]


def vmapped(hidden: HiddenMap, x: Tensor) -> tuple[Tensor, Tensor]:
    matrices: Tensor = vmap(jacrev(lambda at: hidden(at[None])[0]))(x)
    _, values, right = torch.linalg.svd(matrices.detach(), full_matrices=False)
    return values[:, 0].log() / hidden.depth, right[:, 0]


def compare(hidden: HiddenMap, x: Tensor) -> None:
    some = x[:: max(1, len(x) // 100)]
    found = lyapunov_exponents(hidden, some).largest
    one_by_one = torch.tensor([naive(hidden, one)[0] for one in some])
    for name, other in (("one by one", one_by_one), ("vmapped", vmapped(hidden, some)[0])):
        error = float((found - other).abs().max())
        if not error < 1e-4:
            raise SystemExit(f"exponents differ by {error:.2g} from {name}; expected below 1e-4")


def row(table: Table, name: str, count: int, seconds: dict[str, float]) -> None:
    whole = {way: each * count for way, each in seconds.items()}
    ratios = [whole[way] / whole["ours"] for way in ("input by input", "vmapped")]
    table.add_row(
        name, str(count), f"{whole['ours']:.3g}", f"{whole['input by input']:.3g}",
        f"{whole['vmapped']:.3g}", " and ".join(f"{ratio:.3g}" for ratio in ratios),
    )  # fmt: skip


def best(ways: dict[str, tuple[Work, int]], repeats: int) -> dict[str, float]:
    """Processor seconds an input, in turns, so that a busy moment hits all alike."""
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(repeats):
        for name, (work, count) in ways.items():
            began = time.process_time()
            work()
            seconds[name] = min(seconds[name], (time.process_time() - began) / count)
    return seconds


if __name__ == "__main__":
    main()
