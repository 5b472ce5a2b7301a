"""Which of WoodScape's images share a camera, and how each camera is inclined."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import torch

from geocore.camera.lens import RadialCamera
from geocore.errors import UserError
from geocore.so3.rotation import matrix_to_quaternion, quaternion_to_matrix

__all__ = ["largest_group", "upright_pose"]

_SAME = 0.5  # pixels within which two cameras are one


def largest_group(
    cameras: Sequence[RadialCamera], size: tuple[int, int] | None = None
) -> tuple[RadialCamera, list[int]]:
    """The camera that most images have, at ``size`` (height, width), and the rows of these images.

    Two cameras are one where each direction's image moves by at most half a pixel of that size.
    Of two groups as large, the one that comes first.
    """
    resized = [camera if size is None else camera.resized(*size) for camera in cameras]
    counts = Counter(resized)
    same = {
        camera: {other for other in counts if other == camera or _close(camera, other)}
        for camera in counts
    }
    chosen = max(counts, key=lambda camera: sum(counts[other] for other in same[camera]))
    return chosen, [row for row, camera in enumerate(resized) if camera in same[chosen]]


def upright_pose(rotation: Sequence[float]) -> list[float]:
    """From the camera's frame to that of an upright camera of the same heading: pitch and roll.

    ``rotation`` (w, x, y, z) takes the camera's frame (x right, y down, z ahead) to the vehicle's
    (x forward, y left, z up). The upright camera's axis is level, its *down* is the vehicle's.
    """
    matrix = quaternion_to_matrix(torch.tensor(rotation, dtype=torch.float64))
    heading = math.atan2(float(matrix[1, 2]), float(matrix[0, 2]))
    sine, cosine = math.sin(heading), math.cos(heading)
    upright = torch.tensor(
        [[sine, 0.0, cosine], [-cosine, 0.0, sine], [0.0, -1.0, 0.0]], dtype=torch.float64
    )
    pose: list[float] = matrix_to_quaternion(upright.T @ matrix).tolist()
    return pose


def _close(one: RadialCamera, other: RadialCamera) -> bool:
    """Whether the pixels of ``one`` lie at most ``_SAME`` from where ``other`` sees them."""
    if (one.height, one.width) != (other.height, other.width):
        return False
    v = torch.linspace(-0.5, one.height - 0.5, 33, dtype=torch.float64)
    u = torch.linspace(-0.5, one.width - 0.5, 33, dtype=torch.float64)
    v, u = torch.meshgrid(v, u, indexing="ij")
    known = one.sees(u, v)
    if not known.any():
        raise UserError("calibration: the lens sees no pixel of the image; expected one that does")
    seen_u, seen_v, _ = other.project(one.unproject(u[known], v[known]))
    moved = torch.hypot(seen_u - u[known], seen_v - v[known])
    return bool(moved.max() <= _SAME)
