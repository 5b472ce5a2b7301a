"""Scenes rendered and written as a folder: the time of many, and what the tiles of rays save.

    python benchmarks/scenes.py --scenes 1000 --workers 2

The first row is the whole: drawing, tracing, shading, encoding, writing. The others are one thread
on a few of the same scenes: the whole again, the picture with its labels and range, labels and
range alone, and the same with every ray against every solid (``closest_reference``). Core-seconds
do not count what else the machine does; wall time does.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from geocore.data.scenes.classes import CLASSES
from geocore.data.scenes.folder import write_scenes
from geocore.data.scenes.rays import ray_tiles, rotate
from geocore.data.scenes.render import default_camera, render
from geocore.data.scenes.seeds import scene_seed
from geocore.data.scenes.trace import closest, closest_reference
from geocore.data.scenes.world import draw_scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--few", type=int, default=10, help="scenes of the rows after the first")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    camera = default_camera(chosen.height, chosen.width)
    seeds = [scene_seed(0, "train", number) for number in range(chosen.scenes)]

    size = f"{chosen.width} x {chosen.height}"
    table = Table("what", "scenes", "wall s", "core s", "core s a scene", title=size)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        write_scenes(Path(folder), seeds, camera, workers=chosen.workers)
        wall = time.perf_counter() - started
        written = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    whole = f"written, {chosen.workers} processes, {written / 2**20:.0f} MiB"
    table.add_row(whole, str(len(seeds)), f"{wall:.0f}", "", "")

    few = [draw_scene(seed) for seed in seeds[: chosen.few]]
    tiles = ray_tiles(camera, 1)
    render(few[0], camera)  # the rays of the camera are made once
    counts = np.zeros(len(CLASSES))

    def written_here() -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_scenes(Path(folder), seeds[: chosen.few], camera)

    def picture() -> None:
        for scene in few:
            counts[:] += np.bincount(render(scene, camera).label.ravel(), minlength=len(CLASSES))

    def traced() -> None:
        for scene in few:
            directions = rotate(scene.rotation(), tiles.directions)
            closest(scene, tiles, directions, scene.rotation())

    def reference() -> None:
        for scene in few:
            closest_reference(scene, rotate(scene.rotation(), tiles.directions))

    rows: list[tuple[str, Callable[[], None]]] = [
        ("written, this process", written_here),
        ("image, labels, range", picture),
        ("labels, range", traced),
        ("labels, range: every ray against every solid", reference),
    ]
    for name, run in rows:
        started, before = time.perf_counter(), spent()
        run()
        wall, core = time.perf_counter() - started, spent() - before
        table.add_row(name, str(len(few)), f"{wall:.1f}", *figures(core, len(few)))
    Console(width=110).print(table)
    shares = zip(CLASSES, 100 * counts / counts.sum(), strict=True)
    print("per cent of the pixels:", ", ".join(f"{name} {share:.1f}" for name, share in shares))


def spent() -> float:
    """Seconds of the processor that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def figures(core: float, count: int) -> tuple[str, str]:
    return f"{core:.1f}", f"{core / count:.3f}"


if __name__ == "__main__":
    main()
