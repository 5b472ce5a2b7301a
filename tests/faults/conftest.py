"""The process that forks runs of stages, a project on which stages have run, and the book of rows.

The page is written by a whole run that has passed; any other run leaves it, and the kept rows, be.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults import table
from tests.faults.injecting import SEED, Prepared
from tests.faults.rows import BOOK
from tests.faults.whole import ROOT, ROWS, Whole, asked_for, state
from tests.faults.workshop import Workshop, workshop

_WHOLE = pytest.StashKey[Whole]()
_WANTED = pytest.StashKey[set[str]]()
_TOLD = pytest.StashKey[str]()


def pytest_report_header() -> str:
    return f"faults: FAULTS_SEED={SEED}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A whole run goes on where it was stopped."""
    if not asked_for(config):
        return
    whole = config.stash[_WHOLE] = Whole(ROWS, state(ROOT, SEED))
    config.stash[_WANTED] = {item.nodeid for item in items}
    config.pluginmanager.register(whole)
    BOOK.folder = ROWS
    done = [item for item in items if item.nodeid in whole.passed]
    items[:] = [item for item in items if item.nodeid not in whole.passed]
    if done:
        config.hook.pytest_deselected(items=done)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A whole run that has passed writes the page."""
    whole = session.config.stash.get(_WHOLE, None)
    if whole is None:
        return
    left = len(session.config.stash[_WANTED].difference(whole.passed))
    if session.testsfailed:
        told = "the page stays as it is, and the next run begins anew"
    elif left:
        told = f"the page stays as it is, and the next run goes on with {left} tests"
    else:
        whole.end()
        told = f"{table.write(ROWS)} rows are the page"
    session.config.stash[_TOLD] = f"faults: {told}"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if _TOLD in config.stash:
        terminalreporter.write_line(config.stash[_TOLD])
    elif config.option.markexpr == "faults":
        terminalreporter.write_line(f"faults: a part, kept nowhere\n{table.lines(BOOK.rows)}")


@pytest.fixture(scope="session")
def shop() -> Iterator[Workshop]:
    with workshop() as found:
        yield found


@pytest.fixture(scope="session")
def _growing(shop: Workshop) -> Iterator[Prepared]:
    """In memory where it can be: a kill leaves what was written, on a disk or off it."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Prepared(shop, Path(folder))


@pytest.fixture
def prepared(_growing: Prepared) -> Iterator[Prepared]:
    """Shared by all tests; the copies of a test go with it."""
    yield _growing
    _growing.remove_copies()
