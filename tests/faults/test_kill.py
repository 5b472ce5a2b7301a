"""kill -9 at a random moment of every stage: the next run goes on, to the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.faults.injecting import Prepared, drawn
from tests.faults.project import Project
from tests.faults.rows import Row, record
from tests.faults.stages import ENDS, STAGES
from tests.faults.workshop import Workshop

pytestmark = pytest.mark.faults
TRIES = 5
SHORT = ("train",)


def made_again(project: Project, stage: str, kept: set[str]) -> int:
    """How many of the finished pieces are gone, or were made by the newest run once more."""
    newest = project.ledger.runs(stage)[0]
    again = {key for key, how in newest.get("pieces", {}).items() if how == "made"}
    return len(kept - project.pieces()) + len(kept & again)


def parts_written_again(project: Project, paths: dict[str, str], parts: dict[str, int]) -> int:
    """How many finished parts of tables are not the files that they were."""
    now = {
        path.stat().st_ino
        for place in paths.values()
        for path in (project.root / place).rglob("*.arrow")
    }
    return sum(inode not in now for name, inode in parts.items() if name.endswith(".arrow"))


def struck(shop: Workshop, prepared: Prepared, stage: str, tries: int) -> Row:
    """Kill the stage so often, run it again each time, and count what it cost."""
    known = prepared.undisturbed(stage)
    lost = wrong = unclear = 0
    redone = 0.0
    hit = number = 0
    while hit < tries and number < 4 * tries:
        number += 1
        after = drawn("kill", stage, number).uniform(0, known.seconds)
        project = prepared.copy(stage)
        killed = shop.killed(project.root, stage, after)
        if killed.code == 0:  # it had ended before
            shutil.rmtree(project.root)
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
        shutil.rmtree(project.root)
    return Row("kill -9", stage, hit, lost, wrong, unclear, redone=round(redone, 2))


def moments() -> Iterator[object]:
    for stage in STAGES:
        marks = () if stage in SHORT else pytest.mark.slow
        yield pytest.param(stage, marks=marks, id=stage)


@pytest.mark.parametrize("stage", list(moments()))
def test_the_next_run_goes_on_to_the_same_bytes(
    shop: Workshop, prepared: Prepared, stage: str
) -> None:
    assert record(struck(shop, prepared, stage, TRIES)).survived
