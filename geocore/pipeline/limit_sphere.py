"""Task ``sphere``: the SO(3)-invariant kernel against the plain one on turned spherical images."""

from __future__ import annotations

from typing import Any

import torch

from geocore.config.limit import SphereLimit
from geocore.kernels.composed import Kernels
from geocore.kernels.regression import targets
from geocore.kernels.so3_inputs import harmonic_coefficients
from geocore.pipeline.kernel_blocks import StoredKernels
from geocore.pipeline.limit_curves import (
    HEADER,
    Curve,
    compared,
    curves,
    draw,
    of_gram,
    rows,
    short,
)
from geocore.pipeline.limit_networks import dense_network, spherical_network
from geocore.pipeline.limit_results import LimitResults
from geocore.pipeline.limit_samples import as_vectors, spherical_pool
from geocore.pipeline.stage import Job

__all__ = ["measured"]

_PLAIN, _BEST = "dense", "SO(3)"


def measured(job: Job, params: SphereLimit) -> LimitResults:
    """Both kernels over the whole pool, once; then every run and size takes its part of them.

    The plain network is dense, on real coefficients: its kernel is of ``int f f'`` alone.
    """
    pool = spherical_pool(params, job.root)
    kernels = StoredKernels(job, block=params.block, dtype=getattr(torch, params.dtype))
    coefficients = harmonic_coefficients(pool.inputs, params.bandlimit)
    whole = {
        _PLAIN: kernels.symmetric(
            dense_network(params.depth), as_vectors(coefficients), name=_PLAIN
        ),
        _BEST: kernels.symmetric(
            spherical_network(params.depth, params.bandlimit, params.sampling),
            pool.inputs,
            name=_BEST,
        ),
    }
    y = targets(pool.labels, pool.classes)
    found: dict[str, dict[str, Curve]] = {}
    with job.progress.bar("limit: runs", 2 * params.runs) as bar:
        for place, kernel in enumerate(Kernels._fields):
            scorers = {
                name: of_gram(k[place], y, params.ridge, f"the {kernel} of {name}")
                for name, k in whole.items()
            }
            found[kernel], _ = curves(scorers, pool.labels, params, bar.advance)
    document: dict[str, Any] = {"samples": list(params.sizes), "runs": params.runs}
    for kernel, lines in found.items():
        document[kernel] = compared(lines, _BEST, _PLAIN, params.sizes)
    words = f"{params.source} on the sphere, turned at random: tangent kernels"
    return LimitResults(
        document,
        HEADER,
        [
            row
            for kernel, lines in found.items()
            for row in rows(kernel, lines, _PLAIN, params.sizes)
        ],
        {"accuracy": draw(found["ntk"], params.sizes, words)},
        broken=short(found["ntk"][_BEST], found["ntk"][_PLAIN], params),
        parts=kernels.parts,
    )
