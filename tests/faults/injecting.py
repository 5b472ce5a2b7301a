"""What tests of faults share: stages as they run without trouble, and copies to be disturbed."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.project import Project, make_project
from tests.faults.stages import ENDS, NEEDS, outputs_of
from tests.faults.workshop import Workshop

__all__ = [
    "SEED",
    "Prepared",
    "Undisturbed",
    "drawn",
    "flip",
    "made_again",
    "parts_written_again",
    "short_of",
]

SEED = os.environ.get("FAULTS_SEED", "0")


def drawn(*about: object) -> random.Random:
    """A generator of a test's own; ``FAULTS_SEED`` chooses other moments and places."""
    return random.Random(zlib.crc32(repr((SEED, *about)).encode()))


def short_of(stages: Iterable[str]) -> list[object]:
    """Stages as parameters of a test, of which one is in the short half of the suite."""
    return [pytest.param(s, marks=() if s == "train" else pytest.mark.slow) for s in stages]


def flip(path: Path, generator: random.Random) -> str:
    """Turn one bit of the file; what was done, in words."""
    content = bytearray(path.read_bytes())
    place, bit = generator.randrange(len(content)), generator.randrange(8)
    content[place] ^= 1 << bit
    path.chmod(0o644)
    path.write_bytes(content)
    return f"bit {bit} of byte {place} of {path.name}"


def made_again(project: Project, stage: str, kept: Collection[str]) -> int:
    """How many of the finished pieces are gone, or were made by the newest run once more."""
    newest = project.ledger.runs(stage)[0]
    again = {key for key, how in newest.get("pieces", {}).items() if how == "made"}
    return len(set(kept) - project.pieces()) + len(again.intersection(kept))


def parts_written_again(project: Project, paths: dict[str, str], parts: dict[str, int]) -> int:
    """How many finished parts of tables are not the files that they were."""
    now = {
        path.stat().st_ino
        for place in paths.values()
        for path in (project.root / place).rglob("*.arrow")
    }
    return sum(inode not in now for name, inode in parts.items() if name.endswith(".arrow"))


@dataclass(frozen=True)
class Undisturbed:
    """A stage that ran without trouble: its outputs' paths and digests, and how long it worked."""

    paths: dict[str, str]
    digests: dict[str, str | None]
    seconds: float
    pieces: frozenset[str]

    def wrong(self, project: Project) -> bool:
        """Whether what lies at the outputs of ``project`` is something else."""
        return project.outputs(self.paths) != self.digests

    def half(self, project: Project) -> bool:
        """Whether an output is neither absent nor whole."""
        found = project.outputs(self.paths)
        return any(digest not in (None, self.digests[name]) for name, digest in found.items())


class Prepared:
    """A project whose pipeline grows as tests ask for stages, and copies of it."""

    def __init__(self, shop: Workshop, folder: Path) -> None:
        self._shop, self._folder, self._count = shop, folder, 0
        self._project = make_project(folder / "project")
        self._known: dict[str, Undisturbed] = {}

    def undisturbed(self, stage: str) -> Undisturbed:
        """The stage as it runs without trouble, after those that come before it."""
        for name in NEEDS.get(stage, ()):
            self.undisturbed(name)
        return self._run(stage)

    def copy(self, stage: str, target: Path | None = None) -> Project:
        """A project that has all inputs of ``stage``, none of its outputs, and empty caches."""
        known = self.undisturbed(stage)
        project = self._project.copy(target or self._name(stage))
        project.remove(known.paths)
        return project

    def done(self, stage: str, target: Path | None = None) -> Project:
        """A project on which ``stage`` has run, its store with it."""
        self.undisturbed(stage)
        return self._project.copy(target or self._name(stage), store=True)

    def faster(self, stage: str, project: Project) -> None:
        """The stage ended sooner in ``project`` than was known, as the machine is less busy now."""
        known, seconds = self.undisturbed(stage), project.ledger.runs(stage)[0]["wall_seconds"]
        self._known[stage] = dataclasses.replace(known, seconds=min(known.seconds, seconds))

    def remove_copies(self) -> None:
        """Remove the copies that were made so far, but for those elsewhere."""
        for path in self._folder.glob("*-*"):
            shutil.rmtree(path)

    def _name(self, stage: str) -> Path:
        self._count += 1
        return self._folder / f"{stage}-{self._count}"

    def _run(self, stage: str) -> Undisturbed:
        if stage not in self._known:
            before = self._project.pieces()
            ended = self._shop.run(self._project.root, stage)
            assert ended.code == 0, ended.said
            paths = {} if stage in ENDS else outputs_of(stage)
            made = frozenset(self._project.pieces() - before)
            digests = self._project.outputs(paths)
            seconds = self._seconds(stage, paths)
            self._known[stage] = Undisturbed(paths, digests, seconds, made)
        return self._known[stage]

    def _seconds(self, stage: str, paths: dict[str, str]) -> float:
        """How long a run works that need not import anything: the first one did."""
        project = self._project.copy(self._name(stage))
        project.remove(paths)
        ended = self._shop.run(project.root, stage)
        assert ended.code == 0 and project.outputs(paths) == self._project.outputs(paths), (
            ended.said
        )
        return float(project.ledger.runs(stage)[0]["wall_seconds"])
