"""A server of Prefect's that cannot do what it is asked: one line, and the next run goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from flows.deployments import main
from flows.stage import ending
from geocore.errors import GateError, UserError
from tests.flows.failing_server import FailingServer, failing_server
from tests.flows.project import ROOT, Project, copy_project, user_environment

CANNOT = (
    "Prefect's server answers 503 Service Unavailable, as where its database is locked or its disk "
    "full; what is finished is kept: run it again"
)


def refused(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://127.0.0.1:1/api")
    return httpx.HTTPStatusError(
        f"{status}\nfor url", request=request, response=httpx.Response(status, request=request)
    )


def wrapped(error: Exception) -> RuntimeError:
    """As Prefect's client does at its first request."""
    raised = RuntimeError("Failed to reach API")
    raised.__cause__ = error
    return raised


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (httpx.ConnectError("refused"), "does not answer any more (refused)"),
        (httpx.ReadTimeout(""), "does not answer any more (ReadTimeout)"),
        (wrapped(httpx.ReadTimeout("timed out")), "does not answer any more (timed out)"),
        (refused(500), "answers 500 Internal Server Error, as where its database is locked or its "
         "disk full"),
        (wrapped(refused(429)), "answers 429 Too Many Requests"),
        (refused(404), None),  # another version, or a fault of the code
        (refused(422), None),
        (RuntimeError("no"), None),
    ],
)  # fmt: skip
def test_how_the_server_failed(error: Exception, told: str | None) -> None:
    line = f"error: train: Prefect's server {told}; what is finished is kept: run it again"
    assert ending("train", error) == (told and ([line], 1))


@pytest.mark.parametrize(("status", "words"), [(401, "Unauthorized"), (403, "Forbidden")])
def test_a_key_that_the_server_does_not_take_is_the_users_to_mend(status: int, words: str) -> None:
    line = (
        f"error: train: Prefect's server answers {status} {words}; expected "
        "PREFECT_API_AUTH_STRING or PREFECT_API_KEY to be one that it takes"
    )
    assert ending("train", wrapped(refused(status))) == ([line], 2)


@pytest.mark.parametrize("mistake", [UserError("lr: -1", "seed: x"), GateError("accuracy is 0.1")])
def test_a_run_s_own_reason_comes_first(mistake: UserError) -> None:
    """Also where it is the server that could not be told of it."""
    expected = [f"error: {line}" for line in mistake.lines], mistake.exit_code
    assert ending("train", mistake) == expected
    try:
        try:
            raise mistake
        except UserError:
            raise refused(503)  # noqa: B904
    except httpx.HTTPStatusError as error:
        assert ending("train", error) == expected
    try:
        try:
            raise mistake
        except UserError:
            raise KeyError("state")  # noqa: B904
    except KeyError as error:  # a fault of the code: it takes a traceback
        assert ending("train", error) is None


@pytest.fixture(scope="module")
def server() -> Iterator[FailingServer]:
    with failing_server() as found:
        yield found


@pytest.fixture(scope="module")
def project(server: FailingServer, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy whose user has chosen that server, and no patience with it."""
    environment = user_environment()
    environment |= {"PREFECT_API_URL": server.url, "PREFECT_CLIENT_MAX_RETRIES": "1"}
    return copy_project(tmp_path_factory.mktemp("unanswered") / "project", environment)


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the user reads, but for the bar of a stage's progress."""
    assert "Traceback" not in done.stdout + done.stderr
    return [line for line in (done.stdout + done.stderr).splitlines() if "200/200" not in line]


@pytest.mark.parametrize(
    ("fails", "asked"),
    [
        ("start", "version"),
        pytest.param("RUNNING", "set_state RUNNING", marks=pytest.mark.slow),
        ("COMPLETED", "set_state COMPLETED"),
    ],
)
def test_a_server_that_goes_on_failing_is_told_in_a_line(
    server: FailingServer, project: Project, fails: str, asked: str
) -> None:
    server.begin(fails)
    done = project.run("flows.fetch")
    assert server.failed.count(asked) == 2  # once more, as a server that is only slow deserves
    assert (done.returncode, said(done)) == (1, [f"error: fetch: {CANNOT}"])
    server.begin(None)
    done = project.run("flows.fetch")
    assert done.returncode == 0, done.stderr
    (line,) = said(done)
    assert line.startswith("fetch: done in ")


def test_a_real_flow_with_a_key_that_the_server_does_not_take(
    server: FailingServer, project: Project
) -> None:
    server.begin("start", status=401)
    done = project.run("flows.fetch")
    (line,) = said(done)
    assert done.returncode == 2
    assert line.startswith("error: fetch: Prefect's server answers 401 Unauthorized; expected ")


def test_a_mistake_that_the_server_cannot_be_told_is_told_to_the_user(
    server: FailingServer, project: Project
) -> None:
    before = (project.root / "params.yaml").read_text()
    try:
        project.set(data__source="image_folder", data__path="data/own/nothing")
        server.begin("FAILED", status=500)
        done = project.run("flows.fetch")
    finally:
        (project.root / "params.yaml").write_text(before)
    assert "set_state FAILED" in server.failed
    (line,) = said(done)
    assert done.returncode == 2
    assert line.startswith("error: data.path is data/own/nothing, and there is no ")


def test_so_it_is_where_a_deployment_is_asked_for(
    server: FailingServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.begin("start")
    monkeypatch.setattr("flows.deployments._server", lambda root, *, stays: server.url)
    monkeypatch.setattr("flows.deployments.settle", lambda: ROOT)
    monkeypatch.setattr(sys, "argv", ["deployments", "run", "nightly"])
    assert main() == 1
    assert capsys.readouterr().err == f"error: run: {CANNOT}\n"
