"""The body of ``limit``: the task that the parameters name."""

from __future__ import annotations

from geocore.config.limit import (
    AccuracyLimit,
    EnsembleLimit,
    LimitParams,
    SphereLimit,
    TheoremLimit,
    WidthLimit,
)
from geocore.pipeline import (
    limit_accuracy,
    limit_ensemble,
    limit_sphere,
    limit_theorem,
    limit_width,
)
from geocore.pipeline.limit_results import write_results
from geocore.pipeline.stage import Job, Manifest

__all__ = ["measure"]


def measure(job: Job) -> Manifest:
    """Write ``metrics.json``, ``table.csv`` and ``pictures``, all or none.

    Returns their digests, the keys of the parts, and ``broken``: a line for each law that is
    missed. Raises ``UserError`` for data that are missing, broken or too few.
    """
    params = job.section(LimitParams)
    match params:
        case AccuracyLimit():
            results = limit_accuracy.measured(job, params)
        case SphereLimit():
            results = limit_sphere.measured(job, params)
        case WidthLimit():
            results = limit_width.measured(job, params)
        case TheoremLimit():
            results = limit_theorem.measured(job, params)
        case EnsembleLimit():
            results = limit_ensemble.measured(job, params)
        case _:
            raise TypeError(f"limit is {type(params).__name__}; expected the class of a task")
    return write_results(job, results)
