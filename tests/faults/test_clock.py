"""A clock that was set back: the newest run is the last that came, and gc keeps what it needs."""

from __future__ import annotations

import pytest

from geocore.runs.garbage import collect
from tests.faults.injecting import Prepared, drawn, made_again, parts_written_again, short_of
from tests.faults.project import Project
from tests.faults.rows import Row, record
from tests.faults.stages import CHECKPOINTED, STORED
from tests.faults.workshop import Ended, Faults, Workshop

pytestmark = pytest.mark.faults
BACK = (-3.0, -3600.0, -86400.0 * 400)
TRIES = 8  # for one that is killed before it ends
# What makes another result of a stage, so that older runs do not name the pieces of the killed one.
CHANGED: dict[str, tuple[str, object]] = {
    "fetch": ("data__seed", 1),
    "project": ("project__colatitude", 80.0),
    "resample": ("resample__nside", 2),
    "ntk": ("ntk__bias_std", 0.2),
    "synthesize": ("synthesize__lr", 0.002),
    "train": ("train__lr", 0.001),
    "alignment": ("alignment__seed", 1),
    "spheres": ("spheres__rotations", 2),
    "ensemble": ("ensemble__seed", 1),
    "evaluate": ("evaluate__seed", 1),
}


def killed_in_the_past(
    shop: Workshop, prepared: Prepared, stage: str, back: float
) -> tuple[Project, Ended, set[str]]:
    """A project on which the stage had run, and was killed for other parameters at a past time.

    How that ended, and the runs that came before.
    """
    name, value = CHANGED[stage]
    for number in range(TRIES):
        known = prepared.undisturbed(stage)
        project = prepared.done(stage)
        project.remove(known.paths)
        before = {entry["run"] for entry in project.ledger.runs()}
        project.change(**{name: value})
        generator = drawn("clock", stage, back, number)
        if stage in CHECKPOINTED:  # in its training, after a checkpoint
            faults = Faults(clock=back, kill_at=generator.randint(3, 12))
            killed = shop.run(project.root, stage, faults)
        else:
            after = generator.uniform(0, known.seconds)
            killed = shop.killed(project.root, stage, after, Faults(clock=back))
        if killed.code != 0:
            break
        prepared.faster(stage, project)
    return project, killed, before


@pytest.mark.parametrize("stage", short_of(STORED))
def test_what_a_killed_run_needs_is_kept(shop: Workshop, prepared: Prepared, stage: str) -> None:
    """Older runs have later times by then; gc goes by the order in which runs came."""
    known = prepared.undisturbed(stage)
    name, value = CHANGED[stage]
    right = prepared.copy(stage)  # the same parameters under a clock that goes right
    right.change(**{name: value})
    assert shop.run(right.root, stage).code == 0
    expected = right.outputs(known.paths)
    lost = wrong = unclear = hit = 0
    for back in BACK:
        project, killed, before = killed_in_the_past(shop, prepared, stage, back)
        assert killed.code <= 0, killed.said
        hit += killed.code < 0
        newest = project.ledger.runs()[0]
        # One that was killed after its last word is done.
        lost += newest["run"] in before or newest["state"] not in ("died", "done")
        step, parts = project.checkpoint(), project.parts()
        kept = project.pieces() & newest.get("pieces", {}).keys()
        collect(project.root / ".geocore", project.ledger, last=1)
        lost += project.checkpoint() != step or not parts.items() <= project.parts().items()
        ended = shop.run(project.root, stage, Faults(clock=back))
        newest = project.ledger.runs(stage)[0]
        lost += newest["state"] != "done" or made_again(project, stage, kept)
        lost += parts_written_again(project, known.paths, parts)
        if stage == "train":
            lost += newest.get("resumed_from") != step
        unclear += ended.code != 0
        collect(project.root / ".geocore", project.ledger, last=1)
        lost += newest["key"] not in project.pieces()
        wrong += project.outputs(known.paths) != expected
        print(f"{back} s: {len(kept)} pieces, {len(parts)} parts, at {step}, {newest['state']} "
              f"{ended.said}")  # fmt: skip
    assert record(Row("clock set back", stage, hit, lost, wrong, unclear)).survived
    assert hit == len(BACK)
