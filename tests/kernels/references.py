"""The recursions of a kernel written out in numpy, for ReLU: what the tests compare with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["images", "relu_kernels"]

Array = npt.NDArray[np.float64]


def images(count: int, pixels: int, channels: int = 1, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(size=(count, pixels, channels))


def relu_kernels(
    network: str,
    depth: int,
    left: Array,
    right: Array,
    weight_std: float = 1.3,
    bias_std: float = 0.2,
) -> tuple[Array, Array]:
    """NNGP and NTK of maps ``(n, pixels, channels)``, pair by pair of tokens, by the arc-cosine
    formulas of Cho and Saul (2009). ``network`` is ``dense`` or ``healpix``.
    """
    weight, bias = weight_std**2, bias_std**2
    both = np.concatenate([left, right])
    values = np.einsum("ipc,jpc->ijp", both, both) / both.shape[2]
    tangent = np.zeros_like(values)

    def affine(join: int) -> None:
        nonlocal values, tangent
        values, tangent = (
            a.reshape(*a.shape[:2], -1, join).mean(axis=3) for a in (values, tangent)
        )
        values = weight * values + bias
        tangent = values + weight * tangent

    def relu() -> None:
        nonlocal values, tangent
        own = np.sqrt(np.einsum("iit->it", values))
        norms = own[:, None] * own[None]
        cosine = np.clip(values / norms, -1, 1)
        angle = np.arccos(cosine)
        values = norms * (np.sin(angle) + (np.pi - angle) * cosine) / (2 * np.pi)
        tangent = tangent * (np.pi - angle) / (2 * np.pi)

    joins = [4] * depth if network == "healpix" else []
    for join in joins:
        affine(join)
        relu()
    hidden = 1 if network == "healpix" else depth
    for _ in range(hidden):
        affine(values.shape[2])
        relu()
    affine(values.shape[2])
    n = len(left)
    return values[:n, n:, 0], tangent[:n, n:, 0]
