"""Flow of stage ``limit``: ``python -m flows.limit``."""

from __future__ import annotations

import sys
from pathlib import Path

from prefect import flow

from flows.stage import opened, run_stage
from geocore.pipeline.limit import STAGE
from geocore.pipeline.stage import Manifest
from tasks.limit import limit as make


@flow(name="limit", description=STAGE.summary)
def limit(folder: str = ".") -> Manifest:
    """Make the stage's pieces in one cached task, then write the outputs that DVC expects."""
    with opened(STAGE, Path(folder)) as job:
        manifest = make(job)
        STAGE.write(job, manifest)
        return manifest


if __name__ == "__main__":
    sys.exit(run_stage(STAGE, limit))
