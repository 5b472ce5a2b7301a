"""The names that the digits' pipeline gives to its two cameras."""

from __future__ import annotations

from geocore.camera.models import Pinhole, RationalCamera, Stereographic
from geocore.camera.pose import look_at

__all__ = ["PlanarCamera", "look_at"]


def PlanarCamera(projection: str, angle_of_view: float, height: int, width: int) -> RationalCamera:
    """``Pinhole`` for ``gnomonic``, ``Stereographic`` for ``stereographic``."""
    models: dict[str, type[RationalCamera]] = {"gnomonic": Pinhole, "stereographic": Stereographic}
    if projection not in models:
        found = repr(projection)
        raise ValueError(f"projection is {found}; expected 'gnomonic' or 'stereographic'")
    return models[projection].from_angle_of_view(angle_of_view, height, width)
