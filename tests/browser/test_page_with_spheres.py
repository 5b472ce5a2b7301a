"""Spheres on the comparison's page: with its baseline, its filter, its address, twenty runs' worth.

What the panel does by itself is tested in ``test_spheres.py``.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from geocore.report.sphere_file import spheres_bytes
from tests.browser.conftest import Opener
from tests.browser.runs import EVIL, snapshot, written
from tests.browser.view import View
from tests.report.spheres import segmented

RUNS = 20
FILE = "spheres/maps.arrow"
MEGABYTES = 15  # that twenty runs with spheres at nside 32 may take
OPENED = 3.0  # seconds by the clock until they are there
FILTER = 100  # milliseconds in which they are filtered, as often as not


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, one of them with a name that would be markup."""
    snapshots = [
        snapshot(run, name, tables={FILE: spheres_bytes(segmented(8, run))})
        for run, name in enumerate(("plain", EVIL[0]))
    ]
    return written(tmp_path_factory.mktemp("pair"), snapshots)


def canvas(run: int, what: str) -> str:
    return f"document.querySelector('[data-testid=\"sphere-{run}-{what}\"]')"


def seen(view: View, run: int, what: str) -> str:
    """All that is drawn of a sphere."""
    view.page.get_by_test_id(f"sphere-{run}-{what}").scroll_into_view_if_needed()
    view.settled(f"{canvas(run, what)}.width > 0")
    view.page.wait_for_timeout(100)
    drawn: str = view.eval(f"{canvas(run, what)}.toDataURL()")
    return drawn


def test_one_slider_and_one_camera_for_all_runs(pair: Path, view: Opener) -> None:
    opened = view(pair)
    slider = opened.page.get_by_test_id("rotation")
    slider.fill("1")
    before = [seen(opened, run, "turned") for run in (0, 1)]
    slider.fill("2")
    turned = [seen(opened, run, "turned") for run in (0, 1)]
    assert before[0] != turned[0] and before[1] != turned[1]
    place = opened.page.get_by_test_id("sphere-0-turned")
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.drag(x, y, x + box["width"] / 4, y + box["height"] / 8)
    dragged = [seen(opened, run, "turned") for run in (0, 1)]
    assert turned[0] != dragged[0] and turned[1] != dragged[1]


def test_the_baseline_of_the_page_is_that_of_the_spheres(pair: Path, view: Opener) -> None:
    opened = view(pair)
    before = [seen(opened, run, "difference") for run in (0, 1)]
    opened.page.get_by_test_id("baseline-1").click()
    after = [seen(opened, run, "difference") for run in (0, 1)]
    assert before[0] != after[0] and before[1] != after[1]


def test_the_filter_hides_the_spheres_of_a_run(pair: Path, view: Opener) -> None:
    opened = view(pair)
    opened.eval("page.change({ brushes: { 'evaluate.test.nll': [0, 0.5] } })")
    assert opened.shown_rows() == [1]
    assert not opened.page.get_by_test_id("sphere-0-input").is_visible()
    assert opened.page.get_by_test_id("sphere-1-input").is_visible()


def test_a_view_of_spheres_can_be_sent(pair: Path, view: Opener) -> None:
    first = view(pair)
    first.page.get_by_test_id("rotation").fill("3")
    first.page.get_by_test_id("sample").select_option("1")
    first.settled(f"{canvas(0, 'input')}.width > 0")
    first.page.get_by_test_id("sphere-0-input").focus()
    first.page.keyboard.press("ArrowLeft")
    drawn = seen(first, 1, "turned")
    first.page.wait_for_timeout(300)
    second = view(pair, first.eval("location.hash").lstrip("#"))
    assert second.page.get_by_test_id("rotation").input_value() == "3"
    assert second.page.get_by_test_id("sample").input_value() == "1"
    assert seen(second, 1, "turned") == drawn


def test_names_beside_spheres_stay_text(pair: Path, view: Opener) -> None:
    opened = view(pair)
    assert EVIL[0] in (opened.page.text_content(".sphere-run[data-run='1'] h3") or "")
    label = opened.page.get_by_test_id("sphere-1-label").get_attribute("aria-label")
    assert label is not None and EVIL[0] in label


def test_twenty_runs_are_small_and_fast(tmp_path: Path, view: Opener) -> None:
    """The row of docs/compare.md's table for this machine, printed with ``-s``.

    Opening is the least of three times by the clock: other work on a shared machine makes it
    longer, and nothing makes it shorter than the page allows. Filters are many enough for a median.
    """
    snapshots = [
        snapshot(run, tables={FILE: spheres_bytes(segmented(32, run, samples=3, turns=5))})
        for run in range(RUNS)
    ]
    page = written(tmp_path, snapshots)
    size = page.stat().st_size / 1e6
    opened = view(page)
    opened.settled(f"{canvas(0, 'input')}.width > 0")
    filtered = [
        opened.milliseconds(
            f"page.change({{ brushes: {{ 'evaluate.test.nll': [0, {0.2 + 0.03 * turn}] }} }})"
        )
        for turn in range(9)
    ]
    assert 0 < len(opened.shown_rows()) < RUNS
    waited, spent = opened.seconds()
    middle = median(filtered)
    print(f"| {size:.1f} MB | {waited:.2f} s | {middle:.0f} ms | {max(filtered):.0f} ms |")
    told = f"{size:.1f} MB, open in {waited:.2f} s ({spent:.2f} s of the processor), "
    told += f"filtered in {[round(one) for one in filtered]} ms"
    assert size < MEGABYTES, told
    assert waited < OPENED, told
    assert middle < FILTER, told
