"""``orbits``: how equivariant ensembles become by training on whole orbits.

Many members learn with and without all transformed samples; the mean of the first few, of more, of
all is asked about transformed inputs at chosen steps. Last comes the orbit-closed ensemble, whose
law holds to rounding: broken beyond ``orbits.closed_max``, it fails the stage, by name, when all is
written. Slopes and plateaus are told, and judge nothing.
"""

from __future__ import annotations

from geocore.config.orbits import OrbitsParams
from geocore.config.runtime import RuntimeParams
from geocore.errors import GateError
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.written import files_whole

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Train what the store does not have, measure, write figures, table and pictures."""
    from geocore.pipeline.orbit_measuring import measure

    return measure(job)


def write(job: Job, manifest: Manifest) -> None:
    """``make`` has written all; a ``GateError`` with a line for each step with a broken law."""
    del job
    if manifest["broken"]:
        raise GateError(*manifest["broken"])


STAGE = Stage(
    name="orbits",
    summary="how equivariant ensembles become, trained on whole orbits and without",
    sections=(OrbitsParams, RuntimeParams),
    takes={},
    gives={
        "metrics": Port("results/orbits/metrics.json", "metrics"),
        "table": Port("results/orbits/table.csv", "plots"),
        "pictures": Port("results/orbits/pictures", "pictures"),
    },
    code=("geocore.pipeline.orbit_measuring",),
    make=make,
    write=write,
    whole=files_whole,
)
