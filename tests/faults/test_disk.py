"""A full disk, a limit on files, a read-only store: one line, nothing lost, and on once it is well.

The disk is a small one of its own (tmpfs), which takes a superuser to mount.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.injecting import Prepared, drawn, short_of
from tests.faults.rows import Row, generic, record
from tests.faults.workshop import Faults, Workshop

pytestmark = pytest.mark.faults
TRIES = 5
STAGES = ("fetch", "resample", "train", "ensemble", "ntk", "limit")


class Disk:
    """A file system of its own below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self) -> bool:
        self.folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m", "faults", str(self.folder)],
            capture_output=True,
        )
        return done.returncode == 0

    def set(self, option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.folder)], check=True)

    def free(self, size: int) -> None:
        """Leave so many bytes free, to the page."""
        found = os.statvfs(self.folder)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        self.set(f"size={used + max(4096, size)}")

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


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk(shop: Workshop, prepared: Prepared, tmp_path: Path, stage: str) -> None:
    known = prepared.undisturbed(stage)
    lost = wrong = unclear = hit = number = 0
    message = ""
    with mounted(tmp_path / "measured") as disk:
        project = prepared.copy(stage, disk.folder / "project")
        before = disk.used()
        assert shop.run(project.root, stage).code == 0
        need = disk.used() - before
    while hit < TRIES and number < 3 * TRIES:
        number += 1
        with mounted(tmp_path / f"disk-{number}") as disk:
            project = prepared.copy(stage, disk.folder / "project")
            room = int(drawn("full", stage, number).uniform(0, 1.2) * need)
            disk.free(room)
            full = shop.run(project.root, stage)
            kept = project.pieces()
            off = known.half(project) + len(project.store.check()) + len(project.ledger.damaged())
            disk.set("size=64m")
            ended = shop.run(project.root, stage)
            off += known.wrong(project)
            gone = len(kept - project.pieces())
            for entry in project.ledger.runs(stage)[:1]:
                again = {key for key, how in entry["pieces"].items() if how == "made"}
                gone += len(kept & again)
            bad = (not full.clear) + (ended.code != 0)
        hit += full.code != 0
        message = next(iter(full.errors), message)
        lost, wrong, unclear = lost + gone, wrong + off, unclear + bad
        print(f"{room} of {need} bytes: exit {full.code}, {len(kept)} pieces: {full.said}"
              f"lost {gone}, wrong {off}, unclear {bad} {ended.said}")  # fmt: skip
    row = Row("disk full", stage, hit, lost, wrong, unclear, generic(message))
    assert record(row).survived


@pytest.mark.parametrize("stage", short_of(STAGES))
def test_a_limit_on_the_size_of_files(shop: Workshop, prepared: Prepared, stage: str) -> None:
    known = prepared.undisturbed(stage)
    wrong = unclear = hit = number = 0
    message = ""
    while hit < TRIES and number < 4 * TRIES:
        number += 1
        project = prepared.copy(stage)
        most = int(2 ** drawn("limit", stage, number).uniform(10, 15))
        cut = shop.run(project.root, stage, Faults(file_bytes=most))
        off = known.half(project) + len(project.store.check()) + len(project.ledger.damaged())
        ended = shop.run(project.root, stage)
        off += known.wrong(project)
        bad = (not cut.clear) + (ended.code != 0)
        hit += cut.code != 0
        message = next(iter(cut.errors), message)
        wrong, unclear = wrong + off, unclear + bad
        print(f"{most} bytes: exit {cut.code}: {cut.said}wrong {off}, unclear {bad} {ended.said}")
    row = Row("a limit on the size of files", stage, hit, 0, wrong, unclear, generic(message))
    assert record(row).survived


@pytest.mark.parametrize("stage", short_of(STAGES))
def test_a_read_only_store(shop: Workshop, prepared: Prepared, tmp_path: Path, stage: str) -> None:
    """What is in it is found; what is not is told in a line, and made once it may be."""
    known = prepared.undisturbed(stage)
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
        disk.set("rw")
        ended = shop.run(other.root, stage)
        found = shop.run(project.root, stage)
        lost = len(kept - project.pieces())
        wrong = known.wrong(project) + known.wrong(other)
        bad = (nothing.code == 0) + (not nothing.clear) + ended.code + found.code
        print(nothing.said, ended.said, found.said)
    message = generic(next(iter(nothing.errors), ""))
    assert record(Row("read-only store", stage, 1, lost, wrong, bad, message)).survived
