"""Tabs of a real Chromium without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.view import READY, View

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Opener = Callable[..., View]


@pytest.fixture
def view(browser: Browser) -> Iterator[Opener]:
    """Opens tabs, and closes them behind the test; what they complained of fails it."""
    views: list[View] = []

    def opened(target: Path | str, fragment: str = "", ready: str = READY, **how: object) -> View:
        views.append(View(browser, **how))  # type: ignore[arg-type]
        return views[-1].open(target, fragment, ready)

    yield opened
    complaints = [complaint for view in views for complaint in (*view.errors, *view.dialogs)]
    for one in views:
        one.close()
    assert complaints == []
