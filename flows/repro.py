"""The flow that every deployment runs: ``dvc repro`` of its targets, so that dvc.lock is true.

Whatever comes of it is set against the last good run of the same targets: a table of metrics and a
page, both as artifacts in Prefect, and a ledger entry that ``geocore compare`` takes later.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Failed

from flows.keeper import comparisons, pages_url
from flows.tethered import run_tethered
from geocore.errors import UserError
from geocore.pipeline.dvcfailure import failure
from geocore.pipeline.lastgood import REPRO, last_good, metric_rows, named_targets
from geocore.pipeline.prefectfile import target_faults
from geocore.report.card import model_card
from geocore.report.comparison import compare
from geocore.report.page import comparison_page
from geocore.report.provenance import runs_of
from geocore.report.reading import read_snapshot
from geocore.runs.atomic import write_text
from geocore.runs.digest import digest_file
from geocore.runs.home import geocore_home, ledger_folder
from geocore.runs.ledger import Ledger, Run
from geocore.runs.locks import hold
from tasks.environment import settle

__all__ = ["repro"]


@flow(name=REPRO, description="dvc repro of the targets, compared with the last good run")
def repro(targets: list[str] | None = None, root: str = ".") -> str | State[Any]:
    """Bring ``targets`` (none: the whole pipeline) up to date; returns the run's ledger name.

    DVC runs in a process of its own: two threads of one process could run a stage twice. Two of
    these flows in one project wait for each other.
    """
    project, say = settle(Path(root)), _teller()
    for name in ("prefect.flow_runs", "prefect.engine"):
        logging.getLogger(name).addFilter(_is_no_mistake)
    try:
        if faults := list(target_faults(project, targets or ())):
            raise UserError(*faults)
        lock = geocore_home(project) / "locks" / "repro.lock"
        with hold(lock, REPRO, on_wait=say, what="this project's pipeline"):
            return _run(project, targets or [], say)
    except UserError as error:
        # Returned, not raised: the state's message is then this line alone.
        return Failed(message="; ".join(error.lines), data=error)


def _run(project: Path, targets: list[str], say: Callable[[str], None]) -> str:
    ledger = Ledger(ledger_folder(project), project)
    about = {"targets": named_targets(targets), "flow_run": flow_run.get_id()}
    with ledger.record(REPRO, **about) as run:
        command = [sys.executable, "-m", "dvc", "repro", "--", *targets]
        code, lines = run_tethered(command, folder=project, environment=_environment(), say=say)
        failed = failure(code, lines) if code else None
        try:
            _report(project, targets, run, ledger, failed)
        except Exception as error:  # how the pipeline ended is not for its report to say
            told = _one_line(error)
            say(f"not all is reported: {told}")
            with suppress(UserError):  # on a full disk the run's own error is the one to see
                run.note(report_error=told)
        if failed is not None:
            raise failed
        return run.id


def _report(
    project: Path, targets: list[str], run: Run, ledger: Ledger, failed: UserError | None
) -> None:
    """Note what lies there now, and publish it beside the last good run.

    What needs the least comes first: a later run is compared with this one by what it noted, and
    the page and the card lie there before Prefect's server is asked for anything.
    """
    now = replace(read_snapshot(project, "workspace"), name=run.id, kind="run")
    lock = project / "dvc.lock"
    run.note(
        snapshot=now.to_json(),
        stage_runs=runs_of(now.record),
        dvc_lock=digest_file(lock) if lock.exists() else None,
    )
    card = model_card(now)
    write_text(geocore_home(project) / "cards" / f"{run.id}.md", card)
    before = last_good(ledger, targets, project)
    told = [str(failed)] if failed else []
    told += [f"run {run.id} of {', '.join(named_targets(targets)) or 'the whole pipeline'}"]
    told += now.notes
    if before is None:
        told += ["no run to compare with: none of these targets has ended well before"]
    else:
        told += [f"last good: run {before.name}"]
        page = comparisons(project) / f"{run.id}.html"
        pair = [before, now]
        write_text(page, comparison_page(compare(pair, everything=True), pair))
        run.note(compared_with=before.name, comparison=str(page))
        _publish_page(project, page, f"{before.name} and {run.id}")
    create_markdown_artifact(key="card", markdown=card, description="the model card of this run")
    create_table_artifact(
        key="metrics", table=metric_rows(now, before), description="; ".join(told)
    )


def _publish_page(project: Path, page: Path, what: str) -> None:
    """Link to the page where it is served; say where it lies where it is not."""
    lies = f"the page lies at {page}"
    if served := pages_url(project):
        link = f"{served}{page.name}"
        create_link_artifact(key="comparison", link=link, link_text=what, description=lies)
    else:
        told = f"{what}: open `{page}` in a browser of the machine that ran this."
        create_markdown_artifact(key="comparison", markdown=told, description=lies)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}".rstrip(": ")


def _teller() -> Callable[[str], None]:
    """Lines go to the flow's log where that is shown (under a worker), else to the terminal."""
    logger = get_run_logger()
    if logger.isEnabledFor(logging.INFO):
        return lambda line: logger.info("%s", line) if line.strip() else None
    return _print


def _print(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # `| head -1` is content: the run goes on, and what is still said goes nowhere.
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _is_no_mistake(record: logging.LogRecord) -> bool:
    """False for the traceback of what the flow's state tells in a line."""
    return not (record.exc_info and isinstance(record.exc_info[1], UserError))


def _environment() -> dict[str, str]:
    """For DVC: this interpreter first on PATH, and nothing that a worker meant for this run."""
    under_worker = "PREFECT__FLOW_RUN_ID" in os.environ
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT__")}
    if under_worker:
        kept["PREFECT_LOGGING_LEVEL"] = "ERROR"  # a stage's own lines are enough
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"}


if __name__ == "__main__":
    from flows.stage import run_flow

    sys.exit(run_flow(REPRO, lambda: repro(sys.argv[1:] or None, str(settle()))))
