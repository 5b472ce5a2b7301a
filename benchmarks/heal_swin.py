"""HEAL-SWIN against itself written as the paper describes, and against its matrix products alone.

    python benchmarks/heal_swin.py --rounds 3

The paper's widths (depths 2, 2, 6, 2; embed 96; window 64; cosine attention, post-norm, relative
bias), faces 0-7, batch 1, float32, one thread. *reference*: dense float masks, explicit softmax,
PyTorch's dropout and linear maps (``geocore.models.swin_reference``). *floor*: the same matrix
products, forward and backward, by ``torch.mm`` and ``torch.bmm``, and nothing else. A training step
is forward, cross-entropy and backward; with dropout all of the paper's are on (0.1 on numbers, on
attention weights, and stochastic depth).

Each variant runs in a process of its own, so that its peak memory is its own; the processes of a
round take turns, and a figure is the best of all rounds. Times are the process's CPU time: on one
thread that is what the clock shows on an idle machine, and neighbours disturb it less.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from geocore.config.model import ModelParams
from geocore.data.tabletype import TableType
from geocore.models.heal_swin import HealSwin
from geocore.models.swin_reference import as_reference

FACES, CHANNELS, CLASSES = tuple(range(8)), 3, 10
DEPTHS, HEADS, EMBED, WINDOW = (2, 2, 6, 2), (3, 6, 12, 24), 96, 64
WORK = {
    "step with dropout": ("reference", "ours"),
    "step without dropout": ("reference", "ours", "floor"),
    "inference": ("reference", "ours", "ours compiled", "floor"),
}
Shape = tuple[int, int, int, int]  # products (count, rows, inner, columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nside", type=int, default=64)
    parser.add_argument("--shift", default="ring", choices=["grid", "ring", "roll", "none"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=4, help="of a round")
    parser.add_argument("--skip-compiled", action="store_true", help="it takes minutes")
    parser.add_argument("--one", nargs=2, metavar=("WORK", "VARIANT"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.one:
        print(json.dumps(measure(*chosen.one, chosen)))
        return
    found: dict[tuple[str, str], dict[str, float]] = {}
    for _ in range(chosen.rounds):
        for work, variants in WORK.items():
            for variant in variants:
                if variant == "ours compiled" and chosen.skip_compiled:
                    continue
                mine = apart(work, variant, chosen)
                best = found.setdefault((work, variant), mine)
                best.update({key: min(best[key], mine[key]) for key in mine})
    show(found, chosen)


def apart(work: str, variant: str, chosen: argparse.Namespace) -> dict[str, float]:
    """``measure`` in a process of its own."""
    own = ["--nside", str(chosen.nside), "--shift", chosen.shift, "--repeats", str(chosen.repeats)]
    done = subprocess.run(
        [sys.executable, __file__, *own, "--one", work, variant],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    values: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return values


def measure(work: str, variant: str, chosen: argparse.Namespace) -> dict[str, float]:
    """The best CPU seconds of a repeat, and peak memory in MB, of the process and of the work."""
    torch.manual_seed(0)
    run = floor(work, chosen.nside) if variant == "floor" else network(work, variant, chosen)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    best = float("inf")
    for _ in range(chosen.repeats + 1):  # the first warms up, and compiles
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": best, "peak": peak / 1024, "more": (peak - before) / 1024}


def network(work: str, variant: str, chosen: argparse.Namespace) -> Callable[[], object]:
    rate = 0.1 if work == "step with dropout" else 0.0
    params = ModelParams(
        name="heal_swin", block=None, embed=EMBED, depths=DEPTHS, heads=HEADS, window=WINDOW,
        mlp_ratio=4.0, dropout=rate, position="none", shift=chosen.shift, norm="post",
        attention="cosine", relative_bias=True, dropout_kind="element", attention_dropout=rate,
        drop_path=rate, checkpointing=False,
    )  # fmt: skip
    kind = TableType(
        grid="healpix", nside=chosen.nside, ordering="nested", faces=FACES, channels=CHANNELS,
        dtype="float32", label_kind="mask",
    )  # fmt: skip
    model: nn.Module = HealSwin(kind, CLASSES, params, dense=True)
    x = torch.rand(1, *kind.shape)
    if variant == "reference":
        model = as_reference(model)
        check_floor(model, x, chosen.nside)
    labels = torch.randint(CLASSES, (1, kind.pixels))
    if work == "inference":
        model.eval()
        called: Any = torch.compile(model, fullgraph=True) if "compiled" in variant else model
        return torch.no_grad()(lambda: called(x))

    def step() -> None:
        model.zero_grad(set_to_none=True)
        F.cross_entropy(model(x).mT, labels).backward()

    return step


def products(nside: int) -> Iterator[Shape]:
    """Every matrix product of the network's forward pass."""
    pixels = len(FACES) * nside**2
    yield 1, pixels // 4, 4 * CHANNELS, EMBED
    for stage, (depth, heads) in enumerate(zip(DEPTHS, HEADS, strict=True)):
        tokens, width = pixels // 4 ** (stage + 1), EMBED * 2**stage
        window, last = min(WINDOW, tokens // len(FACES)), stage == len(DEPTHS) - 1
        for _ in range(depth if last else 2 * depth):  # encoder and decoder
            yield 1, tokens, width, 3 * width
            yield tokens // window * heads, window, width // heads, window
            yield tokens // window * heads, window, window, width // heads
            yield 1, tokens, width, width
            yield 1, tokens, width, 4 * width
            yield 1, tokens, 4 * width, width
        if not last:
            yield 1, tokens // 4, 4 * width, 2 * width  # merging
            yield 1, tokens // 4, 2 * width, 4 * width  # expanding
            yield 1, tokens, 2 * width, width  # joining
    yield 1, pixels // 4, EMBED, 4 * EMBED
    yield 1, pixels, EMBED, CLASSES


def floor(work: str, nside: int) -> Callable[[], object]:
    shapes = list(products(nside))
    data: dict[Shape, tuple[Tensor, Tensor, Tensor]] = {}
    for count, rows, inner, columns in shapes:
        data[count, rows, inner, columns] = (
            torch.randn(count, rows, inner),
            torch.randn(count, columns, inner).mT,
            torch.randn(count, rows, columns),
        )

    def product(left: Tensor, right: Tensor) -> None:
        torch.mm(left[0], right[0]) if len(left) == 1 else torch.bmm(left, right)

    def run() -> None:
        for shape in shapes:
            left, right, above = data[shape]
            product(left, right)
            if work != "inference":
                product(above, right.mT)
                product(above.mT, left)

    return run


def check_floor(model: nn.Module, x: Tensor, nside: int) -> None:
    """The floor's products are those of the network, or the comparison means nothing."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    expected = 2 * sum(count * a * b * c for count, a, b, c in products(nside))
    if counter.get_total_flops() != expected:
        raise SystemExit(f"the network takes {counter.get_total_flops()} FLOP, not {expected}")


def show(found: dict[tuple[str, str], dict[str, float]], chosen: argparse.Namespace) -> None:
    flops = 2 * sum(count * a * b * c for count, a, b, c in products(chosen.nside))
    table = Table(
        title=f"HEAL-SWIN, nside {chosen.nside}, faces 0-7, batch 1, {chosen.shift} shift, "
        f"float32, one thread; {flops / 1e9:.1f} GFLOP of products forward"
    )
    for heading in ("work", "variant", "s", "x reference", "x floor", "peak MB", "x reference"):
        table.add_column(heading, justify="left" if heading in ("work", "variant") else "right")
    for (work, variant), mine in found.items():
        reference = found[work, "reference"]
        bottom = found["inference" if work == "inference" else "step without dropout", "floor"]
        table.add_row(
            work, variant, f"{mine['seconds']:.3f}",
            f"{mine['seconds'] / reference['seconds']:.2f}",
            f"{mine['seconds'] / bottom['seconds']:.2f}",
            f"{mine['peak']:.0f}", f"{mine['peak'] / reference['peak']:.2f}",
        )  # fmt: skip
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
