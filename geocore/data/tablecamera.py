"""The camera of a table, rebuilt from what its metadata say."""

from __future__ import annotations

from geocore.camera.lens import RadialCamera
from geocore.camera.models import Pinhole, Stereographic
from geocore.camera.record import camera_from_dict
from geocore.data.table import Table
from geocore.errors import UserError

__all__ = ["flat_camera", "table_camera"]

_FLAT = {"gnomonic": Pinhole, "stereographic": Stereographic}


def flat_camera(projection: str, angle_of_view: float, height: int, width: int) -> RadialCamera:
    """The camera that lays a flat image onto the sphere: gnomonic is a pinhole."""
    if projection not in _FLAT:
        raise ValueError(f"projection is {projection!r}; expected one of {', '.join(_FLAT)}")
    return _FLAT[projection].from_angle_of_view(angle_of_view, height, width)


def table_camera(table: Table) -> RadialCamera:
    """The camera that took the images of ``table``, planar or on the sphere.

    Raises ``UserError`` of one line where the table names none, or one that does not have the
    size of its images.
    """
    about, plane = table.info.camera, table.info.type
    if about is None:
        raise UserError(f"{table.folder}: no camera; expected a table that project wrote")
    if about.model is not None:
        try:
            camera = camera_from_dict(about.model)
        except ValueError as error:
            raise UserError(f"{table.folder}: {error}") from None
    elif (
        about.angle_of_view is None
        or plane.grid != "planar"
        or plane.height is None
        or plane.width is None
    ):
        raise UserError(f"{table.folder}: its camera has no image size; expected its model")
    else:
        camera = flat_camera(about.projection, about.angle_of_view, plane.height, plane.width)
    size = (camera.height, camera.width)
    if plane.grid == "planar" and size != (plane.height, plane.width):
        raise UserError(
            f"{table.folder}: images are {plane.width} x {plane.height} pixels; "
            f"expected {camera.width} x {camera.height}, as their camera has"
        )
    return camera
