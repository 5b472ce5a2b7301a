"""What each stage costs as it grows: lines through two sizes, held against a third, drawn on.

``seconds = a + b size`` on one thread, processor time, best of a few turns: ``a`` and ``b`` from
two sizes, the error at the third, four times as large. From there to nside 256 with 10^6 images,
and to a kernel of 10^5. ``docs/scaling.md`` says what follows.

    python benchmarks/scaling.py [--repeats 3]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from rich.console import Console
from rich.table import Table as Shown

from geocore.config.model import SwinParams
from geocore.data.sources.image_folder import ImageFolder
from geocore.data.table import Table, TableWriter
from geocore.data.tabletype import Camera, TableInfo, TableType
from geocore.kernels.block import kernel_block
from geocore.kernels.composed import serial
from geocore.kernels.group_layers import GroupConvolution, GroupPool, LiftingConvolution
from geocore.kernels.layers import Dense, GlobalAveragePool, Relu
from geocore.models.heal_swin import HealSwin
from geocore.pipeline.onto_sphere import OntoSphere
from geocore.so3.sampling import random_rotations

FACES = tuple(range(12))
IMAGES, NSIDE, PIXELS = 10**6, 256, 12 * 256**2
EPOCHS, MEMBERS, TURNS = 30, 8, 19  # of a training; of an ensemble; rotations that are measured
SAMPLES = 10**5  # of a kernel
ROWS = 24  # images that are projected or resampled at a time
KERNEL = serial(
    LiftingConvolution(3, padding="circular"), Relu(), GroupConvolution(3, padding="circular"),
    Relu(), GroupPool(), GlobalAveragePool(), Dense(),
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """``seconds = a + b size``: from two sizes, and how far it is off at the third."""

    unit: str
    sizes: tuple[int, int, int]
    seconds: tuple[float, float, float]

    @property
    def b(self) -> float:
        return (self.seconds[1] - self.seconds[0]) / (self.sizes[1] - self.sizes[0])

    @property
    def a(self) -> float:
        return self.seconds[0] - self.b * self.sizes[0]

    def at(self, size: float) -> float:
        return self.a + self.b * size

    @property
    def error(self) -> float:
        """Of what is predicted at the third size, relative to what was measured there."""
        return self.at(self.sizes[2]) / self.seconds[2] - 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    with TemporaryDirectory() as name:
        root = Path(name)
        lines = {
            "fetch, an image": measured(
                "pixel", (64**2, 128**2, 256**2), lambda n: fetching(root, n), repeats, ROWS
            ),
            "project, an image": measured(
                "pixel", (64**2, 128**2, 256**2), lambda n: projecting(root, n), repeats, ROWS
            ),
            "resample, an image": measured(
                "pixel", tuple(12 * n**2 for n in (16, 32, 64)), lambda n: resampling(root, n),
                repeats, ROWS,
            ),
            "train, a sample": measured("pixel", (1024, 4096, 16384), training, repeats),
            "evaluate, a sample": measured("pixel", (1024, 4096, 16384), inference, repeats),
            "kernel, a block": measured("pair", (16**2, 32**2, 64**2), block, repeats),
        }  # fmt: skip
    tell(lines)


def measured(
    unit: str,
    sizes: tuple[int, ...],
    made: Callable[[int], Callable[[], object]],
    repeats: int,
    of: int = 1,
) -> Line:
    """The line of the work ``made(size)``, which is done for ``of`` images at a time."""
    seconds = []
    for size in sizes:
        work, best = made(size), float("inf")
        work()  # warms up
        for _ in range(repeats):
            begun = time.process_time()
            work()
            best = min(best, time.process_time() - begun)
        seconds.append(best / of)
    return Line(unit, (sizes[0], sizes[1], sizes[2]), (seconds[0], seconds[1], seconds[2]))


def table(root: Path, side: int) -> Table:
    """Noise, ``ROWS`` images of ``side`` by ``side``, each turned by a rotation of its own."""
    folder = root / str(side)
    if not folder.exists():
        folder.mkdir()
        kind = TableType(
            grid="planar", height=side, width=side, channels=1, dtype="uint8", label_kind="class"
        )
        camera = Camera("stereographic", 100.0, "so3", None, False)
        writer = TableWriter(TableInfo(kind, "noise", ("a", "b"), camera=camera))
        place = np.arange(ROWS, dtype=np.int64)
        generator = np.random.default_rng(0)
        writer.write_part(folder / "part-00000.arrow", {
            "sample": place, "label": place % 2, "split": (place % 3).astype(np.uint8),
            "image": generator.integers(0, 256, (ROWS, side, side, 1), np.uint8),
            "rotation": random_rotations("so3", 0, place).numpy(),
        })  # fmt: skip
        writer.seal(folder)
    return Table.open(folder)


def fetching(root: Path, pixels: int) -> Callable[[], object]:
    """What ``fetch`` does with files of one's own: headers, digests, decoded, written, digested.

    The files are PNG in colour, smooth with a little noise, 1.3 to 2.0 bytes a pixel.
    """
    side = int(pixels**0.5)
    folder, target = root / f"files{side}" / "a", root / "fetched"
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] * (2 * np.pi / side)
    for number in range(ROWS):
        waves = [np.sin(generator.integers(1, 4) * x + y * generator.integers(1, 4)) for _ in "rgb"]
        image = 128 + 80 * np.stack(waves, axis=-1) + generator.normal(0, 1, (side, side, 3))
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"{number:04}.png")

    def work() -> None:
        source = ImageFolder(folder.parent)
        kind = TableType(
            grid="planar", height=side, width=side, channels=3, dtype="uint8", label_kind="class"
        )
        writer = TableWriter(TableInfo(kind, source.name, source.classes))
        target.mkdir(exist_ok=True)
        rows = np.arange(ROWS)
        (images,) = source.images(rows, ROWS)
        writer.write_part(target / "part-00000.arrow", {
            "sample": rows, "label": source.labels, "split": (rows % 3).astype(np.uint8),
            "image": images,
        })  # fmt: skip
        writer.seal(target)

    return work


def projecting(root: Path, pixels: int) -> Callable[[], object]:
    """What ``project`` does with a part but for its rotations: rows gathered, written, digested."""
    given = table(root, int(pixels**0.5))
    writer, target = TableWriter(given.info), root / "made"
    rows = np.arange(ROWS)

    def work() -> None:
        target.mkdir(exist_ok=True)
        columns = {name: given.column(name) for name in ("sample", "split", "rotation")}
        columns |= {"image": given.images(rows).numpy(), "label": given.labels(rows).numpy()}
        writer.write_part(target / "part-00000.arrow", columns)
        writer.seal(target)

    return work


def resampling(root: Path, pixels: int) -> Callable[[], object]:
    """Images of twice as many pixels a side as ``nside``, onto all twelve faces."""
    nside = int((pixels / 12) ** 0.5)
    given = table(root, 2 * nside)
    kind = TableType(
        grid="healpix", nside=nside, ordering="nested", faces=FACES, channels=1, dtype="float32",
        label_kind="class",
    )  # fmt: skip
    info = TableInfo(kind, "noise", ("a", "b"), given.info.camera, 255.0)
    resampler = OntoSphere(given, info)
    return lambda: resampler.columns(slice(0, ROWS))


def network(pixels: int) -> tuple[HealSwin, torch.Tensor, torch.Tensor]:
    """HEAL-SWIN at the paper's widths on one face, which is linear in the pixels."""
    params = SwinParams(
        name="heal_swin", embed=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24), window=64,
        mlp_ratio=4.0, dropout=0.1, position="none", shift="grid", norm="post", attention="cosine",
        relative_bias=True, dropout_kind="element", attention_dropout=0.1, drop_path=0.1,
        checkpointing=False,
    )  # fmt: skip
    kind = TableType(
        grid="healpix", nside=int(pixels**0.5), ordering="nested", faces=(0,), channels=3,
        dtype="float32", label_kind="mask",
    )  # fmt: skip
    torch.manual_seed(0)
    model = HealSwin(kind, 10, params, dense=True)
    return model, torch.rand(1, *kind.shape), torch.randint(10, (1, kind.pixels))


