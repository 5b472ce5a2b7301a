"""A small project with dense tables of one set of samples, on the sphere and in the image plane."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from geocore.camera.lens import RadialCamera, valid_pixels
from geocore.camera.models import Equidistant
from geocore.camera.pose import look_at, tilted
from geocore.camera.record import camera_to_dict
from geocore.camera.rotated import RotatedSampler
from geocore.config.load import read_yaml, validate
from geocore.config.model import ModelParams
from geocore.data.table import IGNORED, TableWriter
from geocore.data.tabletype import Camera, TableInfo, TableType
from geocore.healpix.grid import pixel_centres
from geocore.models.registry import ModelInfo, build
from geocore.pipeline.evaluate import STAGE
from geocore.pipeline.run import make, open_job
from geocore.so3.rotation import matrix_to_quaternion, quaternion_to_matrix

__all__ = [
    "CAMERA",
    "CLASSES",
    "DEPTH",
    "FACES",
    "IMAGES",
    "MAPS",
    "NSIDE",
    "evaluated",
    "samples",
    "write_project",
    "write_table",
]

ROOT = Path(__file__).parents[2]
NSIDE, FACES, COUNT = 16, tuple(range(8)), 12
HEIGHT, WIDTH = 24, 32
CLASSES = ("sky", "ground", "pillar", "void")
# The lens ends inside the image: its corners see nothing.
CAMERA: RadialCamera = Equidistant(HEIGHT, WIDTH, 11.0, limit=80.0)
DEPTH = {"loss": "l2", "scale": "linear", "mean": 10.0, "std": 5.0}
MAPS = TableType(
    grid="healpix", nside=NSIDE, ordering="nested", faces=FACES, channels=3, dtype="float32",
    label_kind="mask",
)  # fmt: skip
IMAGES = TableType(
    grid="planar", height=HEIGHT, width=WIDTH, channels=3, dtype="uint8", label_kind="mask"
)
_MODEL: dict[str, Any] = {
    "embed": 8, "depths": [1, 1], "heads": [1, 2], "window": 4, "mlp_ratio": 1.0,
    "dropout": 0.0, "position": "none", "shift": "grid", "norm": "pre", "attention": "dot",
    "relative_bias": False, "dropout_kind": "element", "attention_dropout": 0.0, "drop_path": 0.0,
    "checkpointing": False,
}  # fmt: skip


def samples(camera: RadialCamera = CAMERA) -> dict[str, Any]:
    """Columns of the planar table: every third sample of a split, every other one tilted.

    No image is 0 where it is valid, so that what the feed blanks out can be told.
    """
    generator = np.random.default_rng(0)
    place = np.arange(COUNT)
    view = (place // 3 % 2).astype(np.uint8)
    base = look_at(0.0, 20.0)
    turns = [tilted(*(torch.tensor(a).double() for a in (25.0 * v, 0.0, 0.0))) for v in view]
    rotation = torch.stack(
        [
            matrix_to_quaternion(quaternion_to_matrix(base) @ quaternion_to_matrix(turn))
            for turn in turns
        ]
    )
    seen = valid_pixels(camera)
    label = generator.integers(0, len(CLASSES), (COUNT, 6, 8)).repeat(4, 1).repeat(4, 2)
    label[generator.random(label.shape) < 0.05] = IGNORED
    depth = generator.uniform(2, 30, (COUNT, HEIGHT, WIDTH)).astype(np.float32)
    depth[label == 0] = 0
    image = 60 * label[..., None].clip(0, 4) + generator.integers(1, 16, (*label.shape, 3))
    blind = ~seen.numpy()
    # What lies outside the lens is there to be found out if it counts.
    label[:, blind], depth[:, blind] = 3, 1000.0
    return {
        "sample": place * 3,
        "image": image.astype(np.uint8),
        "label": label.astype(np.uint8).reshape(COUNT, -1),
        "depth": depth.reshape(COUNT, -1),
        "split": (place % 3).astype(np.uint8),
        "view": view,
        "rotation": rotation.numpy(),
        "valid": np.broadcast_to(seen.numpy(), label.shape).reshape(COUNT, -1).copy(),
    }


def on_the_sphere(columns: dict[str, Any]) -> dict[str, Any]:
    """The same samples as ``resample`` gives them."""
    sampler = RotatedSampler(CAMERA, pixel_centres(NSIDE, FACES))
    rotation = torch.from_numpy(columns["rotation"])
    images = torch.from_numpy(columns["image"]).float() / 255
    mask = torch.from_numpy(columns["valid"]).reshape(COUNT, HEIGHT, WIDTH)
    values, valid = sampler(images, rotation, mask)
    flat = {
        name: sampler.labels(
            torch.from_numpy(columns[name]).reshape(COUNT, HEIGHT, WIDTH), rotation
        )
        for name in ("label", "depth")
    }
    label = torch.where(valid, flat["label"], IGNORED)
    return {
        **columns,
        "image": values.float().numpy(),
        "label": label.numpy(),
        "depth": torch.where(valid, flat["depth"], 0).numpy(),
        "valid": valid.numpy(),
    }


def write_table(
    root: Path, kind: TableType, columns: dict[str, Any], classes: tuple[str, ...] = CLASSES
) -> None:
    """``data/healpix`` or ``data/projected`` of ``columns``; those that are None are left out."""
    folder = root / ("data/healpix" if kind.grid == "healpix" else "data/projected")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    given = {name: value for name, value in columns.items() if value is not None}
    camera = Camera("source", None, "none", camera_to_dict(CAMERA), posed=True)
    info = TableInfo(
        type=kind,
        source="made up",
        classes=classes,
        camera=camera,
        views=("upright", "tilted") if "view" in given else (),
    )
    writer = TableWriter(info)
    writer.write_part(folder / "part-00000.arrow", given)
    writer.seal(folder)


def write_project(
    root: Path, kind: TableType, task: str, *, both: bool = True, **objective: Any
) -> nn.Module:
    """Tables, an untrained network for ``kind``, parameters and ``dvc.yaml``; the network."""
    for name in ("geocore", "flows", "tasks"):
        if not (root / name).exists():
            (root / name).symlink_to(ROOT / name)
    columns = samples()
    write_table(root, IMAGES, columns)
    write_table(root, MAPS, on_the_sphere(columns))
    own = "data/healpix" if kind.grid == "healpix" else "data/projected"
    tables = ["data/healpix", "data/projected"]
    stages = read_yaml(ROOT / "dvc.yaml")
    optional = {port.path for port in STAGE.takes.values() if port.optional}
    deps = [dep for dep in stages["stages"]["evaluate"]["deps"] if dep not in optional]
    stages["stages"]["evaluate"]["deps"] = deps + [t for t in tables if both or t == own]
    (root / "dvc.yaml").write_text(yaml.safe_dump(stages))
    params = read_yaml(ROOT / "params.yaml")
    params["evaluate"] |= {
        "batch_size": 2, "rotations": 1, "samples": 2, "calibration_bins": 5,
        "invalid_classes": ["void"], "chamfer_points": 5000,
    }  # fmt: skip
    params["gate"] = dict.fromkeys(params["gate"])
    params["runtime"] |= {"progress": False}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    name = "heal_swin" if kind.grid == "healpix" else "swin"
    chosen = validate({"name": name, **_MODEL}, ModelParams, "test")
    assert isinstance(chosen, ModelParams)
    record = {"class_weights": None} if task == "segmentation" else {**DEPTH, **objective}
    outputs = len(CLASSES)
    if task == "depth":
        outputs = 2 if record["loss"] == "gaussian_nll" else 1
    model = build(chosen, kind, outputs, seed=0, dense=True)
    folder = root / "results/train"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), folder / "weights.safetensors")
    count = sum(p.numel() for p in model.parameters())
    info = ModelInfo(chosen, kind, CLASSES, count, 1.0, task, outputs, record)  # type: ignore[arg-type]
    (folder / "model.json").write_text(json.dumps(info.to_json()))
    return model.eval()


def evaluated(root: Path) -> dict[str, Any]:
    """Make and write the stage's outputs; its metrics."""
    job = open_job(STAGE, root)
    STAGE.write(job, make(job))
    found: dict[str, Any] = json.loads((root / "results/evaluate/metrics.json").read_text())
    return found
