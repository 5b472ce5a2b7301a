"""Flow of stage ``spheres``: ``python -m flows.spheres``."""

from __future__ import annotations

import sys
from pathlib import Path

from prefect import flow

from flows.stage import opened, run_stage
from geocore.pipeline.spheres import STAGE
from geocore.pipeline.stage import Manifest
from tasks.spheres import spheres as make


@flow(name="spheres", description=STAGE.summary)
def spheres(folder: str = ".") -> Manifest:
    """Make the stage's pieces in one cached task, then write the outputs that DVC expects."""
    with opened(STAGE, Path(folder)) as job:
        manifest = make(job)
        STAGE.write(job, manifest)
        return manifest


if __name__ == "__main__":
    sys.exit(run_stage(STAGE, spheres))
