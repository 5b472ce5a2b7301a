"""WoodScape's calibration files: one camera of a vehicle, its lens and its pose.

A file holds ``name``, ``intrinsic`` (``model`` ``radial_poly`` with ``k1`` to ``k4``,
``cx_offset``, ``cy_offset``, ``aspect_ratio``, ``width``, ``height``) and ``extrinsic``: a
``quaternion`` ``(x, y, z, w)`` and a ``translation`` in metres, camera frame to vehicle frame.
Source: Yogamani et al., WoodScape (2019), and its calibration notes; SynWoodScape's files are the
same. Lenses that are no polynomial, which WoodScape has not, are written with this library's own
names (``geocore.camera.record``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geocore.camera.lens import RadialCamera
from geocore.camera.polynomial import RadialPolynomial
from geocore.camera.pose import Pose
from geocore.camera.record import MODELS, camera_from_dict, camera_to_dict
from geocore.config.foreign_json import parse_json
from geocore.errors import UserError
from geocore.runs.atomic import write_json

__all__ = ["Calibration", "read_calibration", "write_calibration"]

_POLYNOMIAL = "radial_poly"
_ORDER = 4  # coefficients of a file that does not say how many
_MOST = 16  # coefficients beyond which a file is certainly wrong
_UNIT = 1e-3  # files carry rounded quaternions; what is further off is something else
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Calibration:
    """A camera (intrinsics), where it sits on the vehicle (extrinsics), and its name."""

    camera: RadialCamera
    pose: Pose
    name: str


def read_calibration(path: Path, image_size: tuple[int, int] | None = None) -> Calibration:
    """The calibration in a JSON file; ``image_size`` is the ``(height, width)`` of its images.

    Raises ``UserError`` of one line that names the file and the value: a file that is missing or
    no JSON, a value that is missing, not finite or out of range, an unknown model, and images of
    another size than the calibration's.
    """
    try:
        content = parse_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected a calibration") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from None
    try:
        camera = _camera(_Section.of(content, "intrinsic"))
        pose = _pose(_Section.of(content, "extrinsic"))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    if image_size is not None and tuple(image_size) != (camera.height, camera.width):
        found, expected = f"{image_size[1]} x {image_size[0]}", f"{camera.width} x {camera.height}"
        raise UserError(f"{path}: the image is {found} pixels; expected {expected}, as calibrated")
    return Calibration(camera, pose, str(content.get("name", path.stem)))


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write what ``read_calibration`` reads back as an equal value; equal values, equal bytes."""
    w, x, y, z = calibration.pose.rotation
    extrinsic = {"quaternion": [x, y, z, w], "translation": list(calibration.pose.translation)}
    intrinsic = _intrinsic(calibration.camera)
    write_json(path, {"extrinsic": extrinsic, "intrinsic": intrinsic, "name": calibration.name})


def _intrinsic(camera: RadialCamera) -> dict[str, Any]:
    # WoodScape has no word for where a lens ends: such a camera is written in our own.
    if not isinstance(camera, RadialPolynomial) or camera.limit is not None:
        return camera_to_dict(camera)
    return {
        "aspect_ratio": camera.aspect,
        "cx_offset": camera.offset[0],
        "cy_offset": camera.offset[1],
        "height": float(camera.height),
        **{f"k{order}": k for order, k in enumerate(camera.coefficients, 1)},
        "model": _POLYNOMIAL,
        "poly_order": len(camera.coefficients),
        "width": float(camera.width),
    }


def _camera(intrinsic: _Section) -> RadialCamera:
    model = intrinsic.values.get("model")
    if isinstance(model, str) and model in MODELS:
        return camera_from_dict(intrinsic.values)
    if model != _POLYNOMIAL:
        expected = ", ".join([_POLYNOMIAL, *MODELS])
        raise ValueError(f"intrinsic model is {_show(model)}; expected one of {expected}")
    order = intrinsic.whole("poly_order") if "poly_order" in intrinsic.values else _ORDER
    if order > _MOST:
        raise ValueError(f"intrinsic poly_order is {order}; expected 1 to {_MOST}")
    return RadialPolynomial(
        intrinsic.whole("height"),
        intrinsic.whole("width"),
        (intrinsic.positive("k1"), *(intrinsic.number(f"k{n}") for n in range(2, order + 1))),
        offset=(intrinsic.number("cx_offset"), intrinsic.number("cy_offset")),
        aspect=intrinsic.positive("aspect_ratio"),
    )


def _pose(extrinsic: _Section) -> Pose:
    x, y, z, w = extrinsic.numbers("quaternion", 4)
    length = math.hypot(x, y, z, w)
    if not abs(length - 1) < _UNIT:
        raise ValueError(f"extrinsic quaternion has length {length:.6g}; expected 1")
    if abs(length - 1) > _ROUNDING:
        x, y, z, w = (entry / length for entry in (x, y, z, w))
    forward, left, up = extrinsic.numbers("translation", 3)
    return Pose((w, x, y, z), (forward, left, up))


@dataclass(frozen=True)
class _Section:
    """Values of one part of a file, checked as they are read; ``ValueError`` names the value."""

    name: str
    values: Mapping[str, Any]

    @classmethod
    def of(cls, content: Any, name: str) -> _Section:
        found = content.get(name) if isinstance(content, dict) else None
        if not isinstance(found, dict):
            raise ValueError(f"{name} is {_show(found)}; expected a section of a calibration")
        return cls(name, found)

    def number(self, key: str) -> float:
        if key not in self.values:
            raise ValueError(f"{self.name} {key} is missing; expected a number")
        return self._finite(key, self.values[key])

    def positive(self, key: str) -> float:
        found = self.number(key)
        if not found > 0:
            raise ValueError(f"{self.name} {key} is {found}; expected a number above 0")
        return found

    def whole(self, key: str) -> int:
        found = self.positive(key)
        if found != int(found):
            raise ValueError(f"{self.name} {key} is {found}; expected a whole number")
        return int(found)

    def numbers(self, key: str, count: int) -> list[float]:
        found = self.values.get(key)
        if not isinstance(found, list) or len(found) != count:
            raise ValueError(f"{self.name} {key} is {_show(found)}; expected {count} numbers")
        return [self._finite(key, entry) for entry in found]

    def _finite(self, key: str, value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        try:
            if number and math.isfinite(value):
                return float(value)
        except OverflowError:  # an integer beyond every float
            pass
        raise ValueError(f"{self.name} {key} is {_show(value)}; expected a finite number")


def _show(value: Any) -> str:
    return "missing" if value is None else json.dumps(value)[:80]
