"""Kernels of infinitely wide networks: C4 against full storage, a CNN against neural-tangents.

    python benchmarks/kernels.py
    python benchmarks/kernels.py --size 8 --digits 128 --repeats 5

One thread, processor time, the best of the repeats, in turns. The numbers are compared before
anything is timed.

C4: lift, one group convolution, ReLUs, group and global pooling, Dense; circular 3 x 3 filters. The
peers: ``full, same code`` stores every pair of elements in the fast layout; ``full, as written`` is
the readable reference, the formulas one by one, a pair of images at a time. ``numbers a pair`` is
what one covariance holds; ``peak`` is the most bytes of tensors alive while one pair is worked on:
our code takes slabs of displacements, whatever the storage.

Digits: the same network on scikit-learn's 8 x 8 digits, the symmetric half of ``n x n``; two
threads, each on a block of its own, in seconds of the clock: at best half of one's. What 2,000
digits take is that half on two threads.

CNN: two 3 x 3 convolutions with ReLU, then global pooling or flattening, and Dense; neural-tangents
compiled, on one thread. Flattened, 32 pairs are half a millisecond, most of it the start of some
hundred operations: so that is repeated 50 times as often, and many more pairs are measured, too.
What came stands in ``results/kernels.txt``.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("NPROC", "1")  # the threads of jax's backend
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from geocore.compat import import_neural_tangents
from geocore.kernels.composed import InfiniteNetwork, serial
from geocore.kernels.convolution import Convolution
from geocore.kernels.group_layers import GroupConvolution, GroupPool, LiftingConvolution
from geocore.kernels.group_reference import full_storage_kernel
from geocore.kernels.layers import Dense, Flatten, GlobalAveragePool, Relu
from geocore.kernels.windows import Padding

Work = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--digits", type=int, default=64)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=110)
    for dtype in (torch.float64, torch.float32):
        left, right = images(chosen.size, chosen.pairs, dtype)
        console.print(group_kernels(left, right, chosen.repeats))
    console.print(digits(chosen.digits, chosen.repeats))
    for pooled, pairs in ((True, chosen.pairs), (False, chosen.pairs), (False, 32 * chosen.pairs)):
        left, right = images(chosen.size, pairs, torch.float64)
        console.print(plain_kernels(left, right, pooled, chosen.repeats))


def images(size: int, pairs: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """``pairs`` pairs of images: about the root of it against the rest."""
    generator = torch.Generator().manual_seed(0)
    shape = (3, size, size)
    rows = 2 ** round(math.log2(pairs) / 2)
    left = torch.rand(rows, *shape, generator=generator, dtype=dtype)
    return left, torch.rand(max(pairs // rows, 1), *shape, generator=generator, dtype=dtype)


def equivariant(storage: str = "reduced") -> InfiniteNetwork:
    return serial(
        LiftingConvolution(3, padding="circular", storage=storage),  # type: ignore[arg-type]
        Relu(),
        GroupConvolution(3, padding="circular"),
        Relu(),
        GroupPool(),
        GlobalAveragePool(),
        Dense(),
    )


def digits(count: int, repeats: int) -> Table:
    images, network = torch.from_numpy(load_digits().images)[:, None] / 16, equivariant()
    table = Table("dtype", "us a pair", "two threads", "speed-up", "2,000 x 2,000, minutes")
    table.title = f"C4, {count} digits of 8 x 8 with each other"
    pairs = count * (count + 1) // 2
    for dtype in (torch.float32, torch.float64):
        some = images[:count].to(dtype)
        alone = best({"one": lambda x=some: network.kernel(x)}, repeats)["one"] / pairs  # type: ignore[misc]
        # The clock's time of both, in turns: two blocks one after the other, and at once.
        blocks = list(images[: 2 * count].to(dtype).split(count))
        with ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            found = best(
                {
                    "turns": lambda b=blocks: list(map(network.kernel, b)),  # type: ignore[misc]
                    "at once": lambda b=blocks, p=pool: list(p.map(network.kernel, b)),  # type: ignore[misc]
                },
                repeats, time.perf_counter,
            )  # fmt: skip
        together = found["at once"] / (2 * pairs)
        table.add_row(
            str(dtype), f"{1e6 * alone:.0f}", f"{1e6 * together:.0f}",
            f"{found['turns'] / found['at once']:.2f}", f"{together * 2001 * 1000 / 60:.1f}",
        )  # fmt: skip
    return table


def group_kernels(left: Tensor, right: Tensor, repeats: int) -> Table:
    reduced, full = equivariant(), equivariant("full")

    def as_written(x: Tensor, y: Tensor) -> list[list[Tensor]]:
        each = [
            [torch.stack(full_storage_kernel(full.layers, a, b)) for b in y.split(1)]
            for a in x.split(1)
        ]
        return each

    few = left[:1], right[:2]
    close(reduced.kernel(*few)[1], full.kernel(*few)[1])
    close(reduced.kernel(*few)[1], torch.cat([k[1] for k in as_written(*few)[0]], dim=1))
    pairs, size = len(left) * len(right), left.shape[-1]
    ways: dict[str, Work] = {
        "reduced": lambda: reduced.kernel(left, right),
        "full, same code": lambda: full.kernel(left, right),
        "full, as written": lambda: as_written(*few),  # two pairs say what all would take
    }
    counted = {"full, as written": 2}
    seconds = {n: s / counted.get(n, pairs) for n, s in best(ways, repeats).items()}
    one = left[:1], right[:1]
    peaks = {
        "reduced": peak(lambda: reduced.kernel(*one)),
        "full, same code": peak(lambda: full.kernel(*one)),
        "full, as written": peak(lambda: as_written(*one)),
    }
    entries = {"reduced": reduced.entries(size, size)}
    table = Table("storage", "ms a pair", "/ reduced", "numbers a pair", "peak MiB", "/ reduced")
    table.title = f"C4, {size} x {size} x 3, {pairs} pairs, {left.dtype}, torch {torch.__version__}"
    for name, taken in seconds.items():
        table.add_row(
            name, f"{1e3 * taken:.2f}", f"{taken / seconds['reduced']:.2f}",
            str(entries.get(name, full.entries(size, size))), f"{peaks[name] / 2**20:.1f}",
            f"{peaks[name] / peaks['reduced']:.2f}",
        )  # fmt: skip
    return table


def plain_kernels(left: Tensor, right: Tensor, pooled: bool, repeats: int) -> Table:
    pairs, size = len(left) * len(right), left.shape[-1]
    table = Table("padding", "geocore, ms a pair", "neural-tangents", "times as long")
    end = "pooled" if pooled else "flattened"
    table.title = f"CNN, {end}, {size} x {size} x 3, {pairs} pairs, float64, one thread each"
    for padding in ("circular", "same"):
        ours, theirs = cnn(padding, pooled), peer(padding, pooled)
        a, b = (np.asarray(x.movedim(1, -1).contiguous()) for x in (left, right))
        close(ours.kernel(left, right)[1], torch.from_numpy(np.array(theirs(a, b))))
        ways: dict[str, Work] = {
            "ours": lambda ours=ours: ours.kernel(left, right),  # type: ignore[misc]
            "theirs": lambda t=theirs, a=a, b=b: np.array(t(a, b)),  # type: ignore[misc]
        }
        found = best(ways, repeats if pooled or pairs > 256 else 50 * repeats)
        table.add_row(
            padding, f"{1e3 * found['ours'] / pairs:.4f}", f"{1e3 * found['theirs'] / pairs:.4f}",
            f"{found['theirs'] / found['ours']:.2f}",
        )  # fmt: skip
    return table


def cnn(padding: Padding, pooled: bool) -> InfiniteNetwork:
    hidden = [Convolution(3, padding=padding), Relu()] * 2
    return serial(*hidden, GlobalAveragePool() if pooled else Flatten(), Dense())


def peer(padding: str, pooled: bool) -> Callable[..., object]:
    stax = import_neural_tangents().stax
    import jax

    jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]
    convolution = stax.Conv(1, (3, 3), (1, 1), padding.upper(), 1.0, 0.0)
    pool = stax.GlobalAvgPool() if pooled else stax.Flatten()
    layers = [convolution, stax.Relu()] * 2 + [pool, stax.Dense(1, 1.0, 0.0)]
    kernel = stax.serial(*layers)[2]
    found: Callable[..., object] = jax.jit(lambda a, b: kernel(a, b, get=("nngp", "ntk")).ntk)
    return found


def best(
    ways: dict[str, Work], repeats: int, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """Processor seconds of each, in turns, so that a busy moment hits all alike."""
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(repeats):
        for name, work in ways.items():
            began = clock()
            work()
            seconds[name] = min(seconds[name], clock() - began)
    return seconds


def peak(work: Work) -> int:
    """Bytes of tensors alive at once, at most, beyond those before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        work()
    alive = highest = 0
    events = found.profiler.kineto_results.events()
    for event in sorted(events, key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            alive += event.nbytes()
            highest = max(highest, alive)
    return highest


def close(first: Tensor, second: Tensor) -> None:
    error = float((first - second).abs().max() / second.abs().max())
    bound = 1e-11 if first.dtype == torch.float64 else 2e-5
    if not error < bound:
        raise SystemExit(f"kernels differ by {error:.2g}; expected below {bound:g}")


if __name__ == "__main__":
    main()
