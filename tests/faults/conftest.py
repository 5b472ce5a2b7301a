"""The process that forks runs of stages, and a project on which all stages have run once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import table
from tests.faults.injecting import SEED, Prepared
from tests.faults.workshop import Workshop, workshop


def pytest_report_header() -> str:
    return f"faults: FAULTS_SEED={SEED}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """After ``make faults`` the page says what was found."""
    if session.config.option.markexpr == "faults" and not hasattr(session.config, "workerinput"):
        table.write()


@pytest.fixture(scope="session")
def shop() -> Iterator[Workshop]:
    with workshop() as found:
        yield found


@pytest.fixture(scope="session")
def prepared(shop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return Prepared(shop, tmp_path_factory.mktemp("faults"))
