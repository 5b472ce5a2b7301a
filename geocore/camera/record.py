"""Cameras as plain JSON values, and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from geocore.camera.lens import RadialCamera
from geocore.camera.models import Equidistant, Equisolid, Pinhole, Stereographic
from geocore.camera.polynomial import RadialPolynomial

__all__ = ["MODELS", "camera_from_dict", "camera_to_dict"]

MODELS: Mapping[str, type[RadialCamera]] = {
    cls.model: cls for cls in (Pinhole, Equidistant, Equisolid, Stereographic, RadialPolynomial)
}


def camera_to_dict(camera: RadialCamera) -> dict[str, Any]:
    """``{"model": name, ...}`` with every field of the camera, as JSON would read it back."""
    fields = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(camera).items()
    }
    return {"model": camera.model, **fields}


def camera_from_dict(value: Any) -> RadialCamera:
    """The inverse of ``camera_to_dict``.

    Raises ``ValueError`` of one line that names the key: an unknown model, a field that is
    missing, too much, or of another kind, or a number out of range.
    """
    name = value.get("model") if isinstance(value, Mapping) else value
    if not isinstance(value, Mapping) or not isinstance(name, str) or name not in MODELS:
        raise ValueError(f"camera model is {_show(name)}; expected one of {', '.join(MODELS)}")
    model = MODELS[name]
    fields = {field.name: field for field in dataclasses.fields(model)}
    for name in value:
        if name != "model" and name not in fields:
            expected = ", ".join(fields)
            raise ValueError(f"camera has a field {name!r}; expected {expected} for {model.model}")
    arguments: dict[str, Any] = {}
    for name, field in fields.items():
        if name in value:
            arguments[name] = _read(name, value[name])
        elif field.default is dataclasses.MISSING:
            raise ValueError(f"camera {name} is missing; expected it for {model.model}")
    return model(**arguments)


def _read(name: str, value: Any) -> Any:
    if name in ("height", "width"):
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"camera {name} is {_show(value)}; expected a whole number")
        return value
    if name in ("offset", "coefficients"):
        if not isinstance(value, list | tuple):
            raise ValueError(f"camera {name} is {_show(value)}; expected a list of numbers")
        numbers = tuple(_number(name, entry) for entry in value)
        if name == "offset" and len(numbers) != 2:
            raise ValueError(f"camera offset is {_show(value)}; expected two numbers")
        return numbers
    return None if name == "limit" and value is None else _number(name, value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"camera {name} is {_show(value)}; expected a number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"camera {name} is {_show(value)}; expected a finite number") from None


def _show(value: Any) -> str:
    return json.dumps(value, default=repr)[:80]
