"""The panels on the page in a real browser: seen as they are meant, and a run stands out."""

from __future__ import annotations

from pathlib import Path

from geocore.report.comparison import compare
from geocore.report.page import comparison_page
from tests.browser.conftest import Opener
from tests.report.panels.test_hiding import run

SEEN = """(selector) =>
  [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility()).length"""


def test_marks_are_seen_and_the_run_that_is_pointed_at_stands_out(
    view: Opener, tmp_path: Path
) -> None:
    snapshots = [run("azure", 1), run("<script>alert(1)</script>", 2)]
    file = tmp_path / "page.html"
    file.write_text(comparison_page(compare(snapshots), snapshots), encoding="utf-8")
    seen = view(file)
    seen.page.locator("#equivariance-heading").scroll_into_view_if_needed()
    spots = seen.eval("document.querySelectorAll('#part-equivariance .spot').length")
    assert spots > 20
    assert seen.eval(SEEN, "#part-equivariance .spot") == spots
    dimmed = "[...document.querySelectorAll('.dim')].map((element) => element.dataset.run)"
    first = seen.page.locator("#part-equivariance .runs li").first
    first.hover()
    assert set(seen.eval(dimmed)) == {"1"}
    seen.page.mouse.move(1, 1)
    assert seen.eval(dimmed) == []
    seen.page.locator("#part-equivariance .runs li").nth(1).focus()
    assert set(seen.eval(dimmed)) == {"0"}
    assert seen.eval(SEEN, "#part-provenance .dag rect") == 0
    seen.page.locator("#part-provenance details summary").nth(0).click()
    assert seen.eval(SEEN, "#part-provenance .dag rect") == 1
    assert "<script>alert(1)</script>" in seen.page.locator("#part-chip").inner_text()
