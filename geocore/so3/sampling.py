"""Random rotations from a counter: sample ``n`` of a seed is the same wherever it is drawn."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["random_rotations", "uniform"]

_WORDS = 4  # 64-bit words that Philox gives at each value of its counter


def uniform(seed: int, samples: npt.NDArray[np.int64], stream: int = 0) -> npt.NDArray[np.float64]:
    """Four numbers uniform on ``[0, 1)`` for each sample number, ``(n,)`` -> ``(n, 4)``.

    Philox4x64 with key ``(seed, stream)`` and the sample number as its counter: a row depends on
    ``(seed, stream, sample)`` alone, not on which other samples are drawn or in what order.
    Different streams of one seed are independent. Raises ``ValueError`` for negative arguments.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or samples.dtype.kind not in "iu":
        found = f"{samples.dtype} of shape {samples.shape}"
        raise ValueError(f"samples is {found}; expected integers of shape (n,)")
    if seed < 0 or stream < 0 or (samples.size and samples.min() < 0):
        raise ValueError(f"seed is {seed}, stream {stream}; expected no negative seed or sample")
    key = np.array([seed, stream], dtype=np.uint64)
    # A run of consecutive samples is one run of the counter, drawn in one call.
    runs = np.split(samples, np.flatnonzero(np.diff(samples) != 1) + 1) if samples.size else []
    words = [
        np.random.Philox(key=key, counter=int(run[0])).random_raw(_WORDS * len(run)) for run in runs
    ]
    drawn = np.concatenate([np.empty(0, np.uint64), *words]).reshape(-1, _WORDS)
    # The 53 bits of a double.
    return np.asarray((drawn >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def random_rotations(
    kind: Literal["none", "z", "so3"],
    seed: int,
    samples: npt.NDArray[np.int64],
    stream: int = 0,
) -> Tensor:
    """Unit quaternions ``(n, 4)``, float64: one rotation a sample number.

    ``so3`` is the Haar measure (Shoemake, Uniform random rotations, 1992): ``E[R] = 0`` and
    ``E[tr(R)^2] = 1``. ``z`` is uniform about the z axis, ``none`` the identity. A sample's
    rotation depends on ``(kind, seed, stream, sample)`` alone.
    """
    if kind not in ("none", "z", "so3"):
        raise ValueError(f"kind is {kind!r}; expected 'none', 'z' or 'so3'")
    draws = torch.from_numpy(uniform(seed, samples, stream))
    if kind == "so3":
        radius, complement = draws[:, 0].sqrt(), (1 - draws[:, 0]).sqrt()
        first, second = 2 * math.pi * draws[:, 1], 2 * math.pi * draws[:, 2]
        parts = [
            *(complement * first.sin(), complement * first.cos()),
            *(radius * second.sin(), radius * second.cos()),
        ]
        return torch.stack(parts, dim=-1)
    half = math.pi * draws[:, 0] if kind == "z" else torch.zeros(len(draws), dtype=draws.dtype)
    zero = torch.zeros_like(half)
    return torch.stack([half.cos(), zero, zero, half.sin()], dim=-1)
