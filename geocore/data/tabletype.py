"""What a table of samples says about itself: grid, ordering, labels, camera."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from geocore.errors import UserError

__all__ = ["Camera", "TableInfo", "TableType"]

Grid = Literal["planar", "healpix", "driscoll-healy", "lattice"]
_RECTANGULAR = ("planar", "driscoll-healy")
_STRICT = ConfigDict(strict=True, extra="forbid")


@dataclass(frozen=True)
class TableType:
    """The geometry of a table's samples; ``None`` means *any* in a requirement.

    A stage declares the types that it takes and gives. ``given.mismatches(wanted)`` is empty when
    a table of type ``given`` may go where ``wanted`` is declared.

    ``grid='planar'`` and ``'driscoll-healy'``: images of shape ``(height, width, channels)``.
    ``grid='healpix'``: maps of shape ``(npix, channels)``, ``npix = len(faces) * nside**2``;
    nested maps list the faces one after the other, ring maps all pixels of those faces in ring
    order.
    """

    __pydantic_config__ = _STRICT

    grid: Grid | None = None
    height: int | None = None
    width: int | None = None
    nside: int | None = None
    ordering: Literal["nested", "ring"] | None = None
    faces: tuple[int, ...] | None = None
    channels: int | None = None
    dtype: Literal["uint8", "float32"] | None = None
    label_kind: Literal["class", "mask", "none"] | None = None

    def mismatches(self, wanted: TableType) -> list[str]:
        """One phrase for each property that ``wanted`` fixes and this type has otherwise."""
        found = []
        for field in dataclasses.fields(self):
            expected, actual = getattr(wanted, field.name), getattr(self, field.name)
            if expected is not None and actual is not None and actual != expected:
                found.append(f"{field.name} is {_show(actual)}; expected {_show(expected)}")
        return found

    @property
    def pixels(self) -> int:
        """Pixels of one sample."""
        if self.grid in _RECTANGULAR and self.height and self.width:
            return self.height * self.width
        if self.grid == "healpix" and self.nside and self.faces:
            return len(self.faces) * self.nside**2
        raise ValueError(f"the number of pixels of {self} is open; expected a complete geometry")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample's image."""
        if self.channels is None:
            raise ValueError(f"the channels of {self} are open; expected a complete geometry")
        if self.grid in _RECTANGULAR and self.height and self.width:
            return (self.height, self.width, self.channels)
        return (self.pixels, self.channels)


@dataclass(frozen=True)
class Camera:
    """How planar images lie on the sphere.

    The camera looks along +z of its own frame, x to the right, y down; its rotation (a unit
    quaternion ``w, x, y, z`` a sample, column ``rotation``) takes that frame to the sphere's.
    ``projection`` with ``angle_of_view`` (degrees across the width) is a flat image laid onto the
    sphere; ``source`` says that the samples were taken by the camera ``model``. ``model`` is what
    ``geocore.camera.camera_to_dict`` writes, image size included: dense tables have it, so that
    predictions find back to the image plane.

    ``rotation`` says how a random rotation was drawn, ``posed`` whether each sample's own pose is
    in its rotation too; with neither, all samples lie alike.
    """

    __pydantic_config__ = _STRICT

    projection: Literal["gnomonic", "stereographic", "source"]
    angle_of_view: float | None
    rotation: Literal["none", "z", "so3"]
    model: dict[str, Any] | None = None
    posed: bool = False

    @property
    def alike(self) -> bool:
        """Whether all samples have one and the same rotation."""
        return self.rotation == "none" and not self.posed


@dataclass(frozen=True)
class TableInfo:
    """Everything a table's metadata holds: its type, where it comes from, what labels mean.

    ``normaliser``: what image values were divided by since the source (1, or 255 for float maps
    in [0, 1] of 8-bit sources). ``views`` names what the codes of the column ``view`` mean.
    """

    __pydantic_config__ = _STRICT

    type: TableType
    source: str
    classes: tuple[str, ...] = ()
    camera: Camera | None = None
    normaliser: float = 1.0
    views: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values, the same bytes for equal infos; what only dense tables have is left out."""
        value = {"version": 1, **dataclasses.asdict(self)}
        if not self.views:
            del value["views"]
        if self.camera is not None:
            if self.camera.model is None:
                del value["camera"]["model"]
            if not self.camera.posed:
                del value["camera"]["posed"]
        return value

    @classmethod
    def from_json(cls, value: Any, where: str) -> TableInfo:
        """The inverse of ``to_json``; a ``UserError`` names ``where`` the value was read.

        Other keys beside those of the info (the parts of ``table.json``) are passed over.
        """
        if not isinstance(value, dict) or "version" not in value:
            found = json.dumps(value)[:80]
            raise UserError(f"{where}: metadata is {found}; expected what geocore writes")
        if value["version"] != 1:
            raise UserError(f"{where}: table version is {value['version']}; expected 1")
        names = {field.name for field in dataclasses.fields(cls)}
        about = {name: entry for name, entry in value.items() if name in names}
        try:  # as JSON, so that its lists may become tuples and nothing else is converted
            return _reader().validate_json(json.dumps(about))
        except ValidationError as error:
            fault = error.errors()[0]
            key = ".".join(str(step) for step in fault["loc"])
            found = "missing" if fault["type"] == "missing" else json.dumps(fault["input"])[:80]
            raise UserError(
                f"{where}: metadata {key} is {found}; expected what geocore writes"
            ) from None


@cache
def _reader() -> TypeAdapter[TableInfo]:
    return TypeAdapter(TableInfo)


def _show(value: object) -> str:
    return json.dumps(value) if not isinstance(value, str) else value
