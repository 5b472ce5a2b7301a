"""``approximate``: how near ensembles come to the posterior, and how far their doubt is right.

Deep ensembles and ensembles of stochastic networks learn one task; where the task is small the
posterior itself is drawn from beside them.
"""

from __future__ import annotations

from geocore.config.approximate import ApproximateParams
from geocore.config.runtime import RuntimeParams
from geocore.pipeline.piece import copy_outputs, make_piece
from geocore.pipeline.stage import Job, Manifest, Port, Stage

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Draw from the posterior, train the ensembles that the store does not have, compare."""
    # Here, so that `geocore check` reads this declaration without importing torch.
    from geocore.pipeline.approximating import approximate

    return make_piece(job, lambda folder: approximate(job, folder))


def write(job: Job, manifest: Manifest) -> None:
    """Copy the piece's files to where DVC expects them."""
    del manifest
    copy_outputs(job)


STAGE = Stage(
    name="approximate",
    summary="how near deep and stochastic ensembles come to the posterior",
    sections=(ApproximateParams, RuntimeParams),
    takes={},
    gives={
        "metrics": Port("results/approximate/metrics.json", "metrics"),
        "table": Port("results/approximate/table.csv", "plots"),
        "pictures": Port("results/approximate/pictures", "pictures"),
    },
    code=("geocore.pipeline.approximating",),
    libraries=("jax", "numpyro"),
    make=make,
    write=write,
)
