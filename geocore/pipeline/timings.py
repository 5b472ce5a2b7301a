"""``timings``: what each construction of the survey costs: parameters, time forward and back.

Times differ between equal runs, so no other stage reads this table, ``dvc.yaml`` keeps it uncached
(``cache: false``), and no piece stands for it: whenever DVC runs the stage, it measures again.
"""

from __future__ import annotations

from geocore.config.laws import LawsParams
from geocore.config.timings import TimingsParams
from geocore.pipeline.stage import Job, Manifest, Port, Stage

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Measure, and write the table."""
    from geocore.pipeline.law_timing import measure

    return measure(job)


def write(job: Job, manifest: Manifest) -> None:
    """Nothing is left to write: ``make`` has written the table."""
    del job, manifest


def whole(job: Job, manifest: Manifest) -> bool:
    """Never: an earlier measurement is no answer to being asked for one."""
    del job, manifest
    return False


STAGE = Stage(
    name="timings",
    summary="parameters and time of each construction",
    sections=(LawsParams, TimingsParams),
    takes={},
    gives={"table": Port("results/timings/table.csv", "plots")},
    code=("geocore.pipeline.law_timing",),
    libraries=("escnn",),
    make=make,
    write=write,
    whole=whole,
)
