"""Images onto HEALPix: this library against a loop of scipy's ``map_coordinates``, one thread.

    python benchmarks/resample.py --images 2000 --repeats 9

One loop evaluates every centre of the grid, the other only those that lie in the image; where
each image has a rotation of its own, both compute their coordinates image by image. Each figure
is the best of several rounds, which take turns, so that a busy machine slows all rows alike.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.ndimage import map_coordinates

from geocore.camera.models import Stereographic
from geocore.camera.pose import look_at
from geocore.camera.rotated import RotatedSampler
from geocore.camera.sampling import SharedSampler, bilinear_points, sample_reference
from geocore.healpix.grid import pixel_centres
from geocore.so3.rotation import compose, quaternion_to_matrix
from geocore.so3.sampling import random_rotations

SIZE = 28


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--nside", type=int, default=16)
    parser.add_argument("--angle", type=float, default=100.0, help="degrees across the image")
    parser.add_argument("--repeats", type=int, default=7)
    chosen = parser.parse_args()
    torch.set_num_threads(1)

    camera = Stereographic.from_angle_of_view(chosen.angle, SIZE, SIZE)
    centres = pixel_centres(chosen.nside)
    base = look_at(90.0, 45.0)
    random = random_rotations("so3", 0, np.arange(chosen.images))
    rotations = compose(random, base.expand(chosen.images, 4))
    images = torch.rand(chosen.images, SIZE, SIZE, 1, generator=torch.Generator().manual_seed(0))
    shared, rotated = SharedSampler(camera, base, centres), RotatedSampler(camera, centres)
    fixed = base.expand(chosen.images, 4)

    few = slice(0, max(1, chosen.images // 10))  # the loops are slow: a tenth of the images
    rows: list[tuple[str, str, int, Callable[[], object]]] = []
    for geometry, poses, per_image in (("shared", fixed, False), ("per image", rotations, True)):
        loop = Loop(camera, centres, poses[few], images[few], per_image)
        rows.append((geometry, "scipy loop, every centre", len(images[few]), loop.everywhere))
        rows.append((geometry, "scipy loop, centres in the image", len(images[few]), loop.inside))
    rows.insert(2, ("shared", "plain gather (torch)", chosen.images, Gather(shared, base, centres,
                    images)))  # fmt: skip
    rows.insert(3, ("shared", "SharedSampler", chosen.images, lambda: shared(images)))
    rows.append(("per image", "RotatedSampler", chosen.images, lambda: rotated(images, rotations)))

    check(camera, shared, rotated, images[:16], base, rotations[:16], centres)
    best = [float("inf")] * len(rows)
    for _ in range(chosen.repeats):
        for number, (_, _, count, run) in enumerate(rows):
            start = time.perf_counter()
            run()
            best[number] = min(best[number], (time.perf_counter() - start) / count)
    show(rows, best, chosen)


class Loop:
    """The plain way: one image after the other through ``map_coordinates``."""

    def __init__(
        self,
        camera: Stereographic,
        centres: torch.Tensor,
        poses: torch.Tensor,
        images: torch.Tensor,
        per_image: bool,
    ) -> None:
        self.camera, self.centres, self.per_image = camera, centres.numpy(), per_image
        self.frames = quaternion_to_matrix(poses).numpy()
        self.images = images[..., 0].numpy()
        self.first = self.coordinates(self.frames[0])

    def coordinates(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y, z = (self.centres @ frame).T
        scale = self.camera.focal
        place = np.stack([2 * y / (1 + z), 2 * x / (1 + z)]) * scale + (SIZE - 1) / 2
        return place, np.all(np.abs(place - (SIZE - 1) / 2) <= SIZE / 2, axis=0)

    def everywhere(self) -> np.ndarray:
        out = np.empty((len(self.images), len(self.centres)), np.float32)
        for row, (image, frame) in enumerate(zip(self.images, self.frames, strict=True)):
            place, inside = self.coordinates(frame) if self.per_image else self.first
            map_coordinates(image, place, output=out[row], order=1, mode="nearest")
            out[row] *= inside
        return out

    def inside(self) -> np.ndarray:
        out = np.zeros((len(self.images), len(self.centres)), np.float32)
        for row, (image, frame) in enumerate(zip(self.images, self.frames, strict=True)):
            if self.per_image or row == 0:
                place, inside = self.coordinates(frame) if self.per_image else self.first
                place = place[:, inside]
            out[row, inside] = map_coordinates(image, place, order=1, mode="nearest")
        return out


class Gather:
    """All images at once, but gathering four neighbours a centre."""

    def __init__(
        self,
        shared: SharedSampler,
        base: torch.Tensor,
        centres: torch.Tensor,
        images: torch.Tensor,
    ) -> None:
        u, v, _ = shared.camera.project(centres @ quaternion_to_matrix(base))
        self.images, self.shared = images, shared
        self.pixels, weights = bilinear_points(shared.camera, u[shared.valid], v[shared.valid])
        self.weights = weights.float()

    def __call__(self) -> torch.Tensor:
        out = torch.zeros(len(self.images), len(self.shared.valid))
        out[:, self.shared.valid] = (self.images.flatten(1)[:, self.pixels] * self.weights).sum(-1)
        return out


def check(
    camera: Stereographic,
    shared: SharedSampler,
    rotated: RotatedSampler,
    images: torch.Tensor,
    base: torch.Tensor,
    rotations: torch.Tensor,
    centres: torch.Tensor,
) -> None:
    """The rows compute the same thing, or the comparison means nothing."""
    poses = base.expand(len(images), 4)
    for values, those in ((shared(images), poses), (rotated(images, rotations)[0], rotations)):
        expected, _ = sample_reference(images, camera, those, centres)
        loop = Loop(camera, centres, those, images, True)
        for found in (values[..., 0], torch.from_numpy(loop.everywhere()),
                      torch.from_numpy(loop.inside())):  # fmt: skip
            torch.testing.assert_close(found.double(), expected[..., 0], atol=1e-5, rtol=0)


def show(
    rows: list[tuple[str, str, int, Callable[[], object]]],
    best: list[float],
    chosen: argparse.Namespace,
) -> None:
    table = Table(
        title=f"{chosen.images} images of {SIZE} x {SIZE} onto nside {chosen.nside}, 12 faces, "
        "float32, one thread"
    )
    for heading in ("rotation", "method", "us / image", "x every centre", "x centres in the image"):
        table.add_column(heading, justify="left" if heading in ("rotation", "method") else "right")
    loops: dict[str, list[float]] = {}
    for (geometry, name, _, _), seconds in zip(rows, best, strict=True):
        if name.startswith("scipy"):
            loops.setdefault(geometry, []).append(seconds)
    for (geometry, name, _, _), seconds in zip(rows, best, strict=True):
        ratios = [f"{loop / seconds:.1f}" for loop in loops[geometry]]
        table.add_row(geometry, name, f"{seconds * 1e6:.1f}", *ratios)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
