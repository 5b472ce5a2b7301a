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
    from playwright.sync_api import Browser, BrowserType

__all__ = ["browser", "launched"]

_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-domain-reliability", "--no-default-browser-check", "--no-pings",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser; without one these tests are skipped, and say what would run them.

    One a file: as long as it is there, its loop counts as the running one of this process.
    """
    if not Path(_executable()).is_file():
        pytest.skip("no browser: install Debian's chromium, or name one in GEOCORE_BROWSER")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no playwright: pip install 'geocore[dev]'"
    )
    with warnings.catch_warnings(), playwright.sync_playwright() as driver:
        browser = launched(driver.chromium)
        yield browser
        browser.close()


def launched(kind: BrowserType, *more_flags: str) -> Browser:
    """One more of them, started otherwise."""
    return kind.launch(executable_path=_executable(), args=[*_FLAGS, *more_flags])


def _executable() -> str:
    return os.environ.get("GEOCORE_BROWSER") or shutil.which("chromium") or ""
