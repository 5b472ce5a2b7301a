"""Every stage in small, run in this process: the root's by params.yaml, the studies' by sections.

What a flow does around a stage, without Prefect: its entry in the ledger, one line for a mistake.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from geocore.errors import UserError
from geocore.pipeline.code import deciding_code
from geocore.pipeline.run import make, open_job, output_digests, stage_of
from geocore.pipeline.stage import Job
from geocore.runs.digest import digest_json
from geocore.runs.home import ledger_folder, store_folder, work_folder
from geocore.runs.ledger import Ledger
from geocore.runs.store import Store

if TYPE_CHECKING:
    from tests.faults.workshop import Faults

__all__ = [
    "CHECKPOINTED",
    "ENDS",
    "NEEDS",
    "PIPELINE",
    "STAGES",
    "STORED",
    "STUDIES",
    "TABLE_OF",
    "open_stage",
    "outputs_of",
    "parse_for",
    "run",
    "steps_done",
]

PIPELINE = (
    "fetch", "project", "resample", "ntk", "synthesize", "train", "alignment", "spheres",
    "ensemble", "evaluate", "report", "gate",
)  # fmt: skip
# Whose outputs a stage reads.
NEEDS = {
    "project": ["fetch"], "resample": ["project"], "ntk": ["resample"], "synthesize": ["fetch"],
    "train": ["resample"], "alignment": ["train", "ntk"], "spheres": ["train"],
    "ensemble": ["resample"],
    "evaluate": ["train", "ensemble", "ntk"], "report": ["evaluate", "alignment", "synthesize"],
    "gate": ["report", "synthesize"],
}  # fmt: skip
# Those that leave pieces in the store: a page is cheaper made again, a verdict is none.
STORED = tuple(name for name in PIPELINE if name not in ("report", "gate"))
# Those that leave checkpoints, and those that read a table, with the stage that makes it.
CHECKPOINTED = ("train", "ensemble", "synthesize")
TABLE_OF = {
    "project": "fetch", "synthesize": "fetch", "resample": "project",
    **dict.fromkeys(("ntk", "train", "alignment", "spheres", "ensemble", "evaluate"), "resample"),
}  # fmt: skip
_TRAINED = (
    "geocore.models.healpix_encoder", "geocore.pipeline.ensembling", "geocore.pipeline.training",
)  # fmt: skip
# Measured in seconds, or nothing but a verdict: what they write differs, or is nothing.
ENDS = ("cost", "timings")
_STEPS: list[None] = []  # of the one run of this process


def _approximate(root: Path) -> Job:
    from tests.pipeline.test_approximate import job, params

    return job(root, params())


def _collect(root: Path) -> Job:
    from tests.pipeline.test_collect import job

    return job(root)


def _cost(root: Path) -> Job:
    from tests.pipeline.test_cost import CNN, WIDE, info, job

    for name in ("narrow", "wide"):  # of the run before
        shutil.rmtree(root / "studies/mine" / name, ignore_errors=True)
    return job(root, {"narrow": info(CNN), "wide": info(WIDE)})


def _detect(root: Path) -> Job:
    from tests.pipeline.test_detect import job

    return job(root)


def _laws(root: Path) -> Job:
    from geocore.pipeline import law_measuring
    from geocore.pipeline.laws import STAGE
    from tests.pipeline.law_jobs import few, job

    vars(law_measuring)["constructions"] = few
    return job(root, STAGE)


def _limit(root: Path) -> Job:
    from tests.pipeline.limit_jobs import job

    return job(root, "ensemble")


def _lyapunov(root: Path) -> Job:
    from geocore.pipeline.lyapunov import STAGE
    from tests.pipeline.lyapunov_jobs import params
    from tests.pipeline.stages import study_job

    return study_job(STAGE, root, params("circle", widths=[4]))


def _orbits(root: Path) -> Job:
    from geocore.pipeline.orbits import STAGE
    from tests.pipeline.orbit_jobs import params
    from tests.pipeline.stages import study_job

    return study_job(STAGE, root, params("vector"))


def _timings(root: Path) -> Job:
    from geocore.pipeline import law_timing
    from geocore.pipeline.timings import STAGE
    from tests.pipeline.law_jobs import few, job

    vars(law_timing)["constructions"] = few
    return job(root, STAGE)


STUDIES: dict[str, Callable[[Path], Job]] = {
    "approximate": _approximate,
    "collect": _collect,
    "cost": _cost,
    "detect": _detect,
    "laws": _laws,
    "limit": _limit,
    "lyapunov": _lyapunov,
    "orbits": _orbits,
    "timings": _timings,
}
STAGES = (*PIPELINE, *STUDIES)


def open_stage(name: str, root: Path) -> Job:
    """What the stage is handed in ``root``."""
    if name in PIPELINE:
        return open_job(stage_of(name, PIPELINE), root)
    job = STUDIES[name](root)
    key = digest_json([name, "in small"])
    return dataclasses.replace(
        job, key=key, store=Store(store_folder(root)), work=work_folder(root) / key
    )


def outputs_of(name: str) -> dict[str, str]:
    """Where the stage's outputs go, from the project's root."""
    folder = Path() if name in PIPELINE else Path("studies/mine")
    ports = stage_of(name, STAGES).outputs(None)
    return {title: (folder / port.path).as_posix() for title, port in ports.items()}


def run(root: Path, name: str, faults: Faults) -> int:
    """One run in this process, under ``faults``; what a flow of Prefect's does around its task."""
    os.environ.update(faults.environment)
    _spoil(faults)
    os.chdir(root)
    try:
        job = open_stage(name, root)
        with Ledger(ledger_folder(root), root).record(name, **job.about()) as entry:
            job = job.noting(entry.note)
            manifest = make(job)
            job.stage.write(job, manifest)
            entry.note(outs=output_digests(job))
    except UserError as error:
        for line in error.lines:
            print(f"error: {line}", file=sys.stderr)
        return error.exit_code
    except BaseException:
        traceback.print_exc()
        return 70
    return 0


