"""``detect``: detectors learn upright canvases, and are asked about turned ones.

The plain detector and the equivariant one have as many weights; a third is plain and sees its
canvases under random quarter turns.
"""

from __future__ import annotations

from geocore.config.detect import DetectParams
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.pipeline.written import files_whole

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Train and measure, and write the figures and the table."""
    from geocore.pipeline.detect_learning import measure

    return measure(job)


def write(job: Job, manifest: Manifest) -> None:
    """Nothing is left to write: ``make`` has written all."""
    del job, manifest


STAGE = Stage(
    name="detect",
    summary="how well detectors find on turned canvases what they learned on upright ones",
    sections=(DetectParams,),
    takes={},
    gives={
        "metrics": Port("results/detect/metrics.json", "metrics"),
        "table": Port("results/detect/table.csv", "plots"),
    },
    code=("geocore.pipeline.detect_learning",),
    make=make,
    write=write,
    whole=files_whole,
)
