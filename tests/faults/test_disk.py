"""A full disk, a limit on files, a read-only store: one line, nothing lost, and on once it is well.

The disk is a small one of its own (tmpfs), which takes a superuser to mount.
"""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.injecting import Prepared, drawn, made_again, parts_written_again, short_of
from tests.faults.project import Project
from tests.faults.rows import Row, generic, record
from tests.faults.stages import ENDS, STAGES, STORED, STUDIES
from tests.faults.workshop import Ended, Faults, Workshop

pytestmark = pytest.mark.faults
TRIES = 5
SIZE = "size=64m"


class Disk:
    """A file system of its own below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self) -> bool:
        self.folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", SIZE, "faults", str(self.folder)],
            capture_output=True,
        )
        return done.returncode == 0

    def set(self, option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.folder)], check=True)

    def free(self, size: int) -> None:
        """Leave so many bytes free, to the page."""
        self.set(f"size={self.used() + max(4096, size)}")

    def grow(self) -> None:
        """Give it back the space that it had."""
        self.set(SIZE)

    def used(self) -> int:
        found = os.statvfs(self.folder)
        return (found.f_blocks - found.f_bfree) * found.f_frsize


@contextmanager
def mounted(folder: Path) -> Iterator[Disk]:
    disk = Disk(folder)
    if os.geteuid() != 0 or not disk.mount():
        pytest.skip("a small disk takes a superuser to mount")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def sizes(project: Project) -> dict[Path, int]:
    """Every file of the project, and how large it is."""
    return {path: path.stat().st_size for path in project.root.rglob("*") if path.is_file()}


def told(ended: Ended) -> bool:
    """Whether a refusal is one line, which names what could not be written, and no traceback."""
    return ended.clear and len(ended.errors) == 1 and " while writing " in ended.errors[0]


class Strikes:
    """What came of runs that could not write: in the end a row."""

    def __init__(self, shop: Workshop, prepared: Prepared, fault: str, stage: str) -> None:
        self._shop, self._known = shop, prepared.undisturbed(stage)
        self.row = Row(fault, stage, 0)

    def count(self, project: Project, struck: Ended, mend: Callable[[], object]) -> str:
        """Count what ``struck`` left, and what the next run makes of it once all is well."""
        known, row, stage = self._known, self.row, self.row.stage
        kept, parts = project.pieces(), project.parts()
        off = known.half(project) + len(project.store.check()) + len(project.ledger.damaged())
        left = [path.name for path in project.root.rglob(".*.tmp-*")]
        mend()
        ended = self._shop.run(project.root, stage)
        off += known.wrong(project)
        gone = parts_written_again(project, known.paths, parts)
        if ended.code == 0 and stage not in ENDS:  # those are measured whenever they are asked for
            gone += made_again(project, stage, kept)
        bad = (struck.code != 0 and not told(struck)) + (ended.code != 0) + len(left)
        self.row = dataclasses.replace(
            row,
            tries=row.tries + (struck.code != 0),
            lost=row.lost + gone,
            wrong=row.wrong + off,
            unclear=row.unclear + bad,
            message=generic(struck.errors[0]) if struck.errors else row.message,
        )
        return (f"exit {struck.code}, {len(kept)} pieces, {len(parts)} parts, {left}: {struck.said}"
                f"lost {gone}, wrong {off}, unclear {bad} {ended.said}")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk(shop: Workshop, prepared: Prepared, tmp_path: Path, stage: str) -> None:
    strikes, number = Strikes(shop, prepared, "disk full", stage), 0
    with mounted(tmp_path / "measured") as disk:
        project = prepared.copy(stage, disk.folder / "project")
        before = disk.used()
        assert shop.run(project.root, stage).code == 0
        need = disk.used() - before
    while strikes.row.tries < TRIES and number < 4 * TRIES:
        number += 1
        with mounted(tmp_path / f"disk-{number}") as disk:
            project = prepared.copy(stage, disk.folder / "project")
            room = int(drawn("full", stage, number).uniform(0, 1.2) * need)
            disk.free(room)
            full = shop.run(project.root, stage)
            print(f"{room} of {need} bytes:", strikes.count(project, full, disk.grow))
    row = record(strikes.row)
    assert row.survived and row.tries == TRIES


@pytest.mark.parametrize("stage", short_of(STAGES))
def test_a_limit_on_the_size_of_files(shop: Workshop, prepared: Prepared, stage: str) -> None:
    """Anything from 1 KiB to the largest file that a run leaves."""
    strikes, number = Strikes(shop, prepared, "a limit on the size of files", stage), 0
    project = prepared.copy(stage)
    before = sizes(project)
    assert shop.run(project.root, stage).code == 0
    largest = max(size for path, size in sizes(project).items() if path not in before)
    while strikes.row.tries < TRIES and number < 4 * TRIES:
        number += 1
        project = prepared.copy(stage)
        most = int(2 ** drawn("limit", stage, number).uniform(10, math.log2(largest)))
        cut = shop.run(project.root, stage, Faults(file_bytes=most))
        print(f"{most} of {largest} bytes:", strikes.count(project, cut, lambda: None))
    row = record(strikes.row)
    assert row.survived and row.tries == TRIES


@pytest.mark.parametrize("stage", short_of((*STORED, *STUDIES)))
def test_a_read_only_store(shop: Workshop, prepared: Prepared, tmp_path: Path, stage: str) -> None:
    """What is in it is found; what is not is told in a line, and made once it may be."""
    known, strikes = prepared.undisturbed(stage), Strikes(shop, prepared, "read-only store", stage)
    with mounted(tmp_path / "disk") as disk:
        project = prepared.done(stage, disk.folder / "project")
        project.remove(known.paths)
        kept = project.pieces()
        other = prepared.copy(stage, tmp_path / "other")
        (other.root / ".geocore").mkdir()
        (other.root / ".geocore/store").symlink_to(disk.folder / "store")
        (disk.folder / "store").mkdir()
        disk.set("ro")
        nothing = shop.run(other.root, stage)
        print(strikes.count(other, nothing, lambda: disk.set("rw")))
        found = shop.run(project.root, stage)
        row, lost = strikes.row, len(kept - project.pieces())
        wrong = known.wrong(project)
        print(found.said)
    unclear = row.unclear + (found.code != 0)
    row = dataclasses.replace(row, lost=row.lost + lost, wrong=row.wrong + wrong, unclear=unclear)
    assert record(row).survived