def training(pixels: int) -> Callable[[], object]:
    model, x, labels = network(pixels)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        F.cross_entropy(model(x).mT, labels).backward()

    return step


def inference(pixels: int) -> Callable[[], object]:
    model, x, _ = network(pixels)
    model.eval()
    return torch.inference_mode()(lambda: model(x))


def block(pairs: int) -> Callable[[], object]:
    """A block of the C4 kernel of 8 x 8 images in float32, as ``benchmarks/kernel_matrix.py``."""
    size = int(pairs**0.5)
    x = torch.rand(2, size, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return lambda: kernel_block(KERNEL, x[0], x[1])


def tell(lines: dict[str, Line]) -> None:
    console = Console(width=120)
    console.print("python benchmarks/scaling.py", highlight=False)
    shown = Shown(
        title="one thread, processor seconds, float32 (projected images uint8), "
        f"torch {torch.__version__}; a + b size from the first two sizes"
    )
    for column in ("work", "sizes", "ms at the third", "a, ms", "b, ns", "error there"):
        shown.add_column(column)
    for what, line in lines.items():
        shown.add_row(
            what,
            ", ".join(map(str, line.sizes)) + f" {line.unit}s",
            f"{line.seconds[2] * 1e3:.2f}",
            f"{line.a * 1e3:.2f}",
            f"{line.b * 1e9:.1f}",
            f"{line.error:+.0%}",
        )
    console.print(shown)
    flat = (2 * NSIDE) ** 2
    step, ask = lines["train, a sample"].at(PIXELS), lines["evaluate, a sample"].at(PIXELS)
    pairs = SAMPLES * (SAMPLES + 1) / 2
    trained = IMAGES * 0.65
    hours = {
        f"fetch {IMAGES:.0e} files of {2 * NSIDE} x {2 * NSIDE}": IMAGES
        * lines["fetch, an image"].at(flat),
        f"project {IMAGES:.0e} images of {2 * NSIDE} x {2 * NSIDE}": IMAGES
        * lines["project, an image"].at(flat),
        f"resample them to nside {NSIDE}": IMAGES * lines["resample, an image"].at(PIXELS),
        f"train {EPOCHS} epochs of 65 % of them, HEAL-SWIN": EPOCHS * trained * step,
        f"an ensemble of {MEMBERS}": MEMBERS * EPOCHS * trained * step,
        f"evaluate: 15 % + 3 x 20 %, 128 samples of {TURNS} rotations": ask
        * (0.75 * IMAGES + 128 * (1 + TURNS)),
        f"kernel of {SAMPLES:.0e} images of 8 x 8": pairs * lines["kernel, a block"].b,
    }
    drawn = Shown(title="drawn on: core hours")
    drawn.add_column("work")
    drawn.add_column("core hours", justify="right")
    for what, seconds in hours.items():
        drawn.add_row(what, f"{seconds / 3600:,.1f}")
    console.print(drawn)


if __name__ == "__main__":
    main()
