"""Rotations of three-space: unit quaternions ``(w, x, y, z)``, matrices, ZYZ Euler angles.

A rotation is *active*: it moves vectors, ``v -> R v``; the rotated function is
``(R f)(v) = f(R^-1 v)``. Quaternions ``q`` and ``-q`` are the same rotation.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "check_rotation",
    "compose",
    "euler_zyz_to_matrix",
    "geodesic_distance",
    "inverse",
    "matrix_to_euler_zyz",
    "matrix_to_quaternion",
    "quaternion_to_matrix",
    "rotation_about_z",
]


def quaternion_to_matrix(quaternion: Tensor) -> Tensor:
    """``R v = q v q^-1``, so ``R(q p) = R(q) R(p)`` and ``R(-q) = R(q)``.

    ``(..., 4)`` -> ``(..., 3, 3)``. A quaternion other than a unit one is normalised first.
    """
    _check_quaternion("quaternion", quaternion)
    w, x, y, z = (quaternion / quaternion.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return _square(rows)


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """The inverse of ``quaternion_to_matrix``, with ``w >= 0``.

    ``(..., 3, 3)`` -> ``(..., 4)``. Row ``i`` of ``4 q q^T`` is linear in the matrix; the row of
    the largest component is taken, so that nothing is lost near rotations by 180 degrees
    (Shepperd, 1978).
    """
    _check_matrix("matrix", matrix)
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in matrix.unbind(-2))
    outer = torch.stack(
        [
            *(1 + a + e + i, h - f, c - g, d - b),
            *(h - f, 1 + a - e - i, b + d, c + g),
            *(c - g, b + d, 1 - a + e - i, f + h),
            *(d - b, c + g, f + h, 1 - a - e + i),
        ],
        dim=-1,
    ).unflatten(-1, (4, 4))
    largest = outer.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = torch.take_along_dim(outer, largest[..., None, None], dim=-2).squeeze(-2)
    row = row / row.norm(dim=-1, keepdim=True)
    return torch.where(row[..., :1] < 0, -row, row)


def euler_zyz_to_matrix(alpha: Tensor, beta: Tensor, gamma: Tensor) -> Tensor:
    """``R = R_z(alpha) R_y(beta) R_z(gamma)``; radians, shapes broadcast, ``-> (..., 3, 3)``.

    ``R`` takes the north pole to colatitude ``beta`` and longitude ``alpha``.
    """
    alpha, beta, gamma = torch.broadcast_tensors(alpha, beta, gamma)
    cos, sin, zero, one = beta.cos(), beta.sin(), torch.zeros_like(beta), torch.ones_like(beta)
    about_y = _square([cos, zero, sin, zero, one, zero, -sin, zero, cos])
    return rotation_about_z(alpha) @ about_y @ rotation_about_z(gamma)


def matrix_to_euler_zyz(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The inverse of ``euler_zyz_to_matrix``: ``alpha``, ``gamma`` in ``(-pi, pi]``, ``beta`` in
    ``[0, pi]``.

    ``(..., 3, 3)`` -> three times ``(...)``, radians. By way of the unit quaternion, whose pairs
    ``(w, z)`` and ``(x, y)`` hold ``(alpha + gamma) / 2`` and ``(alpha - gamma) / 2``: nothing is
    lost near the poles, where only the sum or the difference is determined; there ``alpha`` has
    all of it and ``gamma`` is 0, and there are no derivatives. Raises ``ValueError`` for a matrix
    that is no rotation.
    """
    check_rotation("matrix", matrix)
    w, x, y, z = matrix_to_quaternion(matrix).unbind(-1)
    cosine, sine = torch.hypot(w, z), torch.hypot(x, y)  # of beta / 2
    total, difference = torch.atan2(z, w), torch.atan2(-x, y)
    tiny = 16 * torch.finfo(matrix.dtype).eps
    alpha, gamma = total + difference, total - difference
    alpha = torch.where(sine < tiny, 2 * total, torch.where(cosine < tiny, 2 * difference, alpha))
    gamma = torch.where((sine < tiny) | (cosine < tiny), torch.zeros_like(gamma), gamma)
    return _wrapped(alpha), 2 * torch.atan2(sine, cosine), _wrapped(gamma)


def rotation_about_z(angle: Tensor) -> Tensor:
    """``R_z(a) R_z(b) = R_z(a + b)``; takes +x towards +y.

    Radians, ``(...)`` -> ``(..., 3, 3)``.
    """
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return _square([cos, -sin, zero, sin, cos, zero, zero, zero, one])


def compose(first: Tensor, second: Tensor) -> Tensor:
    """``R(compose(p, q)) = R(p) R(q)``: ``q`` acts first. The Hamilton product, ``(..., 4)``."""
    _check_quaternion("first", first)
    _check_quaternion("second", second)
    a, b, c, d = first.unbind(-1)
    w, x, y, z = second.unbind(-1)
    return torch.stack(
        [
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        ],
        dim=-1,
    )


def inverse(quaternion: Tensor) -> Tensor:
    """``compose(q, inverse(q)) = (1, 0, 0, 0)`` for unit quaternions ``(..., 4)``."""
    _check_quaternion("quaternion", quaternion)
    return quaternion * quaternion.new_tensor([1.0, -1.0, -1.0, -1.0])


def geodesic_distance(first: Tensor, second: Tensor) -> Tensor:
    """The angle of ``first^-1 second`` in ``[0, pi]``: the bi-invariant metric of SO(3).

    Unit quaternions ``(..., 4)`` -> radians ``(...)``. The arctangent keeps full precision for
    small angles, where an arccosine loses half of its digits.
    """
    between = compose(inverse(first), second)
    return 2 * torch.atan2(between[..., 1:].norm(dim=-1), between[..., 0].abs())


def check_rotation(name: str, matrix: Tensor) -> None:
    """Raise ``ValueError`` unless ``(..., 3, 3)`` are rotations: ``R^T R = 1`` and ``det R = 1``.

    What rounding may do is allowed for: 1e-10 in float64, 1e-4 in float32.
    """
    _check_matrix(name, matrix)
    if matrix.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name} is {matrix.dtype}; expected float32 or float64")
    matrix = matrix.detach()
    allowed = torch.finfo(matrix.dtype).eps ** 0.5 / 3 if matrix.dtype != torch.float64 else 1e-10
    one = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    far = float((matrix.mT @ matrix - one).abs().max()) if matrix.numel() else 0.0
    if not far <= allowed:
        raise ValueError(
            f"{name} is no rotation: R^T R differs from 1 by {far:.3g}; expected at most "
            f"{allowed:.0e}"
        )
    if bool((torch.linalg.det(matrix) < 0).any()):
        raise ValueError(f"{name} is no rotation: its determinant is -1; expected 1")


def _wrapped(angle: Tensor) -> Tensor:
    """To ``(-pi, pi]``."""
    return torch.atan2(angle.sin(), angle.cos())


def _square(entries: list[Tensor]) -> Tensor:
    """Nine entries ``(...)``, row by row -> ``(..., 3, 3)``."""
    return torch.stack(entries, dim=-1).reshape(*entries[0].shape, 3, 3)


def _check_quaternion(name: str, value: Tensor) -> None:
    if value.ndim == 0 or value.shape[-1] != 4:
        raise ValueError(f"{name} has shape {tuple(value.shape)}; expected (..., 4)")


def _check_matrix(name: str, value: Tensor) -> None:
    if value.ndim < 2 or value.shape[-2:] != (3, 3):
        raise ValueError(f"{name} has shape {tuple(value.shape)}; expected (..., 3, 3)")
