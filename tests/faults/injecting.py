"""What tests of faults share: stages as they run without trouble, and copies to be disturbed."""

from __future__ import annotations

import os
import random
import zlib
from dataclasses import dataclass
from pathlib import Path

from tests.faults.project import Project, make_project
from tests.faults.stages import ENDS, NEEDS, outputs_of
from tests.faults.workshop import Workshop

__all__ = ["SEED", "Prepared", "Undisturbed", "drawn"]

SEED = os.environ.get("FAULTS_SEED", "0")


def drawn(*about: object) -> random.Random:
    """A generator of a test's own; ``FAULTS_SEED`` chooses other moments and places."""
    return random.Random(zlib.crc32(repr((SEED, *about)).encode()))


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
