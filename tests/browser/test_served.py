"""A served page in a real browser: it follows the runs, and keeps what its reader chose."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from geocore.report.live_page import LivePage
from geocore.report.live_server import PageServer
from tests.browser.conftest import Opener
from tests.browser.runs import runs, written


class Site:
    """A page of so many runs as stand in a file, and its server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = folder / "count"
        self.count.write_text("3")

    def render(self) -> str:
        """The page now."""
        text = written(self.folder, runs(int(self.count.read_text())))
        return text.read_text(encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Site, str]]:
    """A site and its address."""
    site = Site(tmp_path)
    page = LivePage(site.render, [site.count], every=0.1)
    with PageServer() as server:
        thread = threading.Thread(target=server.serve, args=(page,))
        thread.start()
        yield site, server.url
        server.close()
        thread.join(timeout=10)


def test_it_reloads_and_keeps_its_state(site: tuple[Site, str], view: Opener) -> None:
    made, url = site
    opened = view(url, offline=False, own=url)
    assert opened.shown_rows() == [0, 1, 2]
    opened.page.get_by_test_id("baseline-2").click()
    opened.page.get_by_test_id("only-differences").uncheck()
    opened.settled("location.hash.includes('base=2')")
    made.count.write_text("5")
    opened.settled("document.querySelectorAll('#run-table tr[data-run]').length === 5")
    opened.settled("document.readyState === 'complete' && location.hash.includes('base=2')")
    opened.settled("document.querySelector('[data-testid=baseline-2]').checked")
    assert not opened.page.get_by_test_id("only-differences").is_checked()
    made.count.write_text("4")
    opened.settled("document.querySelectorAll('#run-table tr[data-run]').length === 4")


def test_nothing_of_it_is_for_pages_from_elsewhere(site: tuple[Site, str], view: Opener) -> None:
    _, url = site
    opened = view("about:blank", offline=False, own=url, ready="true")
    ask = """async (url) => {
      try { return await (await fetch(url)).text(); } catch (error) { return String(error); }
    }"""
    for path in ("", "events"):
        assert "TypeError" in opened.eval(ask, url + path)
    framed = """async (url) => {
      const frame = document.createElement("iframe");
      frame.src = url;
      document.body.append(frame);
      await new Promise((done) => { frame.onload = done; });
      try { return frame.contentDocument.body.innerText; } catch (error) { return "out of reach"; }
    }"""
    assert opened.eval(framed, url) in ("out of reach", "")
    assert any("CORS" in error for error in opened.errors)
    opened.errors.clear()  # the browser's own words on what it refused
