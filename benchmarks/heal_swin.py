"""HEAL-SWIN against itself written as the paper describes, and against its matrix products alone.

    python benchmarks/heal_swin.py --repeats 15
    python benchmarks/heal_swin.py --nside 256 --device cuda --dtype bfloat16

The paper's widths (depths 2, 2, 6, 2; embed 96; window 64; cosine attention, post-norm, relative
bias), faces 0-7, batch 1. *reference*: dense float masks, explicit softmax, PyTorch's dropout and
linear maps (``geocore.models.swin_reference``). *floor*: the same matrix products, forward and
backward, by ``torch.mm`` and ``torch.bmm``, and nothing else. A training step is forward,
cross-entropy and backward; with dropout all of the paper's are on (0.1 on numbers, on attention
weights, and stochastic depth).

Variants of one kind of work take turns in one process, and a time is the best of all turns, so
that a busy machine slows all alike. On the CPU it is the process's CPU time: on one thread that is
what the clock shows on an idle machine, and neighbours disturb it less. Peak memory is that of a
process of its own for each variant, from when the network is built: all that is held, with Python,
PyTorch, weights and gradients; on an accelerator what PyTorch has given out there.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from geocore.config.model import SwinParams
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
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--skip-compiled", action="store_true", help="it takes minutes")
    parser.add_argument("--one", nargs=2, metavar=("WORK", "VARIANT"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.one:
        work, variant = chosen.one
        print(json.dumps(peak(work, variant, chosen)))
        return
    seconds: dict[tuple[str, str], float] = {}
    memory: dict[tuple[str, str], float] = {}
    for work, variants in WORK.items():
        some = [v for v in variants if not (v == "ours compiled" and chosen.skip_compiled)]
        seconds |= {(work, v): s for v, s in zip(some, times(work, some, chosen), strict=True)}
        for variant in some:
            memory[work, variant] = apart(work, variant, chosen)
    show(seconds, memory, chosen)


def times(work: str, variants: list[str], chosen: argparse.Namespace) -> list[float]:
    """The best CPU seconds of each variant, in turns."""
    runs = [made(work, variant, chosen) for variant in variants]
    best = [float("inf")] * len(runs)
    for turn in range(chosen.repeats + 1):
        for number, run in enumerate(runs):
            taken = seconds_of(run, chosen.device)
            if turn:  # the first warms up, and compiles
                best[number] = min(best[number], taken)
    return best


def seconds_of(run: Callable[[], object], device: str) -> float:
    if device == "cpu":
        start = time.process_time()
        run()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def apart(work: str, variant: str, chosen: argparse.Namespace) -> float:
    """``peak`` of a process of its own."""
    own = ["--nside", str(chosen.nside), "--shift", chosen.shift]
    own += ["--device", chosen.device, "--dtype", chosen.dtype]
    done = subprocess.run(
        [sys.executable, __file__, *own, "--one", work, variant],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return float(done.stdout.splitlines()[-1])


def peak(work: str, variant: str, chosen: argparse.Namespace) -> float:
    """The most memory that this process holds in three runs, in MB."""
    run = made(work, variant, chosen)
    gc.collect()
    on_cpu = chosen.device == "cpu"
    if on_cpu:
        Path("/proc/self/clear_refs").write_text("5")  # what it held while building does not count
    else:
        torch.cuda.reset_peak_memory_stats()
    for _ in range(3):
        run()
    if not on_cpu:
        return torch.cuda.max_memory_allocated() / 2**20
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    )
    return float(line.split()[1]) / 1024


def made(work: str, variant: str, chosen: argparse.Namespace) -> Callable[[], object]:
    torch.manual_seed(0)
    return floor(work, chosen) if variant == "floor" else network(work, variant, chosen)


def network(work: str, variant: str, chosen: argparse.Namespace) -> Callable[[], object]:
    rate = 0.1 if work == "step with dropout" else 0.0
    params = SwinParams(
        name="heal_swin", embed=EMBED, depths=DEPTHS, heads=HEADS, window=WINDOW,
        mlp_ratio=4.0, dropout=rate, position="none", shift=chosen.shift, norm="post",
        attention="cosine", relative_bias=True, dropout_kind="element", attention_dropout=rate,
        drop_path=rate, checkpointing=False,
    )  # fmt: skip
    kind = TableType(
        grid="healpix", nside=chosen.nside, ordering="nested", faces=FACES, channels=CHANNELS,
        dtype="float32", label_kind="mask",
    )  # fmt: skip
    model: nn.Module = HealSwin(kind, CLASSES, params, dense=True)
    model = model.to(chosen.device, getattr(torch, chosen.dtype))
    x = torch.rand(1, *kind.shape, device=chosen.device, dtype=getattr(torch, chosen.dtype))
    if variant == "reference":
        model = as_reference(model).to(chosen.device)
        check_floor(model, x, chosen.nside)
    labels = torch.randint(CLASSES, (1, kind.pixels), device=chosen.device)
    if work == "inference":
        model.eval()
        called: Any = torch.compile(model, fullgraph=True) if "compiled" in variant else model
        return torch.no_grad()(lambda: called(x))

    def step() -> None:
        model.zero_grad(set_to_none=True)
        F.cross_entropy(model(x).float().mT, labels).backward()

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


def floor(work: str, chosen: argparse.Namespace) -> Callable[[], object]:
    shapes = list(products(chosen.nside))
    like: Any = {"device": chosen.device, "dtype": getattr(torch, chosen.dtype)}
    data: dict[Shape, tuple[Tensor, Tensor, Tensor]] = {}
    for count, rows, inner, columns in shapes:
        data[count, rows, inner, columns] = (
            torch.randn(count, rows, inner, **like),
            torch.randn(count, columns, inner, **like).mT,
            torch.randn(count, rows, columns, **like),
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


def show(
    seconds: dict[tuple[str, str], float],
    memory: dict[tuple[str, str], float],
    chosen: argparse.Namespace,
) -> None:
    flops = 2 * sum(count * a * b * c for count, a, b, c in products(chosen.nside))
    table = Table(
        title=f"HEAL-SWIN, nside {chosen.nside}, faces 0-7, batch 1, {chosen.shift} shift, "
        f"{chosen.dtype}, {chosen.device}; {flops / 1e9:.1f} GFLOP of products forward"
    )
    headings = ("work", "variant", "s", "GFLOP/s", "x reference", "x floor", "peak MB", "x ref.")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("work", "variant") else "right")
    for (work, variant), mine in seconds.items():
        bottom = seconds["inference" if work == "inference" else "step without dropout", "floor"]
        held, most = memory[work, variant], memory[work, "reference"]
        ratios = [f"{mine / other:.2f}" for other in (seconds[work, "reference"], bottom)]
        rate = flops * (1 if work == "inference" else 3) / mine / 1e9
        table.add_row(
            work,
            variant,
            f"{mine:.3f}",
            f"{rate:.0f}",
            *ratios,
            f"{held:.0f}",
            f"{held / most:.2f}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
