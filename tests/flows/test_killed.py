"""kill -9 of the whole process tree during training: the next run goes on, to the same bytes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.flows.project import Project, copy_project

OUTPUTS = (
    "results/train/weights.safetensors",
    "results/train/metrics.json",
    "results/train/curve.csv",
)


@pytest.fixture(scope="module")
def undisturbed(
    server: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, bytes]]:
    """The bytes that a run without trouble leaves."""
    yield outputs(trained(server, tmp_path_factory))


def trained(server: dict[str, str], factory: pytest.TempPathFactory) -> Project:
    project = unstarted(server, factory)
    done = project.repro("train")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def unstarted(server: dict[str, str], factory: pytest.TempPathFactory) -> Project:
    """A copy whose training takes some seconds, with a checkpoint every few steps."""
    project = copy_project(factory.mktemp("killed") / "project", server)
    project.set(train__epochs=12, runtime__checkpoint_every=2, train__patience=100)
    return project


def outputs(project: Project) -> dict[str, bytes]:
    return {name: (project.root / name).read_bytes() for name in OUTPUTS}


def kill_during_training(project: Project, step: int) -> int:
    """Start ``dvc repro``, wait for a checkpoint from ``step`` on, kill its whole session.

    Returns the step of the newest whole checkpoint.
    """
    process = project.start("dvc", "repro", "train")
    deadline = time.monotonic() + 120
    while newest_checkpoint(project) < step and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    # The kill may have come in the middle of replacing the newest: then the one before counts.
    left = newest_checkpoint(project)
    assert left >= 2
    assert not (project.root / "results/train/weights.safetensors").exists()
    return left


def newest_checkpoint(project: Project) -> int:
    """The step of the newest checkpoint in the store, -1 if there is none."""
    steps = [-1]
    for path in (project.root / ".geocore/store/pieces").glob("??/[!.]*/manifest.json"):
        with contextlib.suppress(OSError, ValueError):  # it is being replaced
            manifest = json.loads(path.read_text())
            if manifest["verb"] == "checkpoint":
                steps.append(manifest["values"]["step"])
    return max(steps)


@pytest.mark.parametrize(
    "step",
    [8, pytest.param(2, marks=pytest.mark.slow), pytest.param(18, marks=pytest.mark.slow)],
)
def test_training_goes_on_to_the_same_bytes(
    server: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    undisturbed: dict[str, bytes],
    step: int,
) -> None:
    project = unstarted(server, tmp_path_factory)
    left = kill_during_training(project, step)
    assert project.runs("train")[0]["state"] == "died"
    done = project.repro("train")
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.runs("train")[0]["resumed_from"] == left
    assert outputs(project) == undisturbed
