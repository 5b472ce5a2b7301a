"""``limit``: what networks of infinite width know of a symmetry, and how finite ones tend to them.

A task a folder: accuracies of equivariant and plain kernels, on the plane and on the sphere; the
convergence in width; training on whole orbits against the symmetrised kernel; ensembles. All is
written before a broken law fails the stage, by name; accuracies and slopes judge nothing.
"""

from __future__ import annotations

from geocore.config.limit import LimitParams
from geocore.config.runtime import RuntimeParams
from geocore.errors import GateError
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.written import files_whole

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Compute what the store does not have, write figures, table and pictures."""
    from geocore.pipeline.limit_measuring import measure

    return measure(job)


def write(job: Job, manifest: Manifest) -> None:
    """``make`` has written all; a ``GateError`` with a line for each broken law."""
    del job
    if manifest["broken"]:
        raise GateError(*manifest["broken"])


STAGE = Stage(
    name="limit",
    summary="kernels of infinitely wide networks: what symmetry gives, and how they are reached",
    sections=(LimitParams, RuntimeParams),
    takes={},
    gives={
        "metrics": Port("results/limit/metrics.json", "metrics"),
        "table": Port("results/limit/table.csv", "plots"),
        "pictures": Port("results/limit/pictures", "pictures"),
    },
    code=("geocore.pipeline.limit_measuring",),
    make=make,
    write=write,
    whole=files_whole,
)
