"""The marker that these tests share with those of faults."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "faults: faults that are injected; run by `make faults`")