def steps_done() -> int:
    """How many steps optimisers have taken in this process, which runs one stage."""
    return len(_STEPS)


@cache
def parse_for(name: str) -> None:
    """Parse the sources that a stage's key stands for, so that a child has it done."""
    code = stage_of(name, STAGES).code
    deciding_code(_TRAINED if callable(code) else code)


def _spoil(faults: Faults) -> None:
    from geocore.data import table
    from geocore.runs import ledger

    table._PART_BYTES = faults.part_bytes
    if faults.clock:
        off = datetime.timedelta(seconds=faults.clock)

        def now(zone: Any) -> datetime.datetime:
            return datetime.datetime.now(zone) + off

        parse = datetime.datetime.strptime
        vars(ledger)["datetime"] = SimpleNamespace(now=now, strptime=parse)
    _watch_steps(faults)
    if faults.memory is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + faults.memory * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    if faults.file_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (faults.file_bytes, faults.file_bytes))


def _watch_steps(faults: Faults) -> None:
    """Count the optimisers' steps; spoil a weight, or kill the run, after the one that is named."""
    if "torch" not in sys.modules and faults.nan_at is None and faults.kill_at is None:
        return  # a stage that does not import it takes none
    import torch

    step = torch.optim.AdamW.step

    def watched(optimiser: Any, *given: Any, **named: Any) -> Any:
        found = step(optimiser, *given, **named)
        _STEPS.append(None)
        if len(_STEPS) == faults.nan_at:
            with torch.no_grad():
                optimiser.param_groups[0]["params"][0].view(-1)[0] = float("nan")
        if len(_STEPS) == faults.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    type.__setattr__(torch.optim.AdamW, "step", watched)
