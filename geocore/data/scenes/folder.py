"""Scenes as a folder of WoodScape's layout, which the loader of the real data reads.

=====================================  =====================================================
``rgb_images/00000_FV.png``            the image
``semantic_annotations/gtLabels/...``  the numbers of the classes, 8-bit grey PNG
``semantic_annotations/``              ``seg_annotation_info.json``: names, colours, numbers
``calibration/00000_FV.json``          lens and pose on the vehicle (``camera.calibration``)
``depth_maps/raw_data/00000_FV.npy``   metres along the ray, float32; 0 where there is none
=====================================  =====================================================

Sources: Yogamani et al., WoodScape (2019); Sekkat et al., SynWoodScape (2022), for the depth.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geocore.camera.calibration import Calibration, write_calibration
from geocore.camera.lens import RadialCamera
from geocore.camera.pose import Pose
from geocore.data.scenes.classes import CLASSES, COLOURS
from geocore.data.scenes.render import UPRIGHT, render
from geocore.data.scenes.stream import each_in_order
from geocore.data.scenes.world import draw_scene, upright
from geocore.runs.atomic import write_bytes, write_json
from geocore.so3.rotation import compose, matrix_to_quaternion

__all__ = ["CAMERA_NAME", "camera_pose", "write_scenes"]

CAMERA_NAME = "FV"  # WoodScape's front view

_Job = tuple[str, int, int, RadialCamera, tuple[float, ...], int]


def write_scenes(
    folder: Path,
    seeds: Iterable[int],
    camera: RadialCamera,
    tilts: Sequence[Tensor | None] | None = None,
    *,
    workers: int = 1,
    samples: int = 4,
    on_scene: Callable[[int], None] | None = None,
) -> None:
    """Render the scenes of ``seeds`` and write them, numbered from 0, below ``folder``.

    ``tilts`` goes along with ``seeds`` and stands in each calibration's quaternion; without it
    all are upright. Bytes do not depend on ``workers``. Each file is written whole or not at all;
    what lies there under these names is replaced. ``on_scene`` is told how many are done. Raises
    ``ValueError`` where seeds and tilts differ in number, ``UserError`` where the disk refuses.
    """
    numbers = list(seeds)
    poses = [None] * len(numbers) if tilts is None else list(tilts)
    if len(poses) != len(numbers):
        raise ValueError(f"tilts has {len(poses)} poses; expected one for each of {len(numbers)}")
    jobs = [
        (str(folder), number, seed, camera, _numbers(pose), samples)
        for number, (seed, pose) in enumerate(zip(numbers, poses, strict=True))
    ]
    write_json(
        Path(folder) / "semantic_annotations" / "seg_annotation_info.json",
        {
            "class_names": list(CLASSES),
            "class_colors": [list(colour) for colour in COLOURS],
            "class_indexes": list(range(len(CLASSES))),
            "color_scheme": "RGB",
        },
    )
    for done, _ in enumerate(each_in_order(_write, jobs, workers), 1):
        if on_scene is not None:
            on_scene(done)


def camera_pose(tilt: Tensor, height: float) -> Pose:
    """Where a camera of this tilt sits on its vehicle: ``R = U R(tilt)``, ``height`` metres up."""
    base = matrix_to_quaternion(torch.from_numpy(upright()))
    w, x, y, z = compose(base, tilt.double()).tolist()
    return Pose((w, x, y, z), (0.0, 0.0, height))


def _numbers(tilt: Tensor | None) -> tuple[float, ...]:
    return UPRIGHT if tilt is None else tuple(float(part) for part in tilt)


def _write(job: _Job) -> None:
    folder, number, seed, camera, pose, samples = job
    scene, tilt = draw_scene(seed), torch.tensor(pose, dtype=torch.float64)
    seen = render(scene, camera, tilt, samples=samples)
    root, name = Path(folder), f"{number:05d}_{CAMERA_NAME}"
    write_bytes(root / "rgb_images" / f"{name}.png", _png(seen.image))
    write_bytes(root / "semantic_annotations" / "gtLabels" / f"{name}.png", _png(seen.label))
    depth = io.BytesIO()
    np.save(depth, seen.depth, allow_pickle=False)
    write_bytes(root / "depth_maps" / "raw_data" / f"{name}.npy", depth.getvalue())
    calibration = Calibration(camera, camera_pose(tilt, scene.position[2]), CAMERA_NAME)
    write_calibration(root / "calibration" / f"{name}.json", calibration)


def _png(pixels: npt.NDArray[Any]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png", compress_level=4)
    return buffer.getvalue()
