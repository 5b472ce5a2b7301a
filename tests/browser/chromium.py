"""A real Chromium without a head: a fixture for who looks at pages as a reader does."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-domain-reliability", "--no-default-browser-check", "--no-pings",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser; without one these tests are skipped, and say what would run them."""
    executable = os.environ.get("GEOCORE_BROWSER") or shutil.which("chromium")
    if not executable or not Path(executable).is_file():
        pytest.skip("no browser: install Debian's chromium, or name one in GEOCORE_BROWSER")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no playwright: pip install 'geocore[dev]'"
    )
    with warnings.catch_warnings(), playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        browser.close()
