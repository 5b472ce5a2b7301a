"""kill -9 at a random moment of ``ensemble``, ``ntk`` and ``synthesize``: parts that were finished
are found and not made again, and the results are those of a run without trouble, byte by byte.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from geocore.runs.digest import digest_tree
from tests.flows.project import Project, copy_project

STAGES = ("ensemble", "ntk", "synthesize")


@pytest.fixture(scope="module")
def prepared(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy that has its data and nothing more."""
    project = copy_project(tmp_path_factory.mktemp("prepared") / "project", server)
    done = project.repro("resample")
    assert done.returncode == 0, done.stdout + done.stderr
    yield project


@dataclass(frozen=True)
class Undisturbed:
    """Of a stage that ran without trouble: its outputs' digest, and how many parts it made."""

    digest: str
    parts: int


@pytest.fixture(scope="module")
def undisturbed(prepared: Project) -> Callable[[str], Undisturbed]:
    """Of a stage, what a run without trouble leaves."""
    project = copy_of(prepared, "undisturbed")

    @functools.cache
    def run(stage: str) -> Undisturbed:
        before = stored(project)
        done = project.repro("-s", stage)
        assert done.returncode == 0, done.stdout + done.stderr
        # Nothing was there before; slots of checkpoints are noted beside.
        assert set(pieces(project, stage).values()) in ({"made"}, {"made", "used"})
        made = stored(project) - before
        digest = digest_tree(project.root / "results" / stage)
        return Undisturbed(digest, len(made) - 1)  # the stage's own piece is no part

    return run


def copy_of(project: Project, name: str) -> Project:
    target = project.root.parent / name
    shutil.copytree(project.root, target, symlinks=True)
    return Project(target, project.environment)


def pieces(project: Project, stage: str) -> dict[str, str]:
    """What the newest run of the stage noted of its pieces."""
    return dict(project.runs(stage)[0].get("pieces") or {})


def stored(project: Project) -> set[str]:
    """Keys of the pieces that lie whole in the store, but for checkpoints, which come and go."""
    found = set()
    for path in (project.root / ".geocore/store/pieces").glob("??/[!.]*/manifest.json"):
        with contextlib.suppress(FileNotFoundError):  # a checkpoint that has just been replaced
            if json.loads(path.read_text("utf-8"))["verb"] != "checkpoint":
                found.add(path.parent.name)
    return found


def kill_when(project: Project, stage: str, parts: int, pause: float) -> set[str]:
    """Start the stage; kill its whole session when it has made so many parts, after a pause.

    Returns the keys of the parts that were finished.
    """
    before = stored(project)
    process = project.start("dvc", "repro", "-s", stage)
    try:
        deadline = time.monotonic() + 120
        while len(stored(project) - before) < parts and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.005)
        time.sleep(pause)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return stored(project) - before


def moments() -> Iterator[object]:
    """Every day one stage, drawn anew each time; where there is time, each at three moments."""
    yield pytest.param(random.SystemRandom().choice(STAGES), 0, id="one-of-three")
    for number in (1, 2, 3):
        for stage in STAGES:
            yield pytest.param(stage, number, marks=pytest.mark.slow, id=f"{stage}-{number}")


@pytest.mark.parametrize(("stage", "number"), list(moments()))
def test_finished_parts_are_not_made_again(
    prepared: Project, undisturbed: Callable[[str], Undisturbed], stage: str, number: int
) -> None:
    wanted = undisturbed(stage)
    drawn = random.SystemRandom()
    parts, pause = drawn.randint(1, max(1, wanted.parts - 2)), drawn.uniform(0, 0.3)
    told = f"{stage} was killed {pause:.3f} s after part {parts} of {wanted.parts}"
    project = copy_of(prepared, f"{stage}-{number}")
    finished = kill_when(project, stage, parts, pause)
    assert len(finished) >= parts, told
    killed = project.runs(stage)[0]
    assert killed["state"] in ("died", "done"), told
    done = project.repro("-s", stage)
    assert done.returncode == 0, f"{told}\n{done.stdout}{done.stderr}"
    if project.runs(stage)[0]["run"] != killed["run"]:  # else it had ended, and DVC recorded it
        again = pieces(project, stage)
        assert {key for key in finished if again.get(key) == "made"} == set(), told
        if len(finished) <= wanted.parts:  # killed before the whole was sealed
            # A kernel that is whole is found itself, and nobody looks for its blocks any more.
            found = {key for key, how in again.items() if how == "found"}
            assert found and found <= finished, told
            assert stage == "ntk" or found == finished, told
    assert digest_tree(project.root / "results" / stage) == wanted.digest, told
    shutil.rmtree(project.root)
