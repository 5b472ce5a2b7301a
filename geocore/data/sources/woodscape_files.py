"""Where the files of WoodScape's format lie, as its archives and SynWoodScape's unpack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from geocore.config.foreign_json import parse_json
from geocore.errors import UserError

__all__ = ["SYNWOODSCAPE", "WOODSCAPE", "WoodscapeFiles", "class_names"]

WOODSCAPE = (
    "void",
    "road",
    "lanes",
    "curb",
    "person",
    "rider",
    "vehicles",
    "bicycle",
    "motorcycle",
    "traffic_sign",
)
SYNWOODSCAPE = (
    "unlabeled",
    "building",
    "fence",
    "other",
    "pedestrian",
    "pole",
    "road line",
    "road",
    "sidewalk",
    "vegetation",
    "four-wheeler vehicle",
    "wall",
    "traffic sign",
    "sky",
    "ground",
    "bridge",
    "rail track",
    "guard rail",
    "traffic light",
    "water",
    "terrain",
    "two-wheeler vehicle",
    "static",
    "dynamic",
    "ego-vehicle",
)
_IMAGES = ("rgb_images", "rgb_images/rgb_images")
_LABELS = (
    "semantic_annotations/gtLabels",
    "semantic_annotations/semantic_annotations/gtLabels",
)
_NAMES = "semantic_annotations/seg_annotation_info.json"
_CALIBRATIONS = (
    "calibration",
    "calibration/calibration",
    "calibration_data/calibration",
    "calibration_data",
)
_DEPTHS = ("depth_maps/raw_data",)
_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class WoodscapeFiles:
    """The images of one camera, ``rgb_images/NUMBER_CAMERA.png``, and what belongs to each.

    Labels are ``semantic_annotations/gtLabels/NUMBER_CAMERA.png``; calibrations
    ``calibration/NUMBER_CAMERA.json``, or one for all images, ``calibration_data/CAMERA.json``;
    depth, where there is any, ``depth_maps/raw_data/NUMBER_CAMERA.npy``. Archives that unpack
    into a folder of the same name once more are found as well.
    """

    folder: Path
    camera: str
    images: tuple[Path, ...]
    labels: Path
    calibrations: Path
    shared: bool
    depths: Path | None

    @classmethod
    def find(cls, folder: Path, camera: str) -> WoodscapeFiles:
        """Raises ``UserError`` where a folder or an image's label or depth is missing."""
        if not folder.is_dir():
            raise UserError(f"{folder}: not a folder; expected WoodScape's rgb_images/ and others")
        places = [folder / name for name in _IMAGES if (folder / name).is_dir()]
        images = next((found for found in (_of(place, camera) for place in places) if found), ())
        if not images:
            where = places[0] if places else folder / _IMAGES[0]
            state = f"no images *_{camera}.png" if places else "no such folder"
            raise UserError(f"{where}: {state}; expected rgb_images/NUMBER_{camera}.png")
        labels = _first(folder, _LABELS, f"*_{camera}.png")
        if labels is None:
            raise UserError(f"{folder / _LABELS[0]}: no label images *_{camera}.png; expected some")
        shared = _first(folder, _CALIBRATIONS, f"{camera}.json")
        calibrations = shared or _first(folder, _CALIBRATIONS, f"*_{camera}.json")
        if calibrations is None:
            raise UserError(
                f"{folder / _CALIBRATIONS[0]}: no calibrations *_{camera}.json; expected one for "
                f"each image, or {camera}.json for all"
            )
        depths = _first(folder, _DEPTHS, f"*_{camera}.npy")
        files = cls(folder, camera, images, labels, calibrations, shared is not None, depths)
        for image in images:
            for path in files.of(image):
                if not path.is_file():
                    raise UserError(f"{path}: missing; expected it beside {image}")
        return files

    def label(self, image: Path) -> Path:
        """The label image of ``image``."""
        return self.labels / f"{image.stem}.png"

    def calibration(self, image: Path) -> Path:
        """The calibration of the camera that took ``image``."""
        return self.calibrations / f"{self.camera if self.shared else image.stem}.json"

    def depth(self, image: Path) -> Path | None:
        """The depth of ``image``; None where the folder has none."""
        return None if self.depths is None else self.depths / f"{image.stem}.npy"

    def of(self, image: Path) -> Iterator[Path]:
        """Every file that decides the sample."""
        yield from (image, self.label(image), self.calibration(image))
        if (depth := self.depth(image)) is not None:
            yield depth


def class_names(files: WoodscapeFiles) -> tuple[str, ...]:
    """``class_names`` of ``seg_annotation_info.json``; without it those of the release.

    SynWoodScape has one calibration for all images of a camera, WoodScape one an image.
    """
    path = files.folder / _NAMES
    if not path.is_file():
        return SYNWOODSCAPE if files.shared else WOODSCAPE
    try:
        names = parse_json(path.read_bytes())["class_names"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: no class_names there; expected a list of them") from None
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        found = json.dumps(names)[:80]
        raise UserError(f"{path}: class_names is {found}; expected a list of names")
    if len(names) > 255:
        raise UserError(f"{path}: {len(names)} class_names; expected at most 255")
    return tuple(names)


def _of(place: Path, camera: str) -> tuple[Path, ...]:
    found = sorted(
        path
        for path in place.glob(f"*_{camera}.*")
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    )
    for one, other in pairwise(found):
        if one.stem == other.stem:  # one label for both: they could come to two splits
            raise UserError(f"{place}: holds {one.name} and {other.name}; expected one of them")
    return tuple(found)


def _first(folder: Path, places: tuple[str, ...], pattern: str) -> Path | None:
    """The first of ``places`` that has a file of that pattern."""
    return next((folder / at for at in places if any((folder / at).glob(pattern))), None)
