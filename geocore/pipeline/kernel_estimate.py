"""``geocore estimate``: the cost of a stage's kernels before the stage is begun."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from dataclasses import dataclass

from geocore.config.runtime import RuntimeParams, usable_cores
from geocore.errors import UserError
from geocore.kernels.cost import BlockCost
from geocore.pipeline.kernel_cost import (
    KernelTask,
    Prediction,
    StoreCost,
    predicted,
    probe_store,
    probe_task,
)
from geocore.pipeline.stage import Job

__all__ = ["Estimate", "estimate", "with_kernels"]

# Where a stage says which kernels it would compute: planned_kernels(job) -> list[KernelTask].
_PLANNED = {
    "limit": "geocore.pipeline.limit_planned",
    "ntk": "geocore.pipeline.kernel_twin",
}


@dataclass(frozen=True)
class Estimate:
    """What each matrix will cost, and what a pair of samples does, as tried on this machine."""

    predictions: tuple[Prediction, ...]
    pair_seconds: tuple[float, ...]
    workers: int

    @property
    def seconds(self) -> float:
        """Of all matrices, one after the other."""
        return sum(found.seconds for found in self.predictions)

    @property
    def memory(self) -> int:
        """Bytes of tensors held at once, at most."""
        return max(found.memory for found in self.predictions)

    @property
    def disk(self) -> int:
        """Bytes in the store."""
        return sum(found.disk for found in self.predictions)


def with_kernels(stages: Collection[str]) -> list[str]:
    """Those of the stages that compute kernels and say so beforehand."""
    return [stage for stage in stages if stage in _PLANNED]


def estimate(job: Job, seconds: float) -> Estimate:
    """Try blocks of the stage's own samples in about so many ``seconds``, and count the rest.

    Nothing is taken from the store and nothing left there. Raises ``UserError`` for a stage without
    kernels, and for what the stage itself would refuse.
    """
    if job.stage.name not in _PLANNED:
        raise UserError(
            f"stage {job.stage.name} computes no kernels; expected one of {', '.join(_PLANNED)}"
        )
    planned: Callable[[Job], list[KernelTask]]
    planned = importlib.import_module(_PLANNED[job.stage.name]).planned_kernels
    tasks = planned(job)
    if not tasks:
        raise UserError(
            f"{job.params_file}: {job.stage.name}: its task stores no kernel matrices; expected "
            "one that does"
        )
    runtime = job.section(RuntimeParams)
    wanted = runtime.workers or usable_cores() if runtime.device == "cpu" else 1
    store: StoreCost = probe_store(job.store.root)
    found, pairs = [], []
    tried: dict[tuple[object, ...], BlockCost] = {}
    for task in tasks:
        workers = max(1, min(wanted, task.blocks))
        # Matrices of one network and one kind of sample cost the same a pair.
        like = (id(task.kernel), task.rows.shape[1:], task.dtype, task.size, workers)
        if like not in tried:
            try:
                tried[like] = probe_task(task, workers, seconds / len(tasks))
            except ValueError as error:
                raise UserError(f"{job.params_file}: {job.stage.name}: {error}") from error
        found.append(predicted(task, tried[like], store))
        pairs.append(tried[like].pair)
    return Estimate(tuple(found), tuple(pairs), max(1, wanted))
