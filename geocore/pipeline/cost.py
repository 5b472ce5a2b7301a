"""``cost``: what the networks of the studies below cost: parameters, time to train and to answer.

Times differ between equal runs, so no other stage reads these outputs, ``dvc.yaml`` keeps them
uncached (``cache: false``, in git as metrics are), and no piece stands for them: whenever DVC runs
the stage, it measures again. DVC runs it where a network, the parameters or the code have changed;
another machine is no such change: ``dvc repro -f`` then.
"""

from __future__ import annotations

from geocore.config.cost import CostParams
from geocore.config.runtime import RuntimeParams
from geocore.pipeline.stage import Job, Manifest, Port, Stage

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Measure, and write table and chart."""
    from geocore.pipeline.costing import measure

    return measure(job)


def write(job: Job, manifest: Manifest) -> None:
    """Nothing is left to write: ``make`` has written table and chart."""
    del job, manifest


def whole(job: Job, manifest: Manifest) -> bool:
    """Never: an earlier measurement is no answer to being asked for one."""
    del job, manifest
    return False


STAGE = Stage(
    name="cost",
    summary="parameters, training throughput and inference latency of the networks below",
    sections=(CostParams, RuntimeParams),
    takes={"models": Port("results/train/model.json", "numbers", each=True)},
    gives={
        "table": Port("results/cost/table.csv", "plots"),
        "latency": Port("results/cost/latency.png", "pictures"),
    },
    code=("geocore.pipeline.costing",),
    make=make,
    write=write,
    whole=whole,
)
