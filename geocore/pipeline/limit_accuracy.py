"""Task ``accuracy``: equivariant against plain kernels on turned images, by number of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from geocore.config.limit import AccuracyLimit
from geocore.kernels.composed import Kernels
from geocore.kernels.regression import targets
from geocore.pipeline.kernel_blocks import StoredKernels
from geocore.pipeline.limit_curves import (
    HEADER,
    Curve,
    Scorer,
    compared,
    curves,
    draw,
    of_gram,
    of_turned,
    rows,
    short,
)
from geocore.pipeline.limit_networks import invariant_network, plain_network
from geocore.pipeline.limit_results import LimitResults, told
from geocore.pipeline.limit_samples import Pool, turned_pool
from geocore.pipeline.stage import Job

__all__ = ["PLAIN", "WHOLE_ORBITS", "measured"]

PLAIN, WHOLE_ORBITS = "plain", "plain, whole orbits"


def measured(job: Job, params: AccuracyLimit) -> LimitResults:
    """Kernels of the whole pool, once; then every run and size takes its part of them.

    Lines: the plain network; the same learning from whole orbits (quarter turns, whose theorem says
    that it is the C4 network); the network over C4; for ``limit.order`` 8 that over C8.
    """
    pool = turned_pool(params, job.root)
    whole = _kernels(job, params, pool)
    y = targets(pool.labels, pool.classes)
    found: dict[str, dict[str, Curve]] = {}
    apart: dict[str, dict[tuple[str, str], float]] = {}
    with job.progress.bar("limit: runs", 2 * params.runs) as bar:
        for place, kernel in enumerate(Kernels._fields):
            scorers = _scorers(whole.matrices, place, y, params.ridge, kernel)
            found[kernel], apart[kernel] = curves(scorers, pool.labels, params, bar.advance)
    best = f"C{params.order}"
    document: dict[str, Any] = {
        "samples": list(params.sizes),
        "runs": params.runs,
        "group": best,
    }
    for kernel, lines in found.items():
        document[kernel] = compared(lines, best, PLAIN, params.sizes)
        if WHOLE_ORBITS in lines:
            document[kernel]["orbits_off_C4"] = told(apart[kernel][WHOLE_ORBITS, "C4"], 2)
    words = f"{params.source}, turned by {best}: tangent kernels"
    return LimitResults(
        document,
        HEADER,
        [
            row
            for kernel, lines in found.items()
            for row in rows(kernel, lines, PLAIN, params.sizes)
        ],
        {
            "accuracy": draw(found["ntk"], params.sizes, words),
            "accuracy_nngp": draw(
                found["nngp"], params.sizes, f"{params.source}, turned by {best}: NNGP kernels"
            ),
        },
        broken=short(found["ntk"][best], found["ntk"][PLAIN], params),
        parts=whole.parts,
    )


@dataclass(frozen=True)
class _Whole:
    """Kernels over the pool by line; of whole orbits those with each turned pool."""

    matrices: dict[str, list[Kernels]]
    parts: list[str]


def _kernels(job: Job, params: AccuracyLimit, pool: Pool) -> _Whole:
    kernels = StoredKernels(job, block=params.block, dtype=getattr(torch, params.dtype))
    plain, x = plain_network(params.depth), pool.inputs
    matrices = {PLAIN: [kernels.symmetric(plain, x, name="plain")]}
    if params.order == 4:
        turned = [
            kernels.cross(plain, x, x.rot90(quarters, (-2, -1)), name=f"plain, turned {quarters}")
            for quarters in (1, 2)
        ]
        # K(x, g^-1 x') = K(g x, x'): the transpose of that with g.
        last = Kernels(*(k.T for k in turned[0]))
        matrices[WHOLE_ORBITS] = [*matrices[PLAIN], *turned, last]
    for n in range(4, params.order + 1, 4):
        network = invariant_network(params.depth, n)
        matrices[f"C{n}"] = [kernels.symmetric(network, x, name=f"C{n}")]
    return _Whole(matrices, kernels.parts)


def _scorers(
    whole: dict[str, list[Kernels]], place: int, y: Tensor, ridge: float, kernel: str
) -> dict[str, Scorer]:
    found: dict[str, Scorer] = {}
    for name, matrices in whole.items():
        said = f"the {kernel} of {name}"
        if name == WHOLE_ORBITS:
            found[name] = of_turned([m[place] for m in matrices], y, ridge, said)
        else:
            found[name] = of_gram(matrices[0][place], y, ridge, said)
    return found
