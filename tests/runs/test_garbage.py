"""Garbage: what no kept run names goes, what is named or held stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from geocore.errors import UserError
from geocore.runs.atomic import beside, write_json, write_text
from geocore.runs.garbage import Collected, collect
from geocore.runs.ledger import Ledger
from geocore.runs.locks import hold
from geocore.runs.store import Store

OLD, GOOD, FAILED, HELD, NOBODY = (letter * 32 for letter in "abcde")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Runs of OLD, GOOD (done) and FAILED, in that order; HELD and NOBODY are in no entry."""
    states = ((OLD, "done"), (GOOD, "done"), (FAILED, "failed"))
    for number, (key, state) in enumerate(states):
        about = {"run": key, "stage": "train", "state": state, "started": str(number)}
        write_json(
            tmp_path / "ledger" / f"{key}.json", {**about, "key": key, "pieces": {key: "made"}}
        )
    for key in (OLD, GOOD, FAILED, HELD, NOBODY):
        write_text(tmp_path / "work" / key / "out" / "parts" / "a", "12345")
        write_text(tmp_path / "locks" / f"train-{key}.lock", "")
        Store(tmp_path / "store").make(key, lambda _: {}, verb="train")
    write_text(tmp_path / "work" / "notes", "somebody's own")
    return tmp_path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_no_kept_run_names_goes_and_what_is_held_stays(home: Path) -> None:
    with hold(home / "locks" / f"train-{HELD}.lock", "a stage"):
        found = collect(home, Ledger(home / "ledger"), last=1)
        assert names_in(home / "work") == [GOOD, FAILED, HELD, "notes"]
        assert names_in(home / "locks") == [f"train-{HELD}.lock"]
    assert sorted(piece.key for piece in Store(home / "store").pieces()) == [GOOD, FAILED]
    assert (found.pieces, found.work, found.work_bytes, found.locks) == (3, 2, 10, 4)
    assert found.piece_bytes > 0
    assert collect(home, Ledger(home / "ledger"), last=1) == Collected(0, 0, 1, 5, 1)


def test_nothing_goes_while_an_entry_is_damaged(home: Path) -> None:
    before = sorted(path for path in home.rglob("*"))
    broken = home / "ledger" / f"{GOOD}.json"
    broken.write_text("{")
    with pytest.raises(UserError, match=f"{broken}: damaged.*repair or delete it first"):
        collect(home, Ledger(home / "ledger"), last=1)
    assert sorted(path for path in home.rglob("*")) == before


def test_what_a_killed_process_was_about_to_put_elsewhere_goes(home: Path) -> None:
    collect(home, Ledger(home / "ledger"), last=1)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mine = beside(home / "mine")
    theirs = mine.with_name(mine.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-"))
    for folder in (mine, theirs):
        write_text(folder / "dvc.yaml", "12345")
    assert collect(home, Ledger(home / "ledger"), last=1) == Collected(0, 0, 0, 5, 0)
    assert [path.name for path in home.glob(".*")] == [mine.name]


def test_an_empty_home_has_no_garbage(tmp_path: Path) -> None:
    assert collect(tmp_path, Ledger(tmp_path / "ledger"), last=1) == Collected(0, 0, 0, 0, 0)
