"""S2CNN layers: seconds of a step on one thread, and what an activation costs in equivariance.

    python benchmarks/s2cnn.py
    python benchmarks/s2cnn.py --bandlimit 30 --batch 8
    python benchmarks/s2cnn.py --errors
    python benchmarks/s2cnn.py --classifier --batch 64
    python benchmarks/s2cnn.py --sums --batch 64

The first: forward and backward of S2Convolution(1, 11) -> SO3Convolution(11, 12) ->
SO3ToS2(12, 11), with and without ReLU between, best of several; and the first call with all
tables built. The named peer is the same SO(3) product with padded matrices of all orders for every
degree, one batched product.

The second: ``|fn(R f) - R fn(f)| / |fn(f)|``, the mean over random rotations ``R``, for white noise
of full band and mean square 1, on the sphere and on SO(3), against the oversampling.

The third: a step of whole classifiers of samples of bandlimit 30, of all orders in the last angle
and of few, in milliseconds of processor time a sample, best of several. The peer is the size of
Cohen et al. (features 20 40, bandlimits 10 6).

The fourth: samples on SO(3) of signals of few orders, forward and backward, by the sums of
``steered.py`` and by FFTs over the same orders, in milliseconds of processor time.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from geocore.models.s2cnn.activation import S2Activation, SO3Activation
from geocore.models.s2cnn.convolution import S2Convolution, SO3Convolution
from geocore.models.s2cnn.kernels import s2_kernel_grid, so3_kernel_grid
from geocore.models.s2cnn.layout import Layout
from geocore.models.s2cnn.networks import S2CNNClassifier
from geocore.models.s2cnn.pooling import SO3ToS2
from geocore.models.s2cnn.steered import SteeredTransform
from geocore.so3.orders import all_orders
from geocore.so3.wigner import wigner_D

OVERSAMPLINGS = (1, 1.5, 2, 3, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bandlimit", type=int, default=20)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--errors", action="store_true", help="the table of errors instead")
    parser.add_argument("--classifier", action="store_true", help="steps of whole classifiers")
    parser.add_argument("--sums", action="store_true", help="sums of few orders against FFTs")
    parser.add_argument("--rotations", type=int, default=10)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.errors:
        show_errors(10, chosen.rotations)
    elif chosen.classifier:
        show_classifiers(chosen.batch, chosen.repeats)
    elif chosen.sums:
        show_sums(chosen.batch, chosen.repeats)
    else:
        show_seconds(chosen.bandlimit, chosen.batch, chosen.repeats)


def network(bandlimit: int, oversampling: float | None) -> nn.Sequential:
    """The three layers, with ReLU between them unless ``oversampling`` is None."""
    generator = torch.Generator().manual_seed(0)
    sizes, beta = (bandlimit, bandlimit), min(math.pi, 6.19 * math.pi / bandlimit)
    on_s2, on_so3 = s2_kernel_grid(beta), so3_kernel_grid(beta)
    layers: list[nn.Module] = [
        S2Convolution(1, 11, *sizes, on_s2, generator=generator),
        SO3Convolution(11, 12, *sizes, on_so3, generator=generator),
        SO3ToS2(12, 11, *sizes, on_so3, generator=generator),
    ]
    if oversampling is not None:
        relu = SO3Activation("relu", bandlimit, oversampling=oversampling)
        layers = [layers[0], relu, layers[1], relu, layers[2]]
    return nn.Sequential(*layers)


def step(model: nn.Module, x: Tensor) -> None:
    differentiate(partial(model, x))


def differentiate(way: Callable[[], Tensor]) -> None:
    torch.view_as_real(way()).square().mean().backward()


def padded_product(signal: Tensor, kernel: Tensor) -> Tensor:
    """The naive way: ``(z, i, l, m, n)`` and ``(l, k, n, o, i)``, all of every degree."""
    return torch.einsum("zilmn,lknoi->zolmk", signal, kernel.conj())


def show_seconds(bandlimit: int, batch: int, repeats: int) -> None:
    x = white_s2((batch, 1), bandlimit, torch.complex64)
    table = Table("layers", "first call, tables included", "step (forward + backward)")
    table.title = f"b = {bandlimit}, batch {batch}, one thread, float32, torch {torch.__version__}"
    for name, oversampling in (
        ("convolutions alone", None), ("with ReLU, oversampling 1", 1.0),
        ("with ReLU, oversampling 1.5", 1.5), ("with ReLU, oversampling 2", 2.0),
    ):  # fmt: skip
        start = time.perf_counter()
        model = network(bandlimit, oversampling)
        step(model, x)
        first = time.perf_counter() - start
        usual = min(seconds(partial(step, model, x)) for _ in range(repeats))
        table.add_row(name, f"{first:.2f} s", f"{usual:.3f} s")
    Console(width=110).print(table)
    width = 2 * bandlimit - 1
    layer = network(bandlimit, None)[1]
    signal = white_so3((batch, 11), bandlimit, torch.complex64).requires_grad_()
    kernel = torch.randn(bandlimit, width, width, 12, 11, dtype=torch.complex64).requires_grad_()
    ways: dict[str, Callable[[], Tensor]] = {
        "ours, kernel's transform included": lambda: layer(signal),
        "one padded batched product": lambda: padded_product(signal, kernel),
    }
    best = dict.fromkeys(ways, math.inf)
    for _ in range(repeats):  # the two take turns
        for name, way in ways.items():
            best[name] = min(best[name], seconds(partial(differentiate, way)))
    table = Table("SO3Convolution(11, 12)", "step (forward + backward)")
    for name, value in best.items():
        table.add_row(name, f"{value:.3f} s")
    ours, naive = best.values()
    table.add_row("times as fast", f"{naive / ours:.2f}")
    Console(width=110).print(table)


def show_classifiers(batch: int, repeats: int) -> None:
    x = torch.rand(batch, 60, 60, 1, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(batch) % 10
    table = Table("features", "bandlimits", "orders", "oversampling", "parameters", "ms a sample")
    table.title = f"classifier, batch {batch}, one thread, float32, torch {torch.__version__}"
    for features, bandlimits, orders, oversampling in (
        ((20, 40), (10, 6), None, 1.0), ((20, 40), (10, 6), (3, 1), 1.0),
        ((8, 16, 128), (16, 12, 8), None, 1.125), ((8, 16, 128), (16, 12, 8), (3, 3, 1), 1.125),
    ):  # fmt: skip
        layout = Layout(
            30, features, bandlimits, orders=orders, oversampling=oversampling,
            sampling="gauss-legendre", norm="channel", reach=2.5,
        )  # fmt: skip
        model = S2CNNClassifier(layout, hidden=(64,))
        best = min(classifier_seconds(model, x, labels) for _ in range(repeats))
        count = sum(p.numel() for p in model.parameters())
        named = (*map(str, (features, bandlimits, orders or "all", oversampling)), f"{count:,}")
        table.add_row(*named, f"{1000 * best / batch:.2f}")
    Console(width=110).print(table)


def classifier_seconds(model: nn.Module, x: Tensor, labels: Tensor) -> float:
    start = time.process_time()
    nn.functional.cross_entropy(model(x), labels).backward()
    return time.process_time() - start


def show_sums(batch: int, repeats: int) -> None:
    table = Table("b", "orders", "channels", "FFT, ms", "sums, ms", "ratio", "largest difference")
    table.title = f"samples, batch {batch}, one thread, float32, torch {torch.__version__}"
    for b, orders, channels in ((8, 1, 16), (8, 3, 16), (16, 3, 8), (24, 3, 4)):
        transform = SteeredTransform(b, orders, turns=2 * orders)
        f = torch.randn(*transform.coefficient_shape, channels, batch)
        f[0] = 0.0  # of m = 0 a real signal's n and -n are tied, and noise's are not
        f.requires_grad_()
        with torch.no_grad():
            ours, textbook = transform.inverse(f), by_fft(transform, f)
            off = float((ours - textbook).abs().max() / ours.abs().max())
        took = [
            min(sum_seconds(way, f) for _ in range(repeats))
            for way in (partial(by_fft, transform), transform.inverse)
        ]
        named = map(str, (b, orders, channels))
        fft, sums = (1000 * value for value in took)
        table.add_row(*named, f"{fft:.2f}", f"{sums:.2f}", f"{fft / sums:.1f}", f"{off:.0e}")
    Console(width=110).print(table)


def by_fft(transform: SteeredTransform, f: Tensor) -> Tensor:
    """The samples by the textbook: the sum over degrees, then an FFT over either angle."""
    b, n = transform.bandlimit, transform.orders
    rings = torch.bmm(transform.to_beta, f.reshape(len(transform.to_beta), b, -1))
    rings = rings.view(b, 2 * n - 1, 2, -1, *f.shape[4:])
    waves = torch.complex(rings[:, :, 0], rings[:, :, 1]).conj()
    spectrum = waves.movedim((0, 1), (-1, -2))
    spectrum = nn.functional.pad(spectrum, (0, 1, 0, transform.turns - 2 * n + 1))
    turned = torch.fft.ifft(spectrum.roll(1 - n, dims=-2), dim=-2, norm="forward")
    samples: Tensor = torch.fft.irfft(turned, n=2 * b, dim=-1, norm="forward")
    return samples.movedim((-1, -2), (0, 1))


def sum_seconds(way: Callable[[Tensor], Tensor], f: Tensor) -> float:
    start = time.process_time()
    way(f).sum().backward()
    return time.process_time() - start


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def show_errors(bandlimit: int, rotations: int) -> None:
    for grid in ("driscoll-healy", "gauss-legendre"):
        table = Table("on", "activation", *(f"oversampling {o}" for o in OVERSAMPLINGS))
        table.title = f"relative error of one activation, b = {bandlimit}, full band, {grid}"
        for domain in ("S2", "SO(3)"):
            for fn in ("relu", "gelu", "silu"):
                found = [error(domain, fn, bandlimit, o, grid, rotations) for o in OVERSAMPLINGS]
                table.add_row(domain, fn, *(f"{e:.4f}" for e in found))
        Console(width=120).print(table)


def error(domain: str, fn: str, b: int, oversampling: float, grid: str, rotations: int) -> float:
    sphere = domain == "S2"
    kind = S2Activation if sphere else SO3Activation
    layer = kind(fn, b, oversampling=oversampling, grid=grid, dtype=torch.float64)  # type: ignore[arg-type]
    make = white_s2 if sphere else white_so3
    f = make((1, 16) if sphere else (1, 2), b, torch.complex128)
    plain, total = layer(f), 0.0
    draws = torch.rand(rotations, 3, generator=torch.Generator().manual_seed(0)).tolist()
    for first, second, third in draws:
        angles = (2 * math.pi * first, math.acos(1 - 2 * second), 2 * math.pi * third)
        expected = rotated(plain, angles, sphere)
        total += float((layer(rotated(f, angles, sphere)) - expected).norm() / plain.norm())
    return total / rotations


def rotated(half: Tensor, angles: tuple[float, float, float], sphere: bool) -> Tensor:
    """``D^l f_l`` on the sphere, ``conj(D^l) f^l`` on SO(3)."""
    full = all_orders(half, 1 if sphere else 2)
    full = full[..., None] if sphere else full
    b, out = full.shape[-3], torch.zeros_like(full)
    alpha, beta, gamma = torch.tensor(angles, dtype=torch.float64)
    for l in range(b):
        matrix = wigner_D(l, alpha, beta, gamma)
        span = slice(b - 1 - l, b + l)
        out[..., l, span, :] = (matrix if sphere else matrix.conj()) @ full[..., l, span, :]
    turned = out[..., b - 1 :, :]
    return turned[..., 0] if sphere else turned


def white_s2(shape: tuple[int, ...], b: int, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(*shape, b, b, dtype=torch.complex128, generator=generator)
    half[..., 0] = half[..., 0].real * 2**0.5
    signal: Tensor = half.tril() * (4 * math.pi) ** 0.5 / b
    return signal.to(dtype)


def white_so3(shape: tuple[int, ...], b: int, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(*shape, b, b, 2 * b - 1, dtype=torch.complex128, generator=generator)
    n, degree = torch.arange(1 - b, b), torch.arange(b)[:, None, None]
    row = half[..., 0, :]
    half[..., 0, :] = (row + (row.conj() * (1 - 2 * (n % 2))).flip(-1)) / 2**0.5
    inside = (torch.arange(b)[:, None] <= degree) & (n.abs() <= degree)
    scale = ((2 * degree + 1) * b * (4 * b**2 - 1) / 3) ** -0.5
    return (half * inside * scale).to(dtype)


if __name__ == "__main__":
    main()
