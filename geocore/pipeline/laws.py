"""``laws``: how well each construction of the survey keeps its law, in float64 and float32.

The errors are roundings and samplings, so their last digits depend on the machine; no other stage
reads them. A law that is broken beyond ``laws.error_max`` fails the stage, by name, when all is
written: the pipeline of the survey has no other end.
"""

from __future__ import annotations

from geocore.config.laws import LawsParams
from geocore.errors import GateError
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.written import files_whole

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Measure, and write the figures, the table and the chart."""
    from geocore.pipeline.law_measuring import measure

    return measure(job)


def write(job: Job, manifest: Manifest) -> None:
    """``make`` has written all; a ``GateError`` with a line for each law that is broken."""
    del job
    if manifest["broken"]:
        raise GateError(*manifest["broken"])


STAGE = Stage(
    name="laws",
    summary="how well each construction keeps its law",
    sections=(LawsParams,),
    takes={},
    gives={
        "metrics": Port("results/laws/metrics.json", "metrics"),
        "table": Port("results/laws/table.csv", "plots"),
        "digits": Port("results/laws/digits.png", "pictures"),
    },
    code=("geocore.pipeline.law_measuring",),
    libraries=("escnn",),
    make=make,
    write=write,
    whole=files_whole,
)
