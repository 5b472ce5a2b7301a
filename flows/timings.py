"""Flow of stage ``timings``: ``python -m flows.timings``."""

from __future__ import annotations

import sys
from pathlib import Path

from prefect import flow

from flows.stage import opened, run_stage
from geocore.pipeline.stage import Manifest
from geocore.pipeline.timings import STAGE
from tasks.timings import timings as make


@flow(name="timings", description=STAGE.summary)
def timings(folder: str = ".") -> Manifest:
    """Make the stage's pieces in one cached task, then write the outputs that DVC expects."""
    with opened(STAGE, Path(folder)) as job:
        manifest = make(job)
        STAGE.write(job, manifest)
        return manifest


if __name__ == "__main__":
    sys.exit(run_stage(STAGE, timings))
