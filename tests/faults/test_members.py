"""A member of an ensemble that fails: NaN, no memory left, its process killed; the others stay."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults.injecting import Prepared, drawn, made_again
from tests.faults.rows import Row, generic, record
from tests.faults.workshop import Faults, Workshop

pytestmark = [pytest.mark.faults, pytest.mark.slow]
TRIES = 5


@pytest.mark.parametrize("stage", ["train", "ensemble"])
def test_nan_in_a_member(shop: Workshop, prepared: Prepared, stage: str) -> None:
    """One line says where; a run without the fault goes on from what was still finite."""
    known = prepared.undisturbed(stage)
    lost = wrong = unclear = 0
    message = ""
    for number in range(TRIES):
        project = prepared.copy(stage)
        last = drawn("nan", stage, number).randint(2, 14 if stage == "train" else 40)
        spoilt = shop.run(project.root, stage, Faults(nan_at=last))
        off = known.half(project) + len(project.store.check())
        kept = project.pieces()
        ended = shop.run(project.root, stage)
        off += ended.code == 0 and known.wrong(project)
        bad = (spoilt.code == 0) + (not spoilt.clear) + (ended.code != 0)
        message = next(iter(spoilt.errors), message)
        lost += 0 if ended.code else made_again(project, stage, kept)
        wrong, unclear = wrong + off, unclear + bad
        print(f"at {last}: {spoilt.code} {spoilt.said}{len(kept)} kept, wrong {off} {ended.said}")
    row = Row("NaN in a member", stage, TRIES, lost, wrong, unclear, generic(message))
    assert record(row).survived


def test_no_memory_left_in_a_member(shop: Workshop, prepared: Prepared) -> None:
    known = prepared.undisturbed("ensemble")
    lost = wrong = unclear = hit = number = 0
    message = ""
    while hit < TRIES and number < 4 * TRIES:
        number += 1
        project = prepared.copy("ensemble")
        room = int(drawn("memory", number).uniform(0, 60))
        full = shop.run(project.root, "ensemble", Faults(memory=room))
        kept = project.pieces()
        off = known.half(project) + len(project.store.check()) + len(project.ledger.damaged())
        ended = shop.run(project.root, "ensemble")
        off += known.wrong(project)
        bad = (not full.clear) + (ended.code != 0)
        hit += full.code != 0
        message = next(iter(full.errors), message)
        lost += 0 if ended.code else made_again(project, "ensemble", kept)
        wrong, unclear = wrong + off, unclear + bad
        print(f"{room} MiB: exit {full.code} {len(kept)} pieces, wrong {off} {full.said[-600:]}")
    row = Row("out of memory", "ensemble", hit, lost, wrong, unclear, generic(message))
    assert record(row).survived


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(number) for number in task.read_text().split()]
    return found


def test_the_process_of_a_member_is_killed(shop: Workshop, prepared: Prepared) -> None:
    """As the system does where memory is short."""
    known = prepared.undisturbed("ensemble")
    lost = wrong = unclear = hit = 0
    message = ""
    for number in range(2):
        project = prepared.copy("ensemble")
        project.change(runtime__workers=2)
        run = shop.start(project.root, "ensemble")
        end = time.monotonic() + shop.patience
        while (project.step() or 0) < 2:
            assert time.monotonic() < end and not run.ended(), run.wait().said
            time.sleep(0.01)
        victims = children(run.pid)
        victim = drawn("member", number).choice(victims)
        os.kill(victim, signal.SIGKILL)
        killed = run.wait()
        hit += killed.code != 0
        kept = project.pieces()
        off = known.half(project) + len(project.store.check()) + len(project.ledger.damaged())
        ended = shop.run(project.root, "ensemble")
        off += known.wrong(project)
        bad = (not killed.clear) + (ended.code != 0)
        message = next(iter(killed.errors), message)
        lost += 0 if ended.code else made_again(project, "ensemble", kept)
        wrong, unclear = wrong + off, unclear + bad
        print(f"{victim} of {victims}: exit {killed.code}, {killed.said}{ended.said}")
    row = Row("a member's process killed", "ensemble", hit, lost, wrong, unclear, generic(message))
    assert record(row).survived
