"""The Chamfer distance of two point clouds: how far each point is from the other cloud."""

from __future__ import annotations

import importlib.util
from typing import Literal

import torch
from torch import Tensor

__all__ = ["chamfer", "chamfer_reference", "nearest"]

Method = Literal["auto", "brute", "tree"]

_CHUNK = 1024  # points a side whose distances are held at a time: 4 MiB in float32
_TREE_PAIRS = 2**18  # pairs from which on building a tree pays, measured on one core


def chamfer(
    first: Tensor,
    second: Tensor,
    *,
    squared: bool = False,
    first_valid: Tensor | None = None,
    second_valid: Tensor | None = None,
    method: Method = "auto",
) -> Tensor:
    """``1/n sum_p min_q ||p - q||^k + 1/m sum_q min_p ||q - p||^k``, ``k`` 1 or, ``squared``, 2.

    The sum of both directed means, so it is symmetric; 0 if and only if the clouds are equal as
    sets. ``first (batch, n, dimensions)`` and ``second (batch, m, dimensions)`` floats of one type
    give ``(batch,)``; without the batch axis a number. Points that are not valid, ``(batch, n)``
    and ``(batch, m)`` bool, are not there; NaN where that leaves a cloud without points.

    Differentiable in both clouds: the nearest points are found first, without a gradient, and only
    their ``n + m`` distances are recorded (at coinciding points the gradient is 0). Memory is that
    of the clouds and one block of 1024 x 1024 distances. ``method`` is that of ``nearest``.

    Source: Fan, Su and Guibas, arXiv:1612.00603, eq. 4 (squared, sums instead of means).
    """
    _check(first, second, first_valid, second_valid)
    if first.ndim == 2:
        valid = [None if v is None else v[None] for v in (first_valid, second_valid)]
        return chamfer(
            first[None], second[None],
            squared=squared, first_valid=valid[0], second_valid=valid[1], method=method,
        )[0]  # fmt: skip
    found = []
    for number, (p, q) in enumerate(zip(first, second, strict=True)):
        p = p if first_valid is None else p[first_valid[number]]
        q = q if second_valid is None else q[second_valid[number]]
        if len(p) == 0 or len(q) == 0:
            found.append(p.new_full((), torch.nan))
            continue
        there = _distances(p, q[nearest(p, q, method=method)], squared).mean()
        back = _distances(q, p[nearest(q, p, method=method)], squared).mean()
        found.append(there + back)
    return torch.stack(found)


def chamfer_reference(first: Tensor, second: Tensor, *, squared: bool = False) -> Tensor:
    """``chamfer`` of two clouds ``(n, dimensions)`` and ``(m, dimensions)``, from all their pairs.

    Holds ``n x m`` distances: what the fast paths are tested against.
    """
    square = (first[:, None] - second[None, :]).square().sum(dim=-1)
    # Without the root's infinite slope at 0.
    distance = square if squared else torch.where(square > 0, square, 1).sqrt() * (square > 0)
    return distance.amin(dim=1).mean() + distance.amin(dim=0).mean()


def nearest(points: Tensor, cloud: Tensor, *, method: Method = "auto") -> Tensor:
    """For each of ``points (n, dimensions)`` the place of its nearest in ``cloud``, ``(n,)`` int64.

    ``brute`` compares all pairs, block by block, on any device; ``tree`` searches a k-d tree on the
    CPU (needs scipy) in about ``n log m``; ``auto`` takes the tree for large clouds on the CPU
    where scipy is installed. Of points that are equally near either may be found, so that the
    places may differ between the two, but not the distances.
    """
    if method not in ("auto", "brute", "tree"):
        raise ValueError(f"method is {method!r}; expected 'auto', 'brute' or 'tree'")
    if method == "auto":
        many = points.device.type == "cpu" and len(points) * len(cloud) >= _TREE_PAIRS
        method = "tree" if many and importlib.util.find_spec("scipy") else "brute"
    with torch.no_grad():
        return _by_tree(points, cloud) if method == "tree" else _by_blocks(points, cloud)


def _by_blocks(points: Tensor, cloud: Tensor) -> Tensor:
    """The running minimum over blocks of the cloud, for one block of points after the other.

    Distances are summed from differences: by way of a matrix product, as ``cdist`` has it by
    default, small ones lose half their digits.
    """
    found = torch.empty(len(points), dtype=torch.int64, device=points.device)
    for start in range(0, len(points), _CHUNK):
        block = points[start : start + _CHUNK]
        least = block.new_full((len(block),), torch.inf)
        place = torch.zeros(len(block), dtype=torch.int64, device=points.device)
        for first in range(0, len(cloud), _CHUNK):
            distance, near = torch.cdist(
                block, cloud[first : first + _CHUNK], compute_mode="donot_use_mm_for_euclid_dist"
            ).min(dim=1)
            closer = distance < least
            least = torch.where(closer, distance, least)
            place = torch.where(closer, near + first, place)
        found[start : start + _CHUNK] = place
    return found


def _by_tree(points: Tensor, cloud: Tensor) -> Tensor:
    from scipy.spatial import cKDTree

    if points.device.type != "cpu":
        raise ValueError(f"points lie on {points.device}; expected the CPU for method 'tree'")
    tree = cKDTree(cloud.double().numpy(), balanced_tree=False)
    _, found = tree.query(points.double().numpy(), k=1)
    return torch.from_numpy(found).long()


def _distances(points: Tensor, others: Tensor, squared: bool) -> Tensor:
    square = (points - others).square().sum(dim=-1)
    if squared:
        return square
    apart = square > 0
    return torch.where(apart, square, 1).sqrt() * apart  # the root's slope at 0 is infinite


def _check(first: Tensor, second: Tensor, *valid: Tensor | None) -> None:
    for name, cloud in (("first", first), ("second", second)):
        if cloud.ndim not in (2, 3) or cloud.shape[-1] == 0 or not cloud.is_floating_point():
            found = f"{cloud.dtype} of shape {tuple(cloud.shape)}"
            raise ValueError(f"{name} is {found}; expected floats (batch, points, dimensions)")
    if (first.ndim, first.shape[:-2], first.shape[-1], first.dtype) != (
        second.ndim, second.shape[:-2], second.shape[-1], second.dtype,
    ):  # fmt: skip
        found = f"{first.dtype} {tuple(first.shape)} and {second.dtype} {tuple(second.shape)}"
        raise ValueError(f"first and second are {found}; expected one type, batch and dimension")
    for name, mask, cloud in zip(("first", "second"), valid, (first, second), strict=True):
        if mask is not None and (mask.shape != cloud.shape[:-1] or mask.dtype != torch.bool):
            found = f"{mask.dtype} of shape {tuple(mask.shape)}"
            expected = f"torch.bool of shape {tuple(cloud.shape[:-1])}"
            raise ValueError(f"{name}_valid is {found}; expected {expected}")
    for name, cloud, mask in zip(("first", "second"), (first, second), valid, strict=True):
        counted = cloud if mask is None else cloud[mask]
        if not bool(counted.isfinite().all()):
            raise ValueError(f"{name} holds numbers that are not finite; expected points")
