"""kill -9 at a random moment of ``ensemble``, ``ntk`` and ``synthesize``: parts that were finished
are not made again, and the results are those of a run without trouble, byte by byte.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

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


@pytest.fixture(scope="module")
def undisturbed(prepared: Project) -> Iterator[tuple[dict[str, str], dict[str, float]]]:
    """Digests of the outputs of runs without trouble, and how long they took."""
    project = copy_of(prepared, "undisturbed")
    digests, seconds = {}, {}
    for stage in STAGES:
        started = time.monotonic()
        done = project.repro("-s", stage)
        assert done.returncode == 0, done.stdout + done.stderr
        seconds[stage] = time.monotonic() - started
        digests[stage] = digest_tree(project.root / "results" / stage)
    yield digests, seconds


def copy_of(project: Project, name: str) -> Project:
    target = project.root.parent / name
    shutil.copytree(project.root, target, symlinks=True)
    return Project(target, project.environment)


def pieces(project: Project, stage: str) -> dict[str, str]:
    """What the newest run of the stage noted of its pieces, as far as it came."""
    runs = project.runs(stage)
    return dict(runs[0].get("pieces") or {}) if runs else {}


def stored(project: Project) -> set[str]:
    """Keys of the pieces that lie whole in the store."""
    found = (project.root / ".geocore/store/pieces").glob("??/[!.]*/manifest.json")
    return {path.parent.name for path in found}


def kill_after(project: Project, stage: str, seconds: float) -> None:
    """Start the stage and kill its whole session after that time, if it has not ended by then."""
    process = project.start("dvc", "repro", "-s", stage)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=seconds)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def moments() -> Iterator[object]:
    """One moment of each stage every day, three when there is time; drawn anew each time."""
    for number in range(4):
        for stage in STAGES:
            marks = [pytest.mark.slow] if number else []
            yield pytest.param(stage, number, marks=marks, id=f"{stage}-{number}")


@pytest.mark.parametrize(("stage", "number"), moments())
def test_finished_parts_are_not_made_again(
    prepared: Project,
    undisturbed: tuple[dict[str, str], dict[str, float]],
    stage: str,
    number: int,
) -> None:
    digests, seconds = undisturbed
    share = random.SystemRandom().uniform(0.3, 0.95)  # the first third is imports
    project = copy_of(prepared, f"{stage}-{number}")
    kill_after(project, stage, share * seconds[stage])
    told = f"{stage} was killed at {share:.0%} of {seconds[stage]:.1f} s"
    finished = stored(project)
    done = project.repro("-s", stage)
    assert done.returncode == 0, f"{told}\n{done.stdout}{done.stderr}"
    again = {key for key, how in pieces(project, stage).items() if how == "made"}
    assert not again & finished, told
    assert digest_tree(project.root / "results" / stage) == digests[stage], told
    shutil.rmtree(project.root)
