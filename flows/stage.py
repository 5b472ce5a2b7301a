"""What every stage's flow does around its tasks: open, record, write, and end well or clearly."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from prefect.logging.configuration import setup_logging
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)

from flows.server import api_url, gone
from geocore.config.runtime import RuntimeParams
from geocore.errors import UserError
from geocore.pipeline.run import open_job, output_digests
from geocore.pipeline.stage import Job, Manifest, Stage
from geocore.runs.closure import module_digests
from geocore.runs.home import ledger_folder
from geocore.runs.ledger import Ledger
from tasks.environment import settle

__all__ = ["ending", "opened", "run_flow", "run_stage"]

_NOT_NOW = (408, 429)  # beside 500 and above: what is asked for may be right, only not now
_NOT_YOU = (401, 403)


@contextmanager
def opened(stage: Stage, folder: Path) -> Iterator[Job]:
    """A job with its entry in the ledger, for the time of a flow.

    ``folder`` holds ``params.yaml``: the project's root, or a study's folder.
    """
    job = open_job(stage, folder)
    closure = module_digests([f"flows.{stage.name}"], job.root)
    _set_threads(job)
    with Ledger(ledger_folder(job.root), job.root).record(stage.name, **job.about()) as run:
        job = job.noting(run.note)
        run.note(code={"closure": closure})
        yield job
        run.note(outs=output_digests(job))


def run_stage(stage: Stage, flow: Callable[[str], Manifest]) -> int:
    """``python -m flows.NAME [FOLDER]``: exit code 0; 2 for a user's mistake; 1 for a fault."""
    parser = argparse.ArgumentParser(
        prog=f"python -m flows.{stage.name}", description=f"Stage {stage.name}: {stage.summary}."
    )
    parser.add_argument(
        "folder", nargs="?", default=".", help="a study's, e.g. studies/mine; default: the root"
    )
    folder = settle() / parser.parse_args().folder
    # A mistake in parameters or inputs costs a second, not a server's start.
    return run_flow(stage.name, lambda: flow(str(folder)), before=lambda: open_job(stage, folder))


def run_flow(
    name: str, flow: Callable[[], object], before: Callable[[], object] = lambda: None
) -> int:
    """Run ``before``, find or start the server, run ``flow``; the exit code tells how it ended.

    0 well, 1 a gate or a fault, 2 a user's mistake, 130 interrupted.
    """
    started = time.monotonic()
    _quiet()
    try:
        before()
        with temporary_settings(
            {
                PREFECT_API_URL: api_url(settle()),
                # For a server that restarts lost deployments; joining its thread takes a second.
                PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
            }
        ):
            flow()
    except KeyboardInterrupt:
        print(f"{name}: interrupted; run it again and it goes on", file=sys.stderr)
        return 130
    except Exception as error:
        told = ending(name, error)
        if told is None:
            traceback.print_exc()
            return 1
        lines, code = told
        print(*lines, sep="\n", file=sys.stderr)
        return code
    print(f"{name}: done in {time.monotonic() - started:.1f} s", file=sys.stderr)
    return 0


def ending(what: str, error: Exception) -> tuple[list[str], int] | None:
    """The lines for the user of ``what``, which ended with ``error``, and the exit code.

    None for a fault of the code, which takes a traceback. A user's mistake comes first, also where
    ``error`` only says that Prefect's server could not be told of it.
    """
    if isinstance(error, UserError):
        return [f"error: {line}" for line in error.lines], error.exit_code
    failed = _unanswered(error)
    if failed is None:
        return None
    earlier = error.__context__  # whether suppressed or not: the client raises its own from others
    while earlier is not None:
        if isinstance(earlier, UserError):
            return ending(what, earlier)
        earlier = earlier.__context__
    if not isinstance(failed, httpx.HTTPStatusError):
        return [gone(what, failed)], 1
    code, words = failed.response.status_code, failed.response.reason_phrase
    if code in _NOT_YOU:
        keys = "expected PREFECT_API_AUTH_STRING or PREFECT_API_KEY to be one that it takes"
        return [f"error: {what}: Prefect's server answers {code} {words}; {keys}"], 2
    why = "" if code in _NOT_NOW else ", as where its database is locked or its disk full"
    told = f"Prefect's server answers {code} {words}{why}; what is finished is kept: run it again"
    return [f"error: {what}: {told}"], 1


def _unanswered(error: BaseException) -> httpx.HTTPError | None:
    """How Prefect's server failed whoever got ``error``, after the client has tried for minutes.

    No connection, no answer in time, or one that it cannot do what it is asked, or not for this
    user; None otherwise. The client's first request raises another error from it.
    """
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, httpx.TransportError):
            return found
        if isinstance(found, httpx.HTTPStatusError):
            code = found.response.status_code
            return found if code >= 500 or code in (*_NOT_NOW, *_NOT_YOU) else None
        found = found.__cause__
    return None


def _set_threads(job: Job) -> None:
    """Use as many threads as ``runtime.threads`` says, without importing torch for it."""
    threads = job.section(RuntimeParams).threads
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # what a later import, and the ledger, reads
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)


# As Prefect ends a run: "encountered an exception X()", "Task run encountered an exception: X(".
_TOLD = re.compile(r"exception:? (UserError|GateError)\b")


class _OneLine(logging.Filter):
    """Prefect's record of a user's mistake, or of its server's end, without its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, UserError) or (error is not None and _unanswered(error)):
            record.msg, record.args, record.exc_info, record.exc_text = str(error), (), None, None
            record.told = True
        elif _TOLD.search(record.getMessage()):
            record.told = True
        return True


def _quiet() -> None:
    """Tell a mistake once on the console, by ``run_flow``; the server keeps its line too.

    That Prefect's services for events and logs wait for the server, or give up, is no news: whether
    the run itself could be told is.
    """
    setup_logging()
    for name in ("EventsWorker", "APILogWorker"):
        logging.getLogger(name).setLevel(logging.ERROR)
    services = logging.getLogger("prefect._internal.concurrency")
    services.addFilter(lambda record: not str(record.msg).startswith("Service "))
    logging.raiseExceptions = False  # else the one for logs writes to stderr, without a line end
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_OneLine())
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: not getattr(record, "told", False))
