"""Flipped bits: damage is told and made good, or refused in a line; it is never believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geocore.errors import UserError
from geocore.runs.garbage import collect
from tests.faults.injecting import Prepared, drawn, flip, short_of
from tests.faults.project import Project
from tests.faults.rows import Row, record
from tests.faults.stages import STORED, TABLE_OF, outputs_of
from tests.faults.workshop import Workshop

pytestmark = pytest.mark.faults
FLIPS = 5


def files_of_pieces(project: Project) -> list[tuple[str, Path]]:
    """Every file of the store that holds a byte, with the key of its piece."""
    return [
        (piece.key, path)
        for piece in sorted(project.store.pieces(), key=lambda piece: piece.key)
        for path in sorted(piece.folder.rglob("*"))
        if path.is_file() and path.stat().st_size
    ]


def later(project: Project, key: str) -> list[str]:
    """The pieces that were made after that of ``key``: among them all that need it."""
    pieces = list(project.store.pieces())
    made = {piece.key: (piece.folder / "manifest.json").stat().st_mtime_ns for piece in pieces}
    return [other for other, moment in made.items() if moment > made[key]]


@pytest.mark.parametrize("stage", short_of(STORED))
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
        key, path = generator.choice(files_of_pieces(project))
        for other in later(project, key):  # else nobody would look at what they were made from
            project.store.remove(other)
        what = flip(path, generator)
        found = len(project.store.check())
        ended = shop.run(project.root, stage)
        bad = ended.code != 0 or "counts as missing" not in ended.said
        off = known.wrong(project) + len(project.store.check())
        wrong, unclear, silent = wrong + off, unclear + bad, silent + (found != 1)
        print(f"{stage}: {what}: exit {ended.code}, wrong {off}\n{ended.said}")
    row = Row("a bit of a piece in the store", stage, FLIPS, 0, wrong + silent, unclear,
              "piece KEY: FILE has digest FOUND; expected DIGEST; it is removed and counts as "
              "missing")  # fmt: skip
    assert record(row).survived


@pytest.mark.slow
@pytest.mark.parametrize("stage", TABLE_OF)
def test_a_damaged_table_is_refused_and_made_again(
    shop: Workshop, prepared: Prepared, stage: str
) -> None:
    """Refused by every stage that reads it, also by one that has its piece already."""
    maker = TABLE_OF[stage]
    known, table = prepared.undisturbed(stage), prepared.undisturbed(maker)
    place = next(path for path in outputs_of(maker).values() if path.startswith("data/"))
    wrong = unclear = 0
    for number in range(FLIPS):
        project = prepared.done(stage)
        project.remove(known.paths)
        generator = drawn("table", stage, number)
        files = sorted((project.root / place).iterdir())
        what = flip(generator.choice(files), generator)
        refused = shop.run(project.root, stage)
        off = int(project.outputs(known.paths) != dict.fromkeys(known.paths))
        mended = shop.run(project.root, maker)
        ended = shop.run(project.root, stage)
        bad = (refused.code != 2) + (not refused.clear) + (mended.code != 0) + (ended.code != 0)
        off += known.wrong(project) + table.wrong(project)
        wrong, unclear = wrong + off, unclear + bad
        print(f"{what}: {refused.said}wrong {off}, unclear {bad}\n{mended.said}{ended.said}")
    message = f"error: {place}/PART: altered, its digest is FOUND; expected DIGEST"
    assert record(Row("a bit of a table", stage, FLIPS, 0, wrong, unclear, message)).survived


def entry_of(project: Project, number: int) -> tuple[Path, dict[str, Any]]:
    """A file of the ledger, and what it says."""
    files = sorted((project.root / ".geocore/ledger").glob("*.json"))
    path = drawn("entry", number).choice(files)
    return path, project.ledger.show(path.stem)


@pytest.mark.parametrize("how", ["a bit of a", pytest.param("a truncated", marks=pytest.mark.slow)])
def test_a_damaged_ledger_entry_is_skipped_and_keeps_its_caches(
    shop: Workshop, prepared: Prepared, how: str
) -> None:
    """Runs go on; what the entry names is not removed, and the user is told which file it is."""
    known = prepared.undisturbed("train")
    lost = wrong = unclear = 0
    message = ""
    for number in range(FLIPS):
        project = prepared.done("train")
        project.remove(known.paths)
        entries, kept = len(project.ledger.runs()), project.pieces()
        path, said = entry_of(project, number)
        generator = drawn("ledger", how, number)
        if how == "a truncated":
            path.write_bytes(path.read_bytes()[: generator.randrange(path.stat().st_size)])
        else:
            print(flip(path, generator))
        told = project.ledger.damaged()
        try:
            collect(project.root / ".geocore", project.ledger, last=1)
        except UserError as error:
            message = str(error).replace(str(path), "ENTRY")
        if not told:  # no more than the name of its digest: all that it says is as it was
            wrong += not said.items() <= project.ledger.show(path.stem).items()
        lost += len(kept - project.pieces())
        ended = shop.run(project.root, "train")
        unclear += (ended.code != 0) + (project.ledger.damaged() != told)
        lost += len(project.ledger.runs()) != entries + 1 - len(told)
        wrong += known.wrong(project)
        print(f"{path.name}: {told}, exit {ended.code} {ended.said}")
    row = Row(f"{how} ledger entry", "gc and train", FLIPS, lost, wrong, unclear, message)
    assert record(row).survived
