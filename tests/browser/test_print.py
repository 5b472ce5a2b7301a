"""The page on paper: A4 upright, as a browser prints it that is told nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Opener
from tests.browser.paper import Paper, squeezed
from tests.browser.runs import complete, runs, written
from tests.browser.view import View

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RUNS = 20
WIDE = 703  # of A4 between the page's own margins, in pixels of CSS
BOTTOM, TOP, LEFT, RIGHT = 39, 803, 33, 562  # of what is inside of them, in points


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty runs."""
    return written(tmp_path_factory.mktemp("many"), runs(RUNS))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs, with something in every panel."""
    return written(tmp_path_factory.mktemp("whole"), complete(4))


@pytest.fixture(scope="module")
def papers(browser: Browser, many: Path, whole: Path) -> dict[str, Paper]:
    """Both of them as they are printed."""
    found = {}
    for name, page in (("many", many), ("whole", whole)):
        view = View(browser).open(page)
        found[name] = printed(view)
        view.close()
        assert view.errors == []
    return found


def printed(view: View) -> Paper:
    """The page as it is printed, without the colours of backgrounds that it does not insist on."""
    return Paper(view.page.pdf(format="A4", outline=True, tagged=True, print_background=False))


def on_paper(view: View) -> View:
    """A view of what is printed, as wide as paper."""
    view.page.set_viewport_size({"width": WIDE, "height": 1000})
    view.page.emulate_media(media="print")
    view.eval("dispatchEvent(new Event('beforeprint'))")
    return view


@pytest.mark.parametrize("page", ["many", "whole"])
def test_all_of_it_is_inside_of_the_margins(
    page: str, papers: dict[str, Paper], view: Opener, request: pytest.FixtureRequest
) -> None:
    paper = papers[page]
    assert 4 < paper.pages < 25
    outside = [
        word
        for word in paper.words
        if not (LEFT < word.x < RIGHT and BOTTOM < word.y < TOP) and word.text.strip()
    ]
    assert outside == []
    opened = on_paper(view(request.getfixturevalue(page)))
    for every in (False, True):
        opened.eval(f"page.change({{ all: {str(every).lower()} }})")
        wide: list[str] = opened.eval(
            """(width) => [...document.querySelectorAll("main *")]
              .filter((one) => one.checkVisibility() && !one.closest(".unseen, [aria-hidden=true]"))
              .filter((one) => one.getBoundingClientRect().right > width + 1)
              .map((one) => one.outerHTML.slice(0, 90))""",
            WIDE,
        )
        assert wide == []


def test_every_run_is_told_and_no_table_ends_where_the_screen_did(
    papers: dict[str, Paper],
) -> None:
    paper = papers["many"]
    text = paper.text()
    for run in range(RUNS):
        assert text.count(squeezed(f"what run {run} tried")) == 1, run
    # The table of runs is longer than a page: the next one has all heads again.
    assert "run-0" in paper.text(0) and f"run-{RUNS - 1}" not in paper.text(0)
    for page in (0, 1):
        assert squeezed("block model lr train seed train accuracy network") in paper.text(page)
    page = next(h.page for h in paper.headings if h.text == "Learning curves")
    best = paper.text(page) + paper.text(page + 1)
    assert all(f"run-{run}0." in best for run in range(RUNS)), "best values of all"


def test_a_filter_is_told_and_only_what_is_left_is_printed(many: Path, view: Opener) -> None:
    opened = view(many)
    opened.eval("page.change({ brushes: { 'evaluate.test.nll': [0, 0.5] } })")
    shown = opened.shown_rows()
    text = printed(opened).text()
    assert squeezed(f"{len(shown)} of {RUNS} runs") in text
    assert [n for n in range(RUNS) if squeezed(f"what run {n} tried") in text] == shown


@pytest.mark.parametrize("page", ["many", "whole"])
def test_no_heading_stands_alone_at_the_foot_of_a_page(page: str, papers: dict[str, Paper]) -> None:
    paper = papers[page]
    assert len(paper.headings) > 10
    # Under a picture there stands a line, the names of those whose it is.
    alone = [h for h in paper.headings if paper.lines_below(h) < (1 if ": " in h.text else 3)]
    assert alone == []


def test_nothing_on_paper_asks_to_be_pressed(
    papers: dict[str, Paper], whole: Path, view: Opener
) -> None:
    text = papers["whole"].text()
    for words in (
        "only differences", "CSV", "JSON", "copy link", "Dragging", "Drag along", "Point at",
        "a click on", "follow the turn", "log scale of", "whole pictures", "reset view",
    ):  # fmt: skip
        assert squeezed(words) not in text, words
    assert squeezed("4 notes on these runs") in text and squeezed("run dvc repro") in text
    assert squeezed("1 with one version only (folded: not printed)") in text
    opened = on_paper(view(whole))
    pressed = "[...document.querySelectorAll('button, input, select, [role=slider], nav a')]"
    seen = "filter((one) => one.getClientRects().length).map((one) => one.outerHTML)"
    assert opened.eval(f"{pressed}.{seen}") == []


def test_it_is_printed_in_light_colours_and_goes_back_to_its_own(whole: Path, view: Opener) -> None:
    opened = view(whole, "theme=dark", color_scheme="dark")
    colours = """() => {
      const style = (one, part) => getComputedStyle(one, part);
      return {
        paper: style(document.body).backgroundColor, ink: style(document.body).color,
        exact: [".key", ".badge", "td.heat", ".ramp i"].map((what) =>
          style(document.querySelector(what)).printColorAdjust),
        shade: style(document.querySelector(".globe"), "::after").printColorAdjust,
        plot: document.querySelector("#curve-plot .xtick text")?.style.fill,
        open: [...document.querySelectorAll(".notes")].map((one) => one.open),
      };
    }"""
    opened.settled("document.querySelector('#curve-plot .xtick text')")
    before = opened.eval(colours)
    opened.eval(f"addEventListener('beforeprint', () => {{ window.told = ({colours})(); }})")
    printed(opened)
    on = opened.eval("window.told")
    assert (on["paper"], on["ink"]) == ("rgb(255, 255, 255)", "rgb(27, 31, 39)")
    assert on["plot"] != before["plot"] and on["open"] == [True]
    opened.settled(
        f"document.querySelector('#curve-plot .xtick text')?.style.fill === '{before['plot']}'"
    )
    assert opened.eval(colours) == before
    # Without it a browser leaves backgrounds white: keys without colour, spheres painted over.
    on_paper(opened)
    found = opened.eval(colours)
    assert {*found["exact"], found["shade"]} == {"exact"}


def test_of_the_runs_columns_the_first_six_are_printed_and_it_is_said(
    whole: Path, view: Opener
) -> None:
    opened = on_paper(view(whole))
    heads = """() => [...document.querySelectorAll("#run-table thead th")]
      .filter((one) => one.checkVisibility()).map((one) => one.innerText)"""
    cells = """() => [...document.querySelectorAll("#run-table tbody tr")]
      .filter((one) => one.checkVisibility())
      .map((row) => [...row.cells].filter((one) => one.checkVisibility()).length)"""
    note = opened.page.get_by_text("On paper the first six columns")
    found = {}
    for every in (False, True):
        opened.eval(f"page.change({{ all: {str(every).lower()} }})")
        found[every] = opened.eval(heads)
        assert len(found[every]) == 8 and {*opened.eval(cells)} == {8}
        assert note.is_visible()
    assert found[False] != found[True], "of those that differ, or of all"
    few = on_paper(view(whole, "axis=train.lr"))
    few.eval(
        """() => {
          const drop = [...document.querySelectorAll("#run-table tr")];
          for (const row of drop) while (row.cells.length > 8) row.deleteCell(-1);
        }"""
    )
    assert not few.page.get_by_text("On paper the first six columns").is_visible()
