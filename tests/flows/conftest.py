"""One Prefect server for all tests of flows, and a copy on which the pipeline has run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flows.project import Project, copy_project, user_environment


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a user whose Prefect server runs: one for the whole session."""
    home = tmp_path_factory.mktemp("server")
    environment = user_environment()
    project = copy_project(home / "project", environment)
    started = project.run("flows.server", "start")
    assert started.returncode == 0, started.stdout + started.stderr
    url = project.json(".prefect/server.json")["url"]
    yield {**environment, "PREFECT_API_URL": url}
    stopped = project.run("flows.server", "stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr


@pytest.fixture(scope="module")
def project(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy on which the whole pipeline has run once."""
    made = copy_project(tmp_path_factory.mktemp("copy") / "project", server)
    done = made.repro()
    assert done.returncode == 0, done.stdout + done.stderr
    return made
