"""``lyapunov``: how trained networks stretch the space of their inputs, and what that tells.

Networks learn; their finite-time Lyapunov exponents are laid over input space. Bounds of the
section are gates: a figure that misses its own fails the stage, by name, when all is written.
"""

from __future__ import annotations

from geocore.config.lyapunov import LyapunovParams
from geocore.config.runtime import RuntimeParams
from geocore.errors import GateError
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.written import files_whole

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Train what the store does not have, measure, write figures, table and pictures."""
    from geocore.pipeline.lyapunov_measuring import measure

    return measure(job)


def write(job: Job, manifest: Manifest) -> None:
    """``make`` has written all; a ``GateError`` with a line for each figure out of its bound."""
    del job
    if manifest["broken"]:
        raise GateError(*manifest["broken"])


STAGE = Stage(
    name="lyapunov",
    summary="how trained networks stretch the space of their inputs, and what that tells",
    sections=(LyapunovParams, RuntimeParams),
    takes={},
    gives={
        "metrics": Port("results/lyapunov/metrics.json", "metrics"),
        "table": Port("results/lyapunov/table.csv", "plots"),
        "pictures": Port("results/lyapunov/pictures", "pictures"),
    },
    code=("geocore.pipeline.lyapunov_measuring",),
    make=make,
    write=write,
    whole=files_whole,
)
