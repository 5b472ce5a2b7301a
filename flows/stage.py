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

__all__ = ["opened", "run_flow", "run_stage"]


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
    except UserError as error:
        for line in error.lines:
            print(f"error: {line}", file=sys.stderr)
        return error.exit_code
    except httpx.TransportError as error:  # Prefect has tried for minutes
        print(gone(name, error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted; run it again and it goes on", file=sys.stderr)
        return 130
    except Exception:
        traceback.print_exc()
        return 1
    print(f"{name}: done in {time.monotonic() - started:.1f} s", file=sys.stderr)
    return 0


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
        if isinstance(error, UserError | httpx.TransportError):
            record.msg, record.args, record.exc_info, record.exc_text = str(error), (), None, None
            record.told = True
        elif _TOLD.search(record.getMessage()):
            record.told = True
        return True


def _quiet() -> None:
    """Tell a mistake once on the console, by ``run_flow``; the server keeps its line too."""
    setup_logging()
    for name in ("EventsWorker", "APILogWorker"):  # that they wait for the server is not news
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_OneLine())
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: not getattr(record, "told", False))
