"""A clock that was set back: the newest run is the last that came, and gc keeps what it needs."""

from __future__ import annotations

from functools import partial

import pytest

from geocore.runs.garbage import collect
from tests.faults.injecting import Prepared, drawn
from tests.faults.project import Project
from tests.faults.rows import Row, record
from tests.faults.workshop import Faults, Workshop

pytestmark = pytest.mark.faults
BACK = (-3.0, -3600.0, -86400.0 * 400)


def reached(project: Project, step: int) -> bool:
    return (project.step() or 0) >= step


def test_what_a_killed_run_needs_is_kept(shop: Workshop, prepared: Prepared) -> None:
    """Older runs have later times by then; gc goes by the order in which runs came."""
    known = prepared.undisturbed("train")
    lost = wrong = unclear = 0
    for back in BACK:
        project = prepared.done("train")
        project.remove(known.paths)
        project.change(train__lr=0.001)
        past = Faults(clock=back)
        first = drawn("clock", back).randint(2, 9)
        killed = shop.killed(project.root, "train", 0.0, past, partial(reached, project, first))
        step = project.checkpoint()
        assert step is not None and killed.code < 0
        newest = project.ledger.runs("train")[0]
        lost += newest["state"] != "died"
        collect(project.root / ".geocore", project.ledger, last=1)
        lost += project.checkpoint() != step
        ended = shop.run(project.root, "train", past)
        newest = project.ledger.runs("train")[0]
        lost += newest["state"] != "done" or newest.get("resumed_from") != step
        unclear += ended.code != 0
        pieces = project.pieces()
        collect(project.root / ".geocore", project.ledger, last=1)
        lost += newest["key"] not in project.pieces()
        print(f"{back} s: {len(pieces)} pieces, at {step}, {newest['state']} {ended.said}")
        # The result is that of the same parameters under a clock that goes right.
        other = prepared.copy("train")
        other.change(train__lr=0.001)
        assert shop.run(other.root, "train").code == 0
        wrong += other.outputs(known.paths) != project.outputs(known.paths)
    row = Row("clock set back", "train and gc", len(BACK), lost, wrong, unclear)
    assert record(row).survived
