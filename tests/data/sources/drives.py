"""Small folders in CamVid's, Cityscapes' and WoodScape's layouts, and what is in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["FRONT", "save_camvid", "save_cityscapes", "save_woodscape"]

FRONT: dict[str, Any] = {
    "extrinsic": {
        "quaternion": [0.5941767906, -0.5878843194, 0.3873184109, -0.3890121040],
        "translation": [3.7484, 0.0, 0.66017],
    },
    "intrinsic": {
        "aspect_ratio": 1.0,
        "cx_offset": 0.1, "cy_offset": -0.1,
        "height": 24.0, "width": 32.0,
        "k1": 8.5, "k2": -0.8, "k3": 1.2, "k4": -0.18,
        "model": "radial_poly", "poly_order": 4,
    },
    "name": "FV",
}  # fmt: skip


def save_camvid(
    folder: Path, each: int = 3, height: int = 12, width: int = 16
) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """``each`` images a split; returns them with their labels, void (11) among these."""
    rng = np.random.default_rng(0)
    made: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for split in ("train", "val", "test"):
        for name in (split, f"{split}annot"):
            (folder / name).mkdir(parents=True)
        made[split] = []
        for number in range(each):
            image = rng.integers(0, 256, (height, width, 3), np.uint8)
            label = rng.integers(0, 12, (height, width), np.uint8)
            Image.fromarray(image).save(folder / split / f"{number:03d}.png")
            Image.fromarray(label).save(folder / f"{split}annot" / f"{number:03d}.png")
            made[split].append((image, label))
    return made


def save_cityscapes(
    folder: Path, height: int = 12, width: int = 24
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Two images of ``ulm`` and one of ``jena`` for training, one of ``bonn`` for val, by stem."""
    rng = np.random.default_rng(0)
    made = {}
    for split, city, number in (
        ("train", "ulm", 1), ("train", "ulm", 0), ("train", "jena", 7), ("val", "bonn", 0),
    ):  # fmt: skip
        stem = f"{city}_{number:06d}_000019"
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        label = rng.integers(0, 34, (height, width), np.uint8)
        for kind, suffix, pixels in (
            ("leftImg8bit", "leftImg8bit", image),
            ("gtFine", "gtFine_labelIds", label),
        ):
            place = folder / kind / split / city
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{stem}_{suffix}.png")
        made[stem] = (image, label)
    return made


def save_woodscape(
    folder: Path,
    count: int = 6,
    *,
    cameras: tuple[str, ...] = ("FV",),
    depth: bool = True,
    classes: tuple[str, ...] | None = None,
    calibration: dict[str, Any] = FRONT,
) -> list[dict[str, np.ndarray]]:
    """``count`` images a camera, each with a calibration; what was written, cameras in turn."""
    rng = np.random.default_rng(0)
    places = {
        "image": "rgb_images",
        "label": "semantic_annotations/gtLabels",
        "calibration": "calibration",
        "depth": "depth_maps/raw_data",
    }
    for name, place in places.items():
        if depth or name != "depth":
            (folder / place).mkdir(parents=True)
    height, width = (int(calibration["intrinsic"][name]) for name in ("height", "width"))
    written = []
    for camera in cameras:
        for number in range(count):
            stem = f"{number:05d}_{camera}"
            frame = {
                "image": rng.integers(0, 256, (height, width, 3), np.uint8),
                "label": rng.integers(0, 10, (height, width), np.uint8),
                "depth": rng.uniform(0.5, 90, (height, width)).astype(np.float32),
            }
            frame["depth"][:3] = 1000.0
            Image.fromarray(frame["image"]).save(folder / places["image"] / f"{stem}.png")
            Image.fromarray(frame["label"]).save(folder / places["label"] / f"{stem}.png")
            text = json.dumps({**calibration, "name": camera})
            (folder / places["calibration"] / f"{stem}.json").write_text(text)
            if depth:
                np.save(folder / places["depth"] / f"{stem}.npy", frame["depth"])
            written.append(frame)
    if classes is not None:
        text = json.dumps({"class_names": classes})
        (folder / "semantic_annotations/seg_annotation_info.json").write_text(text)
    return written
