"""The kernels that stage ``limit`` would compute, for an estimate of their cost."""

from __future__ import annotations

import torch
from torch import Tensor

from geocore.config.limit import AccuracyLimit, LimitParams, SphereLimit
from geocore.kernels.protocol import PairKernel
from geocore.kernels.so3_inputs import harmonic_coefficients
from geocore.pipeline.kernel_cost import KernelTask
from geocore.pipeline.limit_networks import (
    dense_network,
    invariant_network,
    plain_network,
    spherical_network,
)
from geocore.pipeline.limit_samples import as_vectors, spherical_pool, turned_pool
from geocore.pipeline.stage import Job

__all__ = ["planned_kernels"]


def planned_kernels(job: Job) -> list[KernelTask]:
    """The matrices over the pool, by line; none for the tasks without a pool."""
    params = job.section(LimitParams)
    if not isinstance(params, (AccuracyLimit, SphereLimit)):
        return []

    def task(name: str, kernel: PairKernel, x: Tensor, y: Tensor | None = None) -> KernelTask:
        return KernelTask(name, kernel, x, y, params.block, getattr(torch, params.dtype))

    if isinstance(params, SphereLimit):
        x = spherical_pool(params, job.root).inputs
        vectors = as_vectors(harmonic_coefficients(x, params.bandlimit))
        network = spherical_network(params.depth, params.bandlimit, params.sampling)
        return [task("dense", dense_network(params.depth), vectors), task("SO(3)", network, x)]
    x = turned_pool(params, job.root).inputs
    plain = plain_network(params.depth)
    found = [task("plain", plain, x)]
    if params.order == 4:
        found += [
            task(f"plain, turned {quarters}", plain, x, x.rot90(quarters, (-2, -1)))
            for quarters in (1, 2)
        ]
    orders = range(4, params.order + 1, 4)
    return found + [task(f"C{n}", invariant_network(params.depth, n), x) for n in orders]
