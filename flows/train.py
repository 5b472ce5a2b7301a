"""Flow of stage ``train``: ``python -m flows.train``.

Several processes train together where ``torchrun`` starts this module, or ``GEOCORE_TORCHRUN`` asks
for it: the first is the flow, the others compute with it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from prefect import flow

from flows.stage import opened, run_stage
from geocore.errors import UserError
from geocore.pipeline.stage import Manifest
from geocore.pipeline.train import STAGE
from geocore.train.torchrun import Place, launch, launch_words, place
from tasks.environment import settle
from tasks.train import train as make


@flow(name="train", description=STAGE.summary)
def train(folder: str = ".") -> Manifest:
    """Make the stage's pieces in one cached task, then write the outputs that DVC expects."""
    with opened(STAGE, Path(folder)) as job:
        manifest = make(job)
        STAGE.write(job, manifest)
        return manifest


def main() -> int:
    """``python -m flows.train [FOLDER]``, alone, as one of several, or to start them."""
    here = place()
    try:
        if here is not None:
            return _lead(here) if here.rank == 0 else _follow(here)
        words = launch_words()
        if words is not None:
            return launch(words, "flows.train", sys.argv[1:])
    except UserError as error:
        for line in error.lines:
            print(f"error: {line}", file=sys.stderr)
        return error.exit_code
    return run_stage(STAGE, train)


def _lead(here: Place) -> int:
    from geocore.train.processes import dismiss

    try:
        return run_stage(STAGE, train)
    finally:
        dismiss(here)


def _follow(here: Place) -> int:
    # Here, as a flow that trains alone, or finds its piece, needs no torch.
    from geocore.pipeline.training import follow
    from geocore.train.processes import await_end, end_with_parent

    end_with_parent()
    try:
        follow(here, settle())
    except UserError as error:
        if error.__cause__ is None:
            raise
        await_end(here)  # whoever is lost tells why, if it can
        return error.exit_code
    except KeyboardInterrupt:  # told by the first
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
