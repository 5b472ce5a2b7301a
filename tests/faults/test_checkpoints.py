"""A flipped bit of a checkpoint: the work goes on from the one before, or from its start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.injecting import Prepared, drawn, flip
from tests.faults.project import Project
from tests.faults.rows import Row, record
from tests.faults.stages import CHECKPOINTED
from tests.faults.workshop import Faults, Workshop

pytestmark = [pytest.mark.faults, pytest.mark.slow]
FLIPS = 5
_TOLD = "piece KEY: FILE has digest FOUND; expected DIGEST; it is removed and counts as missing"


def checkpoints(project: Project) -> dict[int, Path]:
    """Step -> folder, of those that lie there."""
    pieces = (piece for piece in project.store.pieces() if piece.manifest["verb"] == "checkpoint")
    return {int(piece.values["step"]): piece.folder for piece in pieces}


@pytest.mark.parametrize("stage", CHECKPOINTED)
def test_a_damaged_checkpoint_is_passed_over(
    shop: Workshop, prepared: Prepared, stage: str
) -> None:
    """The work has a checkpoint each step; how many steps are taken says where it went on."""
    known = prepared.undisturbed(stage)
    steps = shop.run(prepared.copy(stage).root, stage).steps
    lost, wrong, unclear, tries = [0, 0], [0, 0], [0, 0], 0
    for number in range(4 * FLIPS):
        if tries == FLIPS:
            break
        generator = drawn("checkpoint", stage, number)
        last = generator.randint(4, steps)  # the step after which no checkpoint came any more
        project = prepared.copy(stage)
        killed = shop.run(project.root, stage, Faults(kill_at=last))
        assert killed.code < 0, killed.said
        found = checkpoints(project)
        if len(found) < 2:  # the training of a network had just begun
            continue
        tries += 1
        older, newest = sorted(found)
        twin = project.copy(project.root.with_name(f"{project.root.name}-twin"), store=True)
        # From the one before: as many steps more as lie between; from the start: all of them.
        for which, (copy, more) in enumerate(((project, newest - older), (twin, newest))):
            for step in (newest, older)[: 1 + which]:
                files = sorted(checkpoints(copy)[step].iterdir())
                print(flip(generator.choice(files), generator))
            ended = shop.run(copy.root, stage)
            lost[which] += ended.steps != steps - (last - 1) + more
            wrong[which] += known.wrong(copy) + len(copy.store.check())
            unclear[which] += ended.code != 0 or "counts as missing" not in ended.said
            print(f"at {newest}, {last} of {steps}: then {ended.steps} steps {ended.said}")
    survived = 0
    for which, what in enumerate(("the newest checkpoint", "both checkpoints")):
        row = Row(f"a bit of {what}", stage, tries, lost[which], wrong[which], unclear[which],
                  _TOLD)  # fmt: skip
        survived += record(row).survived
    assert survived == 2 and tries == FLIPS
