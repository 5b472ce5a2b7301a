"""The project's own server: started once, found again, ended with its last user."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import psutil
import pytest

from flows.server import free_port
from tests.flows.project import Project, copy_project, user_environment


@pytest.fixture
def alone(tmp_path: Path) -> Project:
    """A copy whose user has no server."""
    return copy_project(tmp_path / "project", user_environment())


def mine(project: Project) -> list[psutil.Process]:
    """Processes that run in the copy's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(project.root) and process.status() != "zombie":
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_bare_repro_brings_one_up_and_leaves_none(alone: Project) -> None:
    done = alone.repro("project")  # two stages, one server
    assert done.returncode == 0, done.stdout + done.stderr
    log = (alone.root / ".prefect/server.log").read_text()
    assert log.count("Uvicorn running") + log.count("Check out the dashboard") == 1, log
    deadline = time.monotonic() + 20
    while mine(alone) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert mine(alone) == []
    assert not (alone.root / ".prefect/server.json").exists()
    assert {run["state"] for run in alone.runs("project")} == {"done"}


def test_a_port_is_kept_while_no_other_program_has_it(tmp_path: Path) -> None:
    kept = tmp_path / "port"
    first = free_port(kept)
    assert free_port(kept) == first
    assert free_port(kept, taken=first) != first
    kept.write_text(f"{first}\n")
    with socket.socket() as other:
        other.bind(("127.0.0.1", first))
        other.listen()
        second = free_port(kept)
    assert second != first
    assert kept.read_text() == f"{second}\n"


def test_stop_without_a_server_says_so(alone: Project) -> None:
    done = alone.run("flows.server", "stop")
    assert done.returncode == 0
    assert done.stdout == "Prefect server: none was running\n"


def test_a_chosen_server_is_respected(server: dict[str, str], tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project", server)
    done = project.run("flows.fetch")
    assert done.returncode == 0, done.stderr
    assert not (project.root / ".prefect/server.json").exists()
