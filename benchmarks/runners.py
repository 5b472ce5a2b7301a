"""Dask with two single-threaded workers against one: resampling, ensemble, kernel, evaluation.

Whole stages (``STAGE.make``; ``resample`` without its pictures) on tables of noise, with workers
that have imported torch already; what starting them costs stands in a line of its own. A member of
the ensemble is a process on a worker, and none here. Seconds on the clock, so the machine must be
idle; a shared one is faster at one minute than at the next, so none, one and two workers take
turns and the least of some rounds is told. All runs of a stage give the same bytes, which is
checked.

    python benchmarks/runners.py [--rows 20000] [--epochs 6] [--tests 3000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table as Shown
from safetensors.torch import save_file

from geocore.camera.record import camera_to_dict
from geocore.config.ensemble import EnsembleParams
from geocore.config.evaluate import EvaluateParams
from geocore.config.model import ModelParams
from geocore.config.resample import ResampleParams
from geocore.config.runtime import RuntimeParams, usable_cores
from geocore.config.section import Section
from geocore.config.train import TrainParams
from geocore.data.table import Table, TableWriter, rows_per_part
from geocore.data.tablecamera import flat_camera
from geocore.data.tabletype import Camera, TableInfo, TableType
from geocore.kernels.composed import serial
from geocore.kernels.convolution import Convolution
from geocore.kernels.layers import Dense, GlobalAveragePool, Relu
from geocore.models.registry import ModelInfo, build
from geocore.pipeline import ensemble, evaluate, ntk, resample, sphere_pictures
from geocore.pipeline.code import deciding_code
from geocore.pipeline.kernel_blocks import StoredKernels
from geocore.pipeline.progress import Progress
from geocore.pipeline.stage import Job, Stage
from geocore.runs.cluster import Cluster
from geocore.runs.digest import digest_json, digest_path, digest_tree
from geocore.runs.store import Store
from geocore.so3.sampling import random_rotations

RUNTIME = RuntimeParams(device="cpu", threads=1, workers=1, checkpoint_every=10**6, progress=False)
SIDE, NSIDE = 64, 32  # of images in colour with a class and a depth a pixel
RESAMPLE = {
    "grid": "healpix", "nside": NSIDE, "ordering": "nested", "faces": list(range(12)),
    "bandlimit": None, "dtype": "uint8",
}  # fmt: skip
MODEL = {
    "name": "healpix_encoder", "block": "mlp", "embed": 32, "depths": [2, 2], "heads": [4, 8],
    "window": 16, "mlp_ratio": 2.0, "dropout": 0.1, "position": "orbit",
}  # fmt: skip
TRAIN = {
    "task": "classification", "loss": "cross_entropy", "class_weights": "none", "depth_scale": None,
    "seed": 0, "batch_size": 32, "lr": 0.002, "weight_decay": 0.05, "warmup_epochs": 1,
    "label_smoothing": 0.0, "clip_norm": 1.0, "patience": 1000,
}  # fmt: skip
MEMBERS, IMAGES = 4, 600
EVALUATE = {
    "batch_size": 128, "calibration_bins": 15, "rotations": 5, "samples": 64, "invalid_classes": [],
    "chamfer_points": 1, "seed": 0,
}  # fmt: skip
SAMPLES, BLOCK = 256, 32
KERNEL = serial(
    Convolution((3, 3)), Relu(), Convolution((3, 3)), Relu(), GlobalAveragePool(), Dense()
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20000, help="images that are resampled")
    parser.add_argument("--epochs", type=int, default=6, help="of each member of the ensemble")
    parser.add_argument("--tests", type=int, default=3000, help="maps that are tested on")
    parser.add_argument("--rounds", type=int, default=3, help="of which the least is told")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    sphere_pictures.draw_samples = no_pictures
    for stage in (resample.STAGE, ensemble.STAGE, ntk.STAGE, evaluate.STAGE):
        deciding_code([f"geocore.pipeline.{stage.name}"])  # as opening a job has read it
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        planar(root / "resample/data/projected", chosen.rows)
        maps(root / "ensemble/data/healpix", 8, IMAGES)
        network(root / "evaluate", maps(root / "evaluate/data/healpix", 16, 4 * chosen.tests))
        pieces: dict[str, Callable[[Path], Callable[[], str]]] = {
            f"resample, {chosen.rows} images of {SIDE} x {SIDE} to nside {NSIDE}": resampling,
            f"ensemble, {MEMBERS} members on {IMAGES} maps at nside 8, {chosen.epochs} epochs": (
                partial(trained, epochs=chosen.epochs)
            ),
            f"kernel, {SAMPLES} images of 8 x 8, blocks of {BLOCK}": kernel,
            f"evaluate, {chosen.tests} test maps at nside 16": measured,
        }
        found: dict[str, dict[int, list[float]]] = {what: defaultdict(list) for what in pieces}
        starts: dict[int, list[float]] = defaultdict(list)
        digests: dict[str, set[str]] = {what: set() for what in pieces}
        for workers in (0, 1, 2) * chosen.rounds:
            with Cluster("local", max(1, workers)) as cluster:
                if workers:
                    begun = time.perf_counter()
                    cluster.client()
                    starts[workers].append(time.perf_counter() - begun)
                    while cluster.width() < workers:
                        time.sleep(0.05)
                    cluster.client().run(warm)
                    assert cluster._process is not None
                    os.environ["GEOCORE_DASK"] = cluster._process.address
                else:
                    os.environ.pop("GEOCORE_DASK", None)
                for what, piece in pieces.items():
                    begun = time.perf_counter()
                    made = piece(root)
                    seconds = time.perf_counter() - begun
                    found[what][workers].append(seconds)
                    digests[what].add(made())
                    print(f"{workers} workers: {what}: {seconds:.1f} s", file=sys.stderr)
    tell(
        {what: [min(some[workers]) for workers in (0, 1, 2)] for what, some in found.items()},
        [min(starts[workers]) for workers in (1, 2)],
        all(len(some) == 1 for some in digests.values()),
        chosen.rounds,
    )


def warm() -> None:
    """What a worker imports before its first piece of work."""
    import geocore.pipeline.evaluation
    import geocore.pipeline.kernel_dask
    import geocore.pipeline.onto_sphere  # noqa: F401


def no_pictures(table: Table, folder: Path) -> None:
    """A stage draws a few maps, which takes two seconds whatever their number."""
    del table
    folder.mkdir(parents=True, exist_ok=True)


def resampling(root: Path) -> Callable[[], str]:
    job = job_of(
        resample.STAGE, root / "resample", ResampleParams.read(RESAMPLE), inputs=("projected",)
    )
    resample.STAGE.make(job)
    return lambda: digest_tree(root / "resample/data/healpix")


def trained(root: Path, epochs: int) -> Callable[[], str]:
    job = job_of(
        ensemble.STAGE,
        root / "ensemble",
        ModelParams.read(MODEL),
        TrainParams.read({**TRAIN, "epochs": epochs}),
        EnsembleParams(members=MEMBERS, chunk=1, seed=0),
        inputs=("healpix",),
    )
    files = ensemble.STAGE.make(job)["files"]
    return lambda: digest_json(files)


def kernel(root: Path) -> Callable[[], str]:
    x = torch.rand(SAMPLES, 8, 8, 1, generator=torch.Generator().manual_seed(0)).double()
    found = StoredKernels(job_of(ntk.STAGE, root / "kernel"), block=BLOCK).symmetric(KERNEL, x)
    return lambda: hashlib.sha256(b"".join(k.numpy().tobytes() for k in found)).hexdigest()


def measured(root: Path) -> Callable[[], str]:
    job = job_of(
        evaluate.STAGE,
        root / "evaluate",
        EvaluateParams.read(EVALUATE),
        inputs=("healpix", "weights", "model"),
    )
    files = evaluate.STAGE.make(job)["files"]
    return lambda: digest_json(files)


def job_of(stage: Stage, root: Path, *sections: Section, inputs: tuple[str, ...] = ()) -> Job:
    """A job of the stage with an empty store."""
    shutil.rmtree(root / "store", ignore_errors=True)
    places = {name: stage.takes[name].path for name in inputs}
    tables = {name: "/table.json" * (stage.takes[name].kind == "table") for name in inputs}
    return Job(
        stage=stage,
        root=root,
        sections={section.title: section for section in (*sections, RUNTIME)},
        values={},
        inputs={name: digest_path(root / (places[name] + tables[name])) for name in inputs},
        store=Store(root / "store"),
        work=root / "work",
        key="0" * 32,
        code="code",
        progress=Progress(False),
        places={name: (path,) for name, path in places.items()},
    )


def planar(folder: Path, rows: int) -> None:
    """Noise on the sphere, each image turned by a rotation of its own."""
    kind = TableType(
        grid="planar", height=SIDE, width=SIDE, channels=3, dtype="uint8", label_kind="mask"
    )
    model = camera_to_dict(flat_camera("stereographic", 100.0, SIDE, SIDE))
    camera = Camera("stereographic", 100.0, "so3", model, False)
    info = TableInfo(type=kind, source="noise", classes=("a", "b"), camera=camera)
    place = np.arange(rows, dtype=np.int64)
    noise = np.random.default_rng(0)
    write(folder, info, {
        "sample": place,
        "image": noise.integers(0, 256, (rows, SIDE, SIDE, 3), np.uint8),
        "label": noise.integers(0, 2, (rows, SIDE**2), np.uint8),
        "depth": noise.random((rows, SIDE**2), np.float32),
        "split": (place % 3).astype(np.uint8),
        "rotation": random_rotations("so3", 0, place).numpy(),
    })  # fmt: skip


def maps(folder: Path, nside: int, rows: int) -> TableInfo:
    kind = TableType(
        grid="healpix", nside=nside, ordering="nested", faces=tuple(range(12)), channels=1,
        dtype="float32", label_kind="class",
    )  # fmt: skip
    info = TableInfo(type=kind, source="noise", classes=("a", "b"))
    place = np.arange(rows, dtype=np.int64)
    images = np.random.default_rng(0).random((rows, kind.pixels, 1), np.float32)
    split = (place % 4 // 2 + place % 4 // 3).astype(np.uint8)
    write(folder, info, {"sample": place, "image": images, "label": place % 2, "split": split})
    return info


def network(root: Path, info: TableInfo) -> None:
    """One that was never trained: what it costs to measure is the same."""
    params = ModelParams.read(MODEL)
    model = build(params, info.type, len(info.classes), seed=0)
    folder = root / "results/train"
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "weights.safetensors")
    parameters = sum(weight.numel() for weight in model.parameters())
    about = ModelInfo(params, info.type, info.classes, parameters, info.normaliser)
    (folder / "model.json").write_text(json.dumps(about.to_json()), encoding="utf-8")


def write(folder: Path, info: TableInfo, columns: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    writer, step = TableWriter(info), rows_per_part(info.type)
    for number, start in enumerate(range(0, len(columns["sample"]), step)):
        part = {name: value[start : start + step] for name, value in columns.items()}
        writer.write_part(folder / f"part-{number:05d}.arrow", part)
    writer.seal(folder)


def tell(found: dict[str, list[float]], starts: list[float], same: bool, rounds: int) -> None:
    console = Console(width=120)
    console.print("python benchmarks/runners.py", highlight=False)
    shown = Shown(
        title=f"one thread a worker; images uint8, networks float32, kernel float64; "
        f"torch {torch.__version__.partition('+')[0]}; {usable_cores()} cores; least of {rounds}"
    )
    for column in ("stage", "here, s", "1 worker, s", "2 workers, s", "1 / 2"):
        shown.add_column(column)
    for what, (here, one, two) in found.items():
        shown.add_row(what, f"{here:.1f}", f"{one:.1f}", f"{two:.1f}", f"{one / two:.2f}")
    console.print(shown)
    console.print(
        f"Starting a cluster of one and of two: {starts[0]:.1f} s and {starts[1]:.1f} s, not "
        f"counted above. Bytes {'equal' if same else 'DIFFER'} whatever the runner.\n"
        "Asked for: two workers at least 1.5 times one, of resampling and ensembles.",
        highlight=False,
    )


if __name__ == "__main__":
    main()
