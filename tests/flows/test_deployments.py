"""``prefect.yaml`` on a real server, with a real worker: deployed, run, failed by a gate.

The pipeline is two stages long: a script that writes what ``evaluate`` would, and the real gate.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import yaml

from flows.deployments import main
from flows.keeper import pages_url
from tests.browser.view import View
from tests.flows.project import ROOT, Project, copy_project, user_environment

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MEASURE = """
import json, pathlib, time, yaml
toy = yaml.safe_load(open("params.yaml"))["toy"]
value, bound = toy["accuracy"], toy["bound"]
gate = {"metric": "accuracy", "value": value, "bound": bound, "sense": "min"}
time.sleep(toy["seconds"])
folder = pathlib.Path("results/evaluate")
folder.mkdir(parents=True, exist_ok=True)
(folder / "metrics.json").write_text(json.dumps({"test": {"accuracy": value, "n": 10}}))
(folder / "gates.json").write_text(json.dumps({"accuracy_min": gate | {"passed": value >= bound}}))
"""
OUTS = [f"results/evaluate/{name}.json" for name in ("metrics", "gates")]
PIPELINE = {
    "evaluate": {
        "cmd": "python measure.py",
        "deps": ["measure.py"],
        "params": ["toy.accuracy", "toy.bound"],
        "metrics": [{path: {"cache": False}} for path in OUTS],
    },
    "gate": {"cmd": "python -m flows.gate", "deps": OUTS[1:]},
}


def short_project(target: Path, environment: dict[str, str]) -> Project:
    project = copy_project(target, environment)
    (target / "measure.py").write_text(MEASURE)
    (target / "dvc.yaml").write_text(yaml.safe_dump({"stages": PIPELINE}, sort_keys=False))
    runtime = yaml.safe_load((target / "params.yaml").read_text())["runtime"]
    params = {"toy": {"accuracy": 0.75, "bound": 0.5, "seconds": 0}, "runtime": runtime}
    (target / "params.yaml").write_text(yaml.safe_dump(params))
    return project


def runs(project: Project) -> list[dict[str, Any]]:
    """The runs of the flow in the ledger, newest first."""
    files = sorted((project.root / ".geocore/ledger").glob("[!.]*-repro-*.json"))
    found: list[dict[str, Any]] = [json.loads(path.read_text()) for path in files]
    return sorted(found, key=lambda entry: str(entry["started"]), reverse=True)


def ask(project: Project, route: str, body: dict[str, Any] | None = None) -> Any:
    """The server's answer: to a POST with a body, to a GET without."""
    request = urllib.request.Request(
        f"{project.environment['PREFECT_API_URL']}/{route}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    for patience in (1, 2, 4, 0):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code != 503 or not patience:  # its database is locked: the machine is busy
                raise
            time.sleep(patience)


def artifacts(project: Project, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a run of the ledger published, by key."""
    route = {"artifacts": {"flow_run_id": {"any_": [run["flow_run"]]}}}
    return {found["key"]: found for found in ask(project, "artifacts/filter", route)}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project with its pipeline run once, by hand, and its deployments on its own server."""
    environment = {**user_environment(), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    project = short_project(tmp_path_factory.mktemp("deployed") / "a project", environment)
    started = project.run("flows.server", "start")
    assert started.returncode == 0, started.stdout + started.stderr
    state = project.json(".prefect/server.json")
    project.environment["PREFECT_API_URL"] = state["url"]
    try:
        done = project.run("flows.repro")
        assert done.returncode == 0, done.stdout + done.stderr
        done = project.run("flows.deployments", "deploy", "--create-pool")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[0] == "nightly: cron 0 3 * * * UTC, on work pool local"
        assert done.stdout.splitlines()[-1].endswith(f"last good one: {state['pages']['url']}")
        yield project
    finally:
        project.run("flows.server", "stop")


@contextmanager
def running_worker(project: Project, log: Path) -> Iterator[None]:
    """A worker of the work pool that the server knows of."""
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.deployments", "worker"],
            cwd=project.root,
            env=project.environment,
            stdout=stream,
            stderr=stream,
        )
    try:
        deadline = time.monotonic() + 60
        while not ask(project, "work_pools/local/workers/filter", {}):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def worker(deployed: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A worker of the work pool; yields its log."""
    log = tmp_path_factory.mktemp("worker") / "log"
    with running_worker(deployed, log):
        yield log


def test_the_first_run_has_nothing_to_be_compared_with(deployed: Project) -> None:
    first = runs(deployed)[-1]
    assert first["state"] == "done"
    found = artifacts(deployed, first)
    assert set(found) == {"card", "metrics"}
    assert "no run to compare with" in found["metrics"]["description"]
    rows = json.loads(found["metrics"]["data"])
    assert [row["now"] for row in rows if row["metric"] == "evaluate.test.accuracy"] == [0.75]


def test_what_stands_on_the_server(deployed: Project) -> None:
    nightly = ask(deployed, "deployments/name/repro/nightly")
    on_demand = ask(deployed, "deployments/name/repro/on-demand")
    for found in (nightly, on_demand):
        assert found["entrypoint"] == "flows/repro.py:repro"
        assert found["work_pool_name"] == "local"
        assert found["parameters"] == {"targets": None}
        (step,) = found["pull_steps"]
        assert list(step.values()) == [{"directory": str(deployed.root)}]
    (schedule,) = nightly["schedules"]
    assert schedule["active"]
    assert schedule["schedule"] == {"cron": "0 3 * * *", "timezone": "UTC", "day_or": True}
    # A run that dies with its machine would keep its slot, and no night would come any more.
    assert nightly["global_concurrency_limit"] is None
    assert on_demand["schedules"] == []
    assert ask(deployed, "work_pools/local")["type"] == "process"


def test_the_server_plans_the_next_nights(deployed: Project) -> None:
    deployment = ask(deployed, "deployments/name/repro/nightly")["id"]
    planned = {"deployments": {"id": {"any_": [deployment]}}}
    deadline = time.monotonic() + 60
    while not (runs := ask(deployed, "flow_runs/filter", planned)):
        assert time.monotonic() < deadline, "the server's scheduler plans nothing: see its log"
        time.sleep(0.5)
    assert {run["expected_start_time"][11:] for run in runs} == {"03:00:00Z"}


def test_a_run_on_demand_is_set_against_the_last_good_one(deployed: Project, worker: Path) -> None:
    deployed.set(toy__accuracy=0.875)
    before = runs(deployed)[0]
    done = deployed.run("flows.deployments", "run", "on-demand")
    assert done.returncode == 0, done.stdout + done.stderr + worker.read_text()
    assert done.stdout.startswith("repro/on-demand: done in ")
    now = runs(deployed)[0]
    assert (now["state"], now["targets"]) == ("done", [])
    assert now["compared_with"] == before["run"]
    assert now["snapshot"]["metrics"]["evaluate.test.accuracy"] == 0.875
    found = artifacts(deployed, now)
    rows = {row["metric"]: row for row in json.loads(found["metrics"]["data"])}
    assert rows["evaluate.test.accuracy"] == {
        "metric": "evaluate.test.accuracy",
        "last good": 0.75,
        "now": 0.875,
        "delta": 0.125,
        "verdict": "better",
        "gate": "",
    }
    assert rows["evaluate: accuracy"]["gate"] == "passed: expected at least 0.5 (gate.accuracy_min)"
    card = (deployed.root / ".geocore/cards" / f"{now['run']}.md").read_text()
    assert f"| evaluate.accuracy\\_min | {0.875} | at least 0.5 | holds |" in card
    assert found["card"]["data"] == card
    page = deployed.root / ".geocore/comparisons" / f"{now['run']}.html"
    assert found["comparison"]["description"] == f"the page lies at {page}"
    text = page.read_text()
    assert before["run"] in text
    assert now["run"] in text
    assert '<span class="about">in all</span>' in text, "what is equal is there, for the switch"
    compared = deployed.geocore("compare", before["run"], "workspace", "--json")
    assert compared.returncode == 0, compared.stderr
    assert '"evaluate.test.accuracy"' in compared.stdout


def test_a_click_in_prefects_own_pages_opens_the_comparison(
    deployed: Project, worker: Path, browser: Browser
) -> None:
    """As a person goes there: the run's artifacts, the one of key comparison, the link in it."""
    if len(runs(deployed)) < 2:  # alone, without the test before
        assert deployed.run("flows.deployments", "run", "on-demand").returncode == 0
    now = runs(deployed)[0]
    found = artifacts(deployed, now)["comparison"]
    api, pages = deployed.environment["PREFECT_API_URL"], deployed.json(".prefect/server.json")
    view = View(browser, offline=False, own="http://127.0.0.1:")
    try:
        view.page.goto(f"{api.removesuffix('/api')}/artifacts/artifact/{found['id']}")
        link = view.page.get_by_role("link", name=f"{now['compared_with']} and {now['run']}")
        with view.context.expect_page() as opened:
            link.click(modifiers=["Control"])  # in a tab of its own
        tab = opened.value
        tab.wait_for_function("'ready' in document.documentElement.dataset")
        assert tab.url == f"{pages['pages']['url']}{now['run']}.html"
        assert now["run"] in tab.get_by_test_id("run-table").inner_text()
        tab.goto(pages["pages"]["url"])
        tab.get_by_role("link", name=now["run"]).click()
        tab.wait_for_url(f"**/{now['run']}.html")
        beyond = [line for line in view.errors if line.startswith("asked the network")]
        assert beyond == [], "Prefect's pages need no other server either"
    finally:
        view.close()


def test_another_server_than_the_projects_own_is_given_no_link(
    deployed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its readers may sit at another machine, where 127.0.0.1 is theirs."""
    state = deployed.json(".prefect/server.json")
    monkeypatch.setenv("PREFECT_API_URL", state["url"])
    assert pages_url(deployed.root) == state["pages"]["url"]
    monkeypatch.setenv("GEOCORE_HOME", str(deployed.root / "elsewhere"))
    assert pages_url(deployed.root) is None, "what is served lies in another folder"
    monkeypatch.delenv("GEOCORE_HOME")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    assert pages_url(deployed.root) is None


def test_a_regression_past_a_gate_ends_as_failed(deployed: Project, worker: Path) -> None:
    good = runs(deployed)[0]
    deployed.set(toy__accuracy=0.25)
    line = "stage gate failed: accuracy is 0.25; expected at least 0.5 (gate.accuracy_min)"
    try:
        done = deployed.run("flows.deployments", "run", "nightly")
        now = runs(deployed)[0]
    finally:
        deployed.set(toy__accuracy=0.875)
    assert (done.returncode, done.stderr) == (1, f"error: repro/nightly: {line}\n")
    assert (now["state"], now["error"]) == ("failed", line)
    flow_run = ask(deployed, f"flow_runs/{now['flow_run']}")
    assert (flow_run["state"]["type"], flow_run["state"]["message"]) == ("FAILED", line)
    assert now["compared_with"] == good["run"]
    found = artifacts(deployed, now)
    assert set(found) == {"card", "comparison", "metrics"}
    assert line in found["metrics"]["description"]
    rows = {row["metric"]: row for row in json.loads(found["metrics"]["data"])}
    gated = rows["evaluate: accuracy"]
    assert (gated["last good"], gated["now"], gated["verdict"]) == (0.875, 0.25, "worse")
    assert gated["gate"] == "failed: expected at least 0.5 (gate.accuracy_min)"
    assert "Traceback" not in worker.read_text()


def mistake(project: Project, *command: str) -> str:
    """The one line that a mistake is told in."""
    done = project.run("flows.deployments", *command)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line


def test_a_work_pool_that_does_not_exist_or_is_of_another_type(deployed: Project) -> None:
    server = deployed.environment["PREFECT_API_URL"].removesuffix("/api")
    path = deployed.root / "prefect.yaml"
    text = path.read_text()
    ask(deployed, "work_pools/", {"name": "harbour", "type": "docker"})
    where = "error: prefect.yaml: deployment nightly: work pool"
    try:
        path.write_text(text.replace("name: local", "name: elsewhere"))
        line = (
            f"{where} 'elsewhere' does not exist on {server}; expected one of harbour, local: "
            "create it with python -m flows.deployments deploy --create-pool"
        )
        assert mistake(deployed, "deploy", "nightly") == line
        assert mistake(deployed, "worker") == line
        path.write_text(text.replace("name: local", "name: harbour"))
        line = f"{where} 'harbour' is of type docker on {server}; expected type process"
        assert mistake(deployed, "deploy", "--create-pool") == line
    finally:
        path.write_text(text)


def test_a_deployment_that_is_not_there(deployed: Project) -> None:
    expected = "error: prefect.yaml: no deployment 'nigthly'; did you mean nightly?"
    assert mistake(deployed, "run", "nigthly") == expected
    assert mistake(deployed, "deploy", "nigthly") == expected


@pytest.mark.parametrize("command", [["deploy"], ["worker"], ["run", "nightly"]])
def test_a_server_that_is_gone_is_told_in_a_line(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It answered when it was looked for; the client finds nobody there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens, and nobody else can
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/api"
        monkeypatch.setattr("flows.deployments._server", lambda root, *, stays: url)
        monkeypatch.setattr("flows.deployments.settle", lambda: ROOT)
        monkeypatch.setattr(sys, "argv", ["deployments", *command])
        assert main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {command[0]}: Prefect's server does not answer any more (")
    assert line.endswith("; what is finished is kept: run it again")


def test_a_target_of_another_pipeline_is_refused_before_anything_runs(deployed: Project) -> None:
    before = runs(deployed)
    done = deployed.run("flows.repro", "studies/mine/dvc.yaml", "--force")
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")] == [
        "error: target 'studies/mine/dvc.yaml' is of another pipeline; expected stages of the "
        "root's dvc.yaml, whose metrics are reported",
        "error: target '--force' is no stage; expected one of evaluate, gate",
    ]
    assert runs(deployed) == before


def test_a_reader_who_has_seen_enough_ends_nothing(deployed: Project) -> None:
    deployed.set(toy__accuracy=0.8125)
    try:
        command = f"'{sys.executable}' -m flows.repro | head -1; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=deployed.root,
            env=deployed.environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
    finally:
        deployed.set(toy__accuracy=0.875)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert len(done.stdout.splitlines()) == 1
    now = runs(deployed)[0]
    assert now["state"] == "done"
    assert now["snapshot"]["metrics"]["evaluate.test.accuracy"] == 0.8125


def start_flow(project: Project, deployment: str, days_ago: int = 0) -> str:
    """Ask for a run that was due some days ago; returns its id."""
    due = datetime.now(UTC) - timedelta(days=days_ago)
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due.isoformat()}}
    route = f"deployments/{ask(project, f'deployments/name/repro/{deployment}')['id']}"
    return str(ask(project, f"{route}/create_flow_run", {"state": state})["id"])


def final_state(project: Project, flow_run: str) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while True:
        state: dict[str, Any] = ask(project, f"flow_runs/{flow_run}")["state"]
        if state["type"] in ("COMPLETED", "FAILED", "CANCELLED", "CRASHED"):
            return state
        assert time.monotonic() < deadline, state
        time.sleep(0.5)


def measuring(project: Project) -> list[psutil.Process]:
    """Processes of the project's pipeline that are in their first stage."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if "measure.py" in process.cmdline() and process.cwd() == str(project.root):
                found.append(process)
    return found


@pytest.mark.slow
def test_a_limit_that_an_earlier_file_had_goes_with_the_next_deploy(deployed: Project) -> None:
    path = deployed.root / "prefect.yaml"
    text = path.read_text()
    limited = yaml.safe_load(text)
    limited["deployments"][0]["concurrency_limit"] = {"limit": 1, "collision_strategy": "ENQUEUE"}
    for content, limit in ((yaml.safe_dump(limited), 1), (text, None)):
        path.write_text(content)
        done = deployed.run("flows.deployments", "deploy", "nightly")
        assert done.returncode == 0, done.stdout + done.stderr
        found = ask(deployed, "deployments/name/repro/nightly")["global_concurrency_limit"]
        assert (found and found["limit"]) == limit


@pytest.mark.slow
def test_nights_that_were_missed_run_one_after_the_other(deployed: Project, worker: Path) -> None:
    deployed.set(toy__accuracy=0.5, toy__seconds=5)
    late = [start_flow(deployed, "nightly", days_ago) for days_ago in (3, 2, 1)]
    states = [final_state(deployed, flow_run)["type"] for flow_run in late]
    assert states == ["COMPLETED"] * 3, worker.read_text()
    mine = [entry for entry in runs(deployed) if entry["flow_run"] in late]
    assert [entry["state"] for entry in mine] == ["done"] * 3
    first = mine[-1]  # it alone has something to do
    assert first["wall_seconds"] > 5
    assert {entry["snapshot"]["metrics"]["evaluate.test.accuracy"] for entry in mine} == {0.5}


@pytest.mark.slow
def test_a_cancelled_run_leaves_nothing_behind(deployed: Project, worker: Path) -> None:
    deployed.set(toy__accuracy=0.625, toy__seconds=600)
    flow_run = start_flow(deployed, "on-demand")
    deadline = time.monotonic() + 120
    while not measuring(deployed):
        assert time.monotonic() < deadline, worker.read_text()
        time.sleep(0.2)
    ask(deployed, f"flow_runs/{flow_run}/set_state", {"state": {"type": "CANCELLING"}})
    assert final_state(deployed, flow_run)["type"] == "CANCELLED"
    assert measuring(deployed) == []
    assert runs(deployed)[0]["state"] == "failed"
    deployed.set(toy__seconds=0)
    done = deployed.repro()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_night_that_died_with_its_worker_does_not_hold_up_the_next(
    deployed: Project, worker: Path, tmp_path: Path
) -> None:
    deployed.set(toy__accuracy=0.9375, toy__seconds=600)  # of no earlier run: it is measured
    killed = start_flow(deployed, "nightly")
    deadline = time.monotonic() + 120
    while not (stages := measuring(deployed)):
        assert time.monotonic() < deadline, worker.read_text()
        time.sleep(0.2)
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_flow = process.environ().get("PREFECT__FLOW_RUN_ID") == killed
            is_worker = process.cwd() == str(deployed.root) and "worker" in process.cmdline()
            if is_flow or is_worker:
                process.kill()
    psutil.wait_procs(stages, timeout=30)
    deployed.set(toy__seconds=0)
    with running_worker(deployed, tmp_path / "log"):
        state = final_state(deployed, start_flow(deployed, "nightly"))
    assert state["type"] == "COMPLETED", state


@pytest.mark.slow
def test_a_server_that_dies_in_the_middle_of_a_run_and_comes_back(
    tmp_path: Path,
) -> None:
    environment = {**user_environment(), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    project = short_project(tmp_path / "project", environment)
    state = project.root / ".prefect/server.json"

    def start_server() -> str:
        started = project.run("flows.server", "start")
        assert started.returncode == 0, started.stdout + started.stderr
        return str(json.loads(state.read_text())["url"])

    url = start_server()
    project.environment["PREFECT_API_URL"] = url
    try:
        done = project.run("flows.deployments", "deploy", "--create-pool")
        assert done.returncode == 0, done.stdout + done.stderr
        project.set(toy__accuracy=0.5625, toy__seconds=20)
        with running_worker(project, tmp_path / "log"):
            flow_run = start_flow(project, "nightly")
            deadline = time.monotonic() + 120
            while not measuring(project):
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.2)
            for role in ("keeper", "server"):
                with suppress(psutil.Error):
                    psutil.Process(json.loads(state.read_text())[role]["pid"]).kill()
            project.environment.pop("PREFECT_API_URL")
            assert start_server() == url
            project.environment["PREFECT_API_URL"] = url
            assert final_state(project, flow_run)["type"] == "COMPLETED"
            # The worker has gone on, too.
            assert final_state(project, start_flow(project, "on-demand"))["type"] == "COMPLETED"
    finally:
        project.environment.pop("PREFECT_API_URL", None)
        project.run("flows.server", "stop")
    assert [run["state"] for run in runs(project)] == ["done", "done"]


@pytest.mark.slow
def test_the_schedule_itself_starts_a_run(deployed: Project, tmp_path: Path) -> None:
    """With a worker of its own: the one of the tests before was killed by one of them."""
    deployed.set(toy__accuracy=0.6875, toy__seconds=0)
    path, log = deployed.root / "prefect.yaml", tmp_path / "log"
    text = path.read_text()
    before = {run["run"] for run in runs(deployed)}
    try:
        path.write_text(text.replace('cron: "0 3 * * *"', 'cron: "* * * * *"'))
        done = deployed.run("flows.deployments", "deploy", "nightly")
        assert done.returncode == 0, done.stdout + done.stderr
        deadline = time.monotonic() + 200
        with running_worker(deployed, log):
            while not (
                new := [r for r in runs(deployed) if r["run"] not in before and r.get("ended")]
            ):
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(1)
    finally:
        path.write_text(text)
        deployed.run("flows.deployments", "deploy", "nightly")
    (flow_run,) = {ask(deployed, f"flow_runs/{run['flow_run']}")["auto_scheduled"] for run in new}
    assert flow_run
    assert new[0]["snapshot"]["metrics"]["evaluate.test.accuracy"] == 0.6875
