"""The Fourier transforms on SO(3) and on the sphere against the textbook's way, on one thread.

    python benchmarks/so3.py
    python benchmarks/so3.py --bandlimit 20 --maps 44 --scaling 8 12 16 24 32

The pair, samples -> coefficients -> samples, of real signals in float32 on the Driscoll-Healy
grid. The peers, in the same process, are compared with it before anything is timed:

    textbook    every coefficient is a sum over every colatitude: complex FFTs over both angles,
                then for each degree the products with its whole matrix d^l, term by term in one
                einsum; the way of the published S2CNN code on a CPU, without its loop in Python
    padded      complex FFTs, then one batched product with the table of all orders of either sign
    dense       no FFT at all: one matrix of all D^l_mn at all points of the grid (small b only)

Predicted for b = 20 and 44 maps: a real signal is half of the work, and batched products of
matrices run several times faster than sums along short strided axes: 8 to 15 times as fast as the
textbook, 2 to 4 times as the padded product, which has the batching already. What came stands in
``benchmarks/results/so3.txt``.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from geocore.so3.quadrature import driscoll_healy_weights
from geocore.so3.s2_transform import S2Transform
from geocore.so3.so3_transform import SO3Transform
from geocore.so3.wigner import wigner_D, wigner_d

DENSE_LARGEST = 8  # the matrix has b (4 b^2 - 1) / 3 times 8 b^3 entries


class Textbook:
    """Complex FFTs, and for each degree its own matrices."""

    def __init__(self, bandlimit: int) -> None:
        self.b = bandlimit
        beta, weights = driscoll_healy_weights(bandlimit)
        self.small = [wigner_d(l, beta).float() for l in range(bandlimit)]
        self.weights = (weights / 2).float()

    def forward(self, samples: Tensor) -> list[Tensor]:
        """A block ``(c, 2l+1, 2l+1)`` a degree."""
        spectrum = torch.fft.ifft2(samples.to(torch.complex64)) * self.weights[:, None, None]
        blocks = []
        for l, small in enumerate(self.small):
            orders = torch.arange(-l, l + 1)
            part = spectrum[:, :, orders][:, :, :, orders]
            blocks.append(torch.einsum("jmn,cjmn->cmn", small.to(part.dtype), part))
        return blocks

    def inverse(self, blocks: list[Tensor]) -> Tensor:
        size = 2 * self.b
        spectrum = torch.zeros(len(blocks[0]), size, size, size, dtype=torch.complex64)
        for l, (small, block) in enumerate(zip(self.small, blocks, strict=True)):
            orders = torch.arange(-l, l + 1)
            part = torch.einsum("jmn,cmn->cjmn", small.to(block.dtype), (2 * l + 1) * block)
            spectrum[:, :, orders[:, None], orders] += part
        samples: Tensor = torch.fft.fft2(spectrum).real
        return samples


class Padded:
    """Complex FFTs, one product for each ``(m, n)`` of either sign, nothing made of symmetry."""

    def __init__(self, bandlimit: int) -> None:
        self.b, width = bandlimit, 2 * bandlimit - 1
        beta, weights = driscoll_healy_weights(bandlimit)
        table = torch.zeros(width, width, bandlimit, 2 * bandlimit)
        for l in range(bandlimit):
            inside = slice(bandlimit - 1 - l, bandlimit + l)
            table[inside, inside, l] = wigner_d(l, beta).float().permute(1, 2, 0)
        self.table = table.flatten(0, 1)
        self.weights = (weights / 2).float()
        self.dimensions = 2.0 * torch.arange(bandlimit)[:, None] + 1
        self.orders = torch.arange(1 - bandlimit, bandlimit)

    def forward(self, samples: Tensor) -> Tensor:
        """``(m n, l, c)``."""
        spectrum = torch.fft.ifft2(samples.to(torch.complex64))
        part = spectrum[:, :, self.orders][:, :, :, self.orders].permute(2, 3, 1, 0)
        return self._product(self.table * self.weights, part.flatten(0, 1))

    def inverse(self, coefficients: Tensor) -> Tensor:
        size, width = 2 * self.b, len(self.orders)
        table = (self.table * self.dimensions).transpose(1, 2)
        part = self._product(table, coefficients).reshape(width, width, size, -1)
        spectrum = torch.zeros(part.shape[-1], size, size, size, dtype=torch.complex64)
        spectrum[:, :, self.orders[:, None], self.orders] = part.permute(3, 2, 0, 1)
        samples: Tensor = torch.fft.fft2(spectrum).real
        return samples

    @staticmethod
    def _product(table: Tensor, columns: Tensor) -> Tensor:
        parts = torch.view_as_real(columns.contiguous()).flatten(2)
        return torch.view_as_complex(torch.bmm(table, parts).unflatten(2, (-1, 2)))


class Dense:
    """All ``D^l_mn`` at all points, as one matrix."""

    def __init__(self, bandlimit: int) -> None:
        beta, weights = driscoll_healy_weights(bandlimit)
        circle = math.pi / bandlimit * torch.arange(2 * bandlimit, dtype=torch.float64)
        b, a, c = torch.meshgrid(beta, circle, circle, indexing="ij")
        matrices = [wigner_D(l, a, b, c).flatten(3).flatten(0, 2) for l in range(bandlimit)]
        self.sizes = torch.cat(
            [torch.full((m.shape[1],), math.isqrt(m.shape[1])) for m in matrices]
        ).float()
        self.matrix = torch.cat(matrices, dim=1).to(torch.complex64)
        measure = (weights / 2 / (2 * bandlimit) ** 2)[:, None, None].expand(b.shape)
        self.measure = measure.flatten().float()

    def forward(self, samples: Tensor) -> Tensor:
        flat = (samples.flatten(1) * self.measure).to(torch.complex64)
        return flat @ self.matrix.conj()

    def inverse(self, coefficients: Tensor) -> Tensor:
        samples: Tensor = ((coefficients * self.sizes) @ self.matrix.T).real
        return samples.reshape(-1, *[round(len(self.measure) ** (1 / 3))] * 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bandlimit", type=int, default=20)
    parser.add_argument("--maps", type=int, default=44)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--scaling", type=int, nargs="+", default=[8, 12, 16, 24, 32, 48])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=110)
    console.print(_peers(chosen.bandlimit, chosen.maps, chosen.repeats))
    console.print(_peers(DENSE_LARGEST, chosen.maps, chosen.repeats))
    console.print(_scaling(chosen.scaling, chosen.maps // 4, chosen.repeats))


def _peers(bandlimit: int, maps: int, repeats: int) -> Table:
    x = torch.randn(maps, *[2 * bandlimit] * 3, generator=torch.Generator().manual_seed(0))
    began = time.perf_counter()
    ours = SO3Transform(bandlimit, dtype=torch.float32)
    built = time.perf_counter() - began
    kinds: dict[str, tuple[Callable[[Tensor], object], Callable[[object], Tensor]]] = {
        "geocore": (ours.forward, ours.inverse)  # type: ignore[dict-item]
    }
    textbook = Textbook(bandlimit)
    kinds["textbook"] = (textbook.forward, textbook.inverse)  # type: ignore[assignment]
    padded = Padded(bandlimit)
    kinds["padded"] = (padded.forward, padded.inverse)  # type: ignore[assignment]
    if bandlimit <= DENSE_LARGEST:
        dense = Dense(bandlimit)
        kinds["dense"] = (dense.forward, dense.inverse)  # type: ignore[assignment]
    projected = ours.inverse(ours(x))
    for name, (there, back) in kinds.items():
        error = (back(there(x)) - projected).abs().max() / projected.abs().max()
        assert float(error) < 1e-5, f"{name} differs by {float(error):.2g}"
    seconds: dict[str, list[float]] = {name: [math.inf, math.inf] for name in kinds}
    for _ in range(repeats):  # in turns, so that a busy moment hits all alike
        for name, (there, back) in kinds.items():
            began = time.perf_counter()
            found = there(x)
            half = time.perf_counter()
            back(found)
            done = time.perf_counter()
            seconds[name][0] = min(seconds[name][0], half - began)
            seconds[name][1] = min(seconds[name][1], done - half)
    table = Table(
        title=f"SO(3), b = {bandlimit}, {maps} maps, float32, 1 thread, best of {repeats}; "
        f"tables built in {1e3 * built:.0f} ms"
    )
    for column in ("", "forward ms", "inverse ms", "pair ms", "times as long as geocore"):
        table.add_column(column, justify="left" if not column else "right")
    base = sum(seconds["geocore"])
    for name, (there_s, back_s) in seconds.items():
        pair = there_s + back_s
        table.add_row(
            name, f"{1e3 * there_s:.1f}", f"{1e3 * back_s:.1f}", f"{1e3 * pair:.1f}",
            f"{pair / base:.1f}",
        )  # fmt: skip
    return table


def _scaling(bandlimits: list[int], maps: int, repeats: int) -> Table:
    """Seconds of a pair against ``b``, and the exponent of the line through their logarithms."""
    table = Table(title=f"Scaling in b: pairs of {maps} maps, float32, 1 thread")
    for column in ("b", "SO(3) ms", "S2 ms"):
        table.add_column(column, justify="right")
    logs: list[list[float]] = []
    for b in bandlimits:
        row = []
        for kind in (SO3Transform, S2Transform):
            transform = kind(b, dtype=torch.float32)
            x = torch.randn(maps, *transform.grid_shape)
            best = math.inf
            for _ in range(repeats):
                began = time.perf_counter()
                transform.inverse(transform(x))
                best = min(best, time.perf_counter() - began)
            row.append(best)
        table.add_row(str(b), *(f"{1e3 * seconds:.2f}" for seconds in row))
        logs.append([math.log(b), *(math.log(seconds) for seconds in row)])
    points = torch.tensor(logs, dtype=torch.float64)
    centred = points - points.mean(dim=0)
    slopes = (centred[:, :1] * centred[:, 1:]).sum(dim=0) / centred[:, 0].square().sum()
    table.add_row("exponent", *(f"{slope:.2f}" for slope in slopes.tolist()))
    return table


if __name__ == "__main__":
    main()
