"""Two runs at once: one works, the other waits and finds; neither sees what is half-written."""

from __future__ import annotations

import time

import pytest

from tests.faults.injecting import Prepared, drawn, short_of
from tests.faults.rows import Row, record
from tests.faults.stages import STORED
from tests.faults.workshop import Workshop

pytestmark = pytest.mark.faults
TRIES = 5


@pytest.mark.parametrize("stage", short_of(STORED))
def test_twins(shop: Workshop, prepared: Prepared, stage: str) -> None:
    """The second starts at a random moment of the first; each piece is made once."""
    known = prepared.undisturbed(stage)
    lost = wrong = unclear = 0
    waited = False
    for number in range(TRIES):
        project = prepared.copy(stage)
        first = shop.start(project.root, stage)
        time.sleep(drawn("twins", stage, number).uniform(0, known.seconds))
        second = shop.start(project.root, stage)
        ended = [second.wait(), first.wait()]
        made = [
            key
            for run in project.ledger.runs(stage)
            for key, how in run.get("pieces", {}).items()
            if how == "made" and key in known.pieces
        ]
        off = known.wrong(project) + len(project.store.check()) + len(project.ledger.damaged())
        lost += len(made) - len(set(made))
        wrong, unclear = wrong + off, unclear + sum(run.code != 0 for run in ended)
        waited = waited or any("waiting" in run.said for run in ended)
        print(number, [run.code for run in ended], off, len(made), len(set(made)), ended[0].said)
    told = "stage NAME is held by 'NAME' (process PID); waiting" if waited else ""
    assert record(Row("two runs at once", stage, TRIES, lost, wrong, unclear, told)).survived
