"""Flipped bits: damage is told and made good, or refused in a line; it is never believed."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

from geocore.errors import UserError
from geocore.runs.garbage import collect
from tests.faults.injecting import Prepared, drawn
from tests.faults.project import Project
from tests.faults.rows import Row, record
from tests.faults.workshop import Ended, Workshop

pytestmark = pytest.mark.faults
STORED = ("resample", "train", "ensemble", "ntk", "evaluate")
FLIPS = 5


def flip(path: Path, generator: Random) -> str:
    """Turn one bit of the file; what was done, in words."""
    content = bytearray(path.read_bytes())
    place, bit = generator.randrange(len(content)), generator.randrange(8)
    content[place] ^= 1 << bit
    path.chmod(0o644)
    path.write_bytes(content)
    return f"bit {bit} of byte {place} of {path.name}"


def told(ended: Ended, word: str) -> str:
    """The first line with a word, without what differs from run to run."""
    return next((line for line in ended.said.splitlines() if word in line), "")


def piece_files(project: Project) -> list[Path]:
    folder = project.root / ".geocore/store/pieces"
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]


@pytest.mark.parametrize(
    "stage", [pytest.param(s, marks=() if s == "train" else pytest.mark.slow) for s in STORED]
)
def test_a_damaged_piece_counts_as_missing(shop: Workshop, prepared: Prepared, stage: str) -> None:
    """Whatever file of whatever piece: results are those of a run without trouble."""
    known = prepared.undisturbed(stage)
    wrong = unclear = silent = 0
    for number in range(FLIPS):
        project = prepared.done(stage)
        project.remove(known.paths)
        for other in project.pieces() - known.pieces:
            project.store.remove(other)
        generator = drawn("bits", stage, number)
        what = flip(generator.choice(piece_files(project)), generator)
        found = len(project.store.check())
        ended = shop.run(project.root, stage)
        bad, off = ended.code != 0, known.wrong(project) + len(project.store.check())
        wrong, unclear, silent = wrong + off, unclear + bad, silent + (found != 1)
        print(f"{stage}: {what}: exit {ended.code}, wrong {off}\n{ended.said}")
        shutil.rmtree(project.root)
    row = Row("a bit of a piece in the store", stage, FLIPS, 0, wrong + silent, unclear,
              "piece KEY: FILE has digest FOUND; expected DIGEST; it is removed and counts as "
              "missing")  # fmt: skip
    assert record(row).survived


@pytest.mark.slow
def test_a_damaged_table_is_refused_and_made_again(shop: Workshop, prepared: Prepared) -> None:
    known, table = prepared.undisturbed("train"), prepared.undisturbed("resample")
    wrong = unclear = 0
    for number in range(FLIPS):
        project = prepared.done("resample")
        project.remove(known.paths)
        generator = drawn("table", number)
        files = sorted(path for path in (project.root / "data/healpix").iterdir())
        what = flip(generator.choice(files), generator)
        refused = shop.run(project.root, "train")
        mended = shop.run(project.root, "resample")
        ended = shop.run(project.root, "train")
        bad = (refused.code != 2) + (not refused.clear) + mended.code + ended.code
        off = known.wrong(project) + table.wrong(project)
        wrong, unclear = wrong + off, unclear + bad
        print(f"{what}: {refused.said}wrong {off}, unclear {bad}\n{mended.said}{ended.said}")
        shutil.rmtree(project.root)
    message = "error: data/healpix/PART: altered, its digest is FOUND; expected DIGEST"
    assert record(Row("a bit of a table", "train", FLIPS, 0, wrong, unclear, message)).survived


@pytest.mark.slow
@pytest.mark.parametrize("both", [False, True], ids=["the newest", "both"])
def test_a_damaged_checkpoint_is_passed_over(
    shop: Workshop, prepared: Prepared, both: bool
) -> None:
    """The training goes on from the one before, or from the start, to the same bytes."""
    known = prepared.undisturbed("train")
    lost = wrong = unclear = tries = number = 0
    while tries < FLIPS and number < 4 * FLIPS:
        number += 1
        generator = drawn("checkpoint", both, number)
        project = prepared.copy("train")
        shop.killed(project.root, "train", generator.uniform(0.3, 0.9) * known.seconds)
        steps = {
            piece.values["step"]: piece
            for piece in project.store.pieces()
            if piece.manifest["verb"] == "checkpoint"
        }
        if len(steps) == 2:
            tries += 1
            for step in sorted(steps)[0 if both else 1 :]:
                files = sorted(path for path in steps[step].folder.iterdir())
                flip(generator.choice(files), generator)
            ended = shop.run(project.root, "train")
            newest = project.ledger.runs("train")[0]
            wanted = None if both else min(steps)
            lost += newest.get("resumed_from") != wanted
            wrong, unclear = wrong + known.wrong(project), unclear + (ended.code != 0)
            print(f"checkpoints at {sorted(steps)}: {newest.get('resumed_from')}\n{ended.said}")
        shutil.rmtree(project.root)
    which = "both checkpoints" if both else "the newest checkpoint"
    row = Row(f"a bit of {which}", "train", tries, lost, wrong, unclear,
              "piece KEY: FILE has digest FOUND; expected DIGEST; it is removed and counts as "
              "missing")  # fmt: skip
    assert record(row).survived and tries == FLIPS


def test_a_damaged_ledger_entry_is_skipped_and_keeps_its_caches(
    shop: Workshop, prepared: Prepared
) -> None:
    """Runs go on; what the entry names is not removed, and the user is told which file it is."""
    known = prepared.undisturbed("train")
    lost = wrong = unclear = 0
    message = ""
    for number in range(FLIPS):
        project = prepared.done("train")
        project.remove(known.paths)
        entries, before = len(project.ledger.runs()), project.pieces()
        generator = drawn("ledger", number)
        files = sorted((project.root / ".geocore/ledger").glob("*.json"))
        path = generator.choice(files)
        half = path.read_bytes()[: generator.randrange(path.stat().st_size)]
        path.write_bytes(half)
        try:
            collect(project.root / ".geocore", project.ledger, last=1)
        except UserError as error:
            message = str(error).replace(str(path), "ENTRY")
        else:
            unclear += 1
        lost += len(before - project.pieces())
        ended = shop.run(project.root, "train")
        unclear += (ended.code != 0) + (len(project.ledger.damaged()) != 1)
        lost += len(project.ledger.runs()) != entries  # one is damaged, one came
        wrong += known.wrong(project)
        shutil.rmtree(project.root)
    row = Row("a truncated ledger entry", "gc and train", FLIPS, lost, wrong, unclear, message)
    assert record(row).survived
