"""Kernels of infinite networks on SO(3): against full storage, and what a pair costs.

    python benchmarks/so3_kernels.py
    python benchmarks/so3_kernels.py --bandlimit 6 --sampling 6 8   # a minute more

One thread, processor time, the best of the repeats. Lift, ReLU, convolution, ReLU, pool, Dense, of
digits on the northern half of the sphere. Numbers are compared before anything is timed.

Storage: one pair; the peer is the textbook's Fourier recursion with every pair of coefficients, on
the same grid of rotations. ``numbers`` are the real ones that one covariance holds where the
activation acts, ``coefficients`` those in between (complex ones count twice; the reduced kernel
keeps none but the signals'). ``peak`` is the most bytes of tensors alive, tables included.

Pairs: the symmetric kernel of so many digits, and the largest relative error of Theta, of pairs and
of a digit with itself, against four times the bandlimit. What came stands in
``results/so3_kernels.txt``.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from geocore.kernels.layers import Dense, Relu
from geocore.kernels.so3_correlation import rotation_grid
from geocore.kernels.so3_layers import RotationConvolution, RotationPool, SphericalLift
from geocore.kernels.so3_network import SphericalNetwork, so3_serial
from geocore.kernels.so3_reference import full_storage_kernel
from geocore.so3.driscoll_healy import driscoll_healy_directions

Work = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bandlimit", type=int, default=6)
    parser.add_argument("--sampling", type=int, nargs="+", default=[6])
    parser.add_argument("--bandlimits", type=int, nargs="*", default=[8, 10, 12])
    parser.add_argument("--digits", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=110)
    console.print(storage(chosen.bandlimit, chosen.sampling, chosen.repeats))
    console.print(pairs(chosen.bandlimits, chosen.digits, chosen.repeats))


def network(bandlimit: int, sampling: int | None = None) -> SphericalNetwork:
    return so3_serial(
        SphericalLift(bandlimit, sampling),
        Relu(),
        RotationConvolution(),
        Relu(),
        RotationPool(),
        Dense(),
    )


def digits(count: int, bandlimit: int = 20) -> Tensor:
    """Seen from above on the northern half: Driscoll-Healy maps, ``(count, 1, 2b, 2b)``."""
    images = torch.from_numpy(load_digits().images[:count]).double()[:, None] / 16
    directions = driscoll_healy_directions(bandlimit)
    places = (directions[..., :2] / 0.9).expand(count, -1, -1, -1)
    return F.grid_sample(images, places, align_corners=False) * (directions[..., 2] > 0)


def storage(bandlimit: int, samplings: list[int], repeats: int) -> Table:
    x, y = digits(2).split(1)
    table = Table(
        "rotations", "storage", "numbers", "coefficients", "peak MiB", "/ reduced", "ms",
        "/ reduced",
    )  # fmt: skip
    table.title = f"One pair at bandlimit {bandlimit}, float64, torch {torch.__version__}"
    for sampling in samplings:
        net = network(bandlimit, sampling)

        def full(net: SphericalNetwork = net, sampling: int = sampling) -> object:
            return full_storage_kernel(net.layers, x, y, sampling)

        def reduced(net: SphericalNetwork = net) -> object:
            return net.kernel(x, y)

        found, expected = net.kernel(x, y)[1], full_storage_kernel(net.layers, x, y, sampling)[1]
        error = float((found - expected).abs() / expected)
        if not error < 1e-3:  # what the full one cuts off of higher degrees
            raise SystemExit(f"kernels differ by {error:.2g}; expected below 1e-3")
        rotation_grid.cache_clear()  # its tables count
        peaks = peak(reduced), peak(full)
        seconds = best(reduced, 5 * repeats), best(full, 1)
        padded = sampling * (2 * sampling - 1) ** 2
        rows = (
            ("reduced", net.entries(), bandlimit**2),
            ("full", net.entries() ** 2, 2 * padded**2),
        )
        for (name, numbers, kept), memory, taken in zip(rows, peaks, seconds, strict=True):
            table.add_row(
                str(net.entries()), name, str(numbers), str(kept), f"{memory / 2**20:.2f}",
                f"{memory / peaks[0]:.0f}", f"{1e3 * taken:.1f}", f"{taken / seconds[0]:.0f}",
            )  # fmt: skip
    return table


def pairs(bandlimits: list[int], count: int, repeats: int) -> Table:
    number = count * (count + 1) // 2
    table = Table(
        "bandlimit", "sampling", "dtype", "ms a pair", "500 x 500, s", "error", "of itself"
    )
    table.title = f"{count} digits with each other, {number} pairs"
    few = digits(4)
    others = ~torch.eye(4, dtype=torch.bool)
    for bandlimit in bandlimits:
        exact = network(bandlimit, 4 * bandlimit).kernel(few)[1]
        for sampling in (None, 2 * bandlimit):
            net = network(bandlimit, sampling)
            for dtype in (torch.float64, torch.float32):
                error = (net.kernel(few.to(dtype))[1].double() - exact).abs() / exact
                x = digits(count).to(dtype)
                taken = best(lambda net=net, x=x: net.kernel(x), repeats) / number  # type: ignore[misc]
                table.add_row(
                    str(bandlimit), str(net.lift.size), str(dtype)[6:], f"{1e3 * taken:.3f}",
                    f"{taken * 500 * 501 / 2:.0f}", f"{float(error[others].max()):.0e}",
                    f"{float(error.diagonal().max()):.0e}",
                )  # fmt: skip
    return table


def best(work: Work, repeats: int) -> float:
    """Processor seconds."""
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


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


if __name__ == "__main__":
    main()
