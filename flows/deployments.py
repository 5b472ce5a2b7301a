"""Deploying what ``prefect.yaml`` says, running a worker for it, starting a deployment now.

``python -m flows.deployments deploy | worker | run NAME``. Everything happens on the project's own
server on 127.0.0.1, or on the one that ``PREFECT_API_URL`` names.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flows.keeper import pages_url
from flows.server import api_url, start
from geocore.errors import GateError, UserError
from geocore.pipeline.prefectfile import FILE, Deployment, nearest, read_deployments
from tasks.environment import settle

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

__all__ = ["deploy", "run", "work"]

_PATIENCE = 30.0  # seconds in which a worker that was heard of lately should take a run
_GONE = 600.0  # seconds without a sign of life, after which nobody waits for a worker
_TYPE = "process"  # of the work pools: a flow is a process beside its worker
_CREATE = "python -m flows.deployments deploy --create-pool"


def deploy(root: Path, names: list[str], *, create_pool: bool) -> None:
    """Bring the named deployments (none: all) to the server; with ``create_pool`` their pools."""
    chosen = _chosen(root, names)
    url = _server(root, stays=True)
    with _client(url) as client:
        _check_pools(client, url, chosen, create_pool)
    flags = [flag for deployment in chosen for flag in ("--name", deployment.full_name)]
    # In the project's folder, so that this folder is where the deployments run.
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", *flags],
        cwd=root,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        said = " ".join((done.stdout + done.stderr).split())
        raise UserError(f"prefect deploy: exit code {done.returncode}: {said[-500:]}")
    for deployment in chosen:
        when = ", ".join(map(_when, deployment.schedules)) or "when asked"
        print(f"{deployment.name}: {when}, on work pool {deployment.work_pool}")
    print(f"deployed to {_shown(url)}; they run while this server and a worker do (make worker)")
    if pages := pages_url(root):
        print(f"each night's page, against the last good one: {pages}")


def work(root: Path, pool: str | None) -> None:
    """Become a worker of ``pool`` (default: the one that the deployments name); does not return."""
    deployments = read_deployments(root).values()
    pools = list(dict.fromkeys(deployment.work_pool for deployment in deployments))
    if pool is None:
        if len(pools) != 1:
            raise UserError(f"{FILE} names the work pools {', '.join(pools)}; expected --pool ONE")
        pool = pools[0]
    elif pool not in pools:
        raise UserError(f"work pool {pool!r} stands in no deployment; {nearest(pool, pools)}")
    url = _server(root, stays=False)
    with _client(url) as client:
        _check_pools(client, url, [d for d in deployments if d.work_pool == pool], create=False)
    print(f"worker of {pool} on {_shown(url)}: Ctrl-C ends it", flush=True)
    command = [sys.executable, "-m", "prefect", "--no-prompt", "worker", "start", "--pool", pool]
    command += ["--type", _TYPE, "--name", platform.node(), "--install-policy", "never"]
    os.chdir(root)
    # A script starts what it puts into the background deaf to Ctrl-C, by which a worker is ended.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if os.environ["PREFECT_LOGGING_LEVEL"] == "ERROR":  # what is settled for stages run by hand
        os.environ["PREFECT_LOGGING_LEVEL"] = "INFO"
    # This very process, which the server knows for one of its users.
    os.execv(command[0], [*command, "--no-create-pool-if-not-found"])


def run(root: Path, name: str, targets: list[str]) -> None:
    """Run a deployment now and wait for its end; ``GateError`` in one line if it is not well."""
    from prefect.exceptions import ObjectNotFound

    deployment = _chosen(root, [name])[0]
    url, began = _server(root, stays=False), time.monotonic()
    with _client(url) as client:
        try:
            known = client.read_deployment_by_name(deployment.full_name)
        except ObjectNotFound:
            raise UserError(
                f"deployment {name} is not on {_shown(url)}; expected it there: {_CREATE}"
            ) from None
        parameters: dict[str, Any] = {"targets": targets} if targets else {}
        started = client.create_flow_run_from_deployment(known.id, parameters=parameters)
        try:
            state = _end_state(client, started.id, deployment)
        except KeyboardInterrupt:
            print(f"{name}: no longer waited for; run {started.name} goes on", file=sys.stderr)
            raise
    message = " ".join((state.message or state.name or "").split())
    if not state.is_completed():
        raise GateError(f"{deployment.full_name}: {message}")
    print(f"{deployment.full_name}: done in {time.monotonic() - began:.1f} s")


def _chosen(root: Path, names: list[str]) -> list[Deployment]:
    known = read_deployments(root)
    for name in names:
        if name not in known:
            raise UserError(f"{FILE}: no deployment {name!r}; {nearest(name, known)}")
    return [known[name] for name in dict.fromkeys(names)] or list(known.values())


def _server(root: Path, *, stays: bool) -> str:
    """The URL of the server, which this process and its children then use."""
    chosen = os.environ.get("PREFECT_API_URL")
    url = start(root)[0] if stays and not chosen else api_url(root)
    os.environ["PREFECT_API_URL"] = url
    return url


def _client(url: str) -> SyncPrefectClient:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url}):
        return get_client(sync_client=True)


def _check_pools(
    client: SyncPrefectClient, url: str, deployments: Iterable[Deployment], create: bool
) -> None:
    types = {pool.name: pool.type for pool in client.read_work_pools()}
    for deployment in deployments:
        name = deployment.work_pool
        where = f"{FILE}: deployment {deployment.name}: work pool {name!r}"
        if name not in types:
            if not create:
                there = f"expected one of {', '.join(types)}" if types else "there is none"
                raise UserError(
                    f"{where} does not exist on {_shown(url)}; {there}: create it with {_CREATE}"
                )
            _create_pool(client, name)
            types[name] = _TYPE
        elif types[name] != _TYPE:
            raise UserError(
                f"{where} is of type {types[name]} on {_shown(url)}; expected type {_TYPE}"
            )


def _create_pool(client: SyncPrefectClient, name: str) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.workers.process import ProcessWorker

    # Given, so that the server does not ask the outside for one.
    template = ProcessWorker.get_default_base_job_template()
    client.create_work_pool(WorkPoolCreate(name=name, type=_TYPE, base_job_template=template))


def _nobody(client: SyncPrefectClient, pool: str, waited: float) -> bool:
    """Whether a run that has waited so many seconds waits for a worker to be started.

    A worker on a busy machine is late with its signs of life, and the server then takes it for
    gone: one that gave a sign not long ago is given time to take the run.
    """
    from prefect.client.schemas.objects import WorkerStatus

    workers = client.read_workers_for_work_pool(pool)
    if any(worker.status == WorkerStatus.ONLINE for worker in workers):
        return False
    signs = [worker.last_heartbeat_time for worker in workers if worker.last_heartbeat_time]
    silence = (datetime.now(UTC) - max(signs)).total_seconds() if signs else _GONE
    return waited >= _PATIENCE or silence >= _GONE


def _end_state(client: SyncPrefectClient, flow_run: UUID, deployment: Deployment) -> Any:
    """The state in which the run ends; says once if it waits and there is no worker."""
    began, told, pool = time.monotonic(), False, deployment.work_pool
    while True:
        state = client.read_flow_run(flow_run).state
        if state is not None and state.is_final():
            return state
        waits = state is None or state.is_scheduled()
        if waits and not told and _nobody(client, pool, time.monotonic() - began):
            told = True
            print(
                f"{deployment.name}: waits for a worker of {pool}: python -m flows.deployments "
                "worker",
                file=sys.stderr,
            )
        time.sleep(1.0)


def _when(schedule: dict[str, Any]) -> str:
    kind = next(kind for kind in ("cron", "interval", "rrule") if schedule.get(kind))
    return f"{kind} {schedule[kind]} {schedule['timezone']}"


def _shown(url: str) -> str:
    return url.removesuffix("/api")


def main() -> int:
    """Exit code 0; 2 for a user's mistake.

    1 if a deployment that was run did not end well, or the server does not answer.
    """
    parser = argparse.ArgumentParser(prog="python -m flows.deployments", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("deploy", help="bring deployments of prefect.yaml to the server")
    verb.add_argument("names", nargs="*", metavar="NAME", help="none: all")
    verb.add_argument("--create-pool", action="store_true", help="where a work pool is missing")
    verb = verbs.add_parser("worker", help="run what is scheduled or asked for, until Ctrl-C")
    verb.add_argument("--pool", help="where prefect.yaml names several")
    verb = verbs.add_parser("run", help="run a deployment now and wait for its end")
    verb.add_argument("name", metavar="NAME")
    verb.add_argument("targets", nargs="*", metavar="TARGET", help="none: as deployed")
    asked = parser.parse_args()
    root = settle()
    try:
        if asked.verb == "deploy":
            deploy(root, asked.names, create_pool=asked.create_pool)
        elif asked.verb == "worker":
            work(root, asked.pool)
        else:
            run(root, asked.name, asked.targets)
    except UserError as error:
        for line in error.lines:
            print(f"error: {line}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        from flows.stage import ending  # brings Prefect's engine with it

        told = ending(asked.verb, error)
        if told is None:
            raise
        lines, code = told
        print(*lines, sep="\n", file=sys.stderr)
        return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
