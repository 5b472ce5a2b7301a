"""kill -9 at a random moment of every stage: the next run goes on, to the same bytes."""

from __future__ import annotations

import pytest

from tests.faults.injecting import Prepared, drawn, made_again, parts_written_again, short_of
from tests.faults.rows import Row, record
from tests.faults.stages import ENDS, STAGES
from tests.faults.workshop import Workshop

pytestmark = pytest.mark.faults
TRIES = 5


def struck(shop: Workshop, prepared: Prepared, stage: str, tries: int) -> Row:
    """Kill the stage so often, run it again each time, and count what it cost."""
    lost = wrong = unclear = 0
    redone = 0.0
    hit = number = 0
    while hit < tries and number < 8 * tries:
        number += 1
        known = prepared.undisturbed(stage)
        after = drawn("kill", stage, number).uniform(0, known.seconds)
        project = prepared.copy(stage)
        killed = shop.killed(project.root, stage, after)
        if killed.code == 0:  # it had ended before
            prepared.faster(stage, project)
            continue
        hit += 1
        kept, parts, step = project.pieces(), project.parts(), project.checkpoint()
        half = known.half(project) + len(project.store.check()) + len(project.ledger.damaged())
        ended = shop.run(project.root, stage)
        bad = ended.code != 0
        gone: int = 0
        if not bad and stage not in ENDS:  # those are measured whenever they are asked for
            gone += made_again(project, stage, kept)
        gone += parts_written_again(project, known.paths, parts)
        if stage == "train" and not kept and step is not None:
            gone += project.ledger.runs(stage)[0].get("resumed_from") != step
        off = half + known.wrong(project)
        lost, wrong, unclear = lost + gone, wrong + off, unclear + bad
        redone += max(0.0, killed.seconds + ended.seconds - known.seconds)
        print(
            f"{stage} killed after {after:.3f} of {known.seconds:.3f} s, {len(kept)} pieces and "
            f"{len(parts)} parts done, checkpoint at {step}: lost {gone}, wrong {off}, "
            f"exit {ended.code} {ended.said}"
        )
    return Row("kill -9", stage, hit, lost, wrong, unclear, redone=round(redone, 2))


@pytest.mark.parametrize("stage", short_of(STAGES))
def test_the_next_run_goes_on_to_the_same_bytes(
    shop: Workshop, prepared: Prepared, stage: str
) -> None:
    row = record(struck(shop, prepared, stage, TRIES))
    assert row.survived and row.tries == TRIES
