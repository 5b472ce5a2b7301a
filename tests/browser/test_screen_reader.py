"""The page as a screen reader and a keyboard get it: by Chromium's own accessibility tree.

Chromium leaves what is off the screen without style until it comes near, and still reads it: it is
in the tree only where accessibility is on, as it is here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import launched
from tests.browser.runs import complete, written
from tests.browser.tree import CONTROLS, Node, tree_of
from tests.browser.view import View

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RUNS = 4


@pytest.fixture(scope="module")
def reader(browser: Browser) -> Iterator[Browser]:
    """A browser that a screen reader is at."""
    found = launched(browser.browser_type, "--force-renderer-accessibility")
    yield found
    found.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs with something in every panel."""
    return written(tmp_path_factory.mktemp("complete"), complete(RUNS))


@pytest.fixture
def opened(page: Path, reader: Browser) -> Iterator[View]:
    """The page, drawn to its end."""
    view = View(reader).open(page)
    view.settled("document.querySelector('.sphere-error strong')")
    view.settled("document.querySelector('#scatter-plot .main-svg')")
    yield view
    view.close()
    assert view.errors == []


@pytest.fixture
def tree(opened: View) -> Node:
    """What is read of it, with all that is folded."""
    opened.eval("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    opened.page.wait_for_timeout(200)
    return tree_of(opened)


def test_every_control_says_what_it_does_and_which_it_is(tree: Node) -> None:
    controls = tree.every(*CONTROLS)
    assert {node.role for node in controls} >= {
        "button", "checkbox", "combobox", "DisclosureTriangle", "link", "radio", "slider"
    }  # fmt: skip
    assert [node for node in controls if not re.search("[a-z]{2}", node.name)] == []
    told = Counter((node.role, node.section(), node.name) for node in controls)
    assert [one for one, count in told.items() if count > 1] == []
    # Whatever else the tab key stops at has a name or is read as the text that it is.
    stops = [node for node in tree.every() if node.told.get("focusable") and node.role != "option"]
    assert [node for node in stops if not (node.name.strip() or node.text())] == []
    names = [node.name for node in tree.every("button")]
    for words in ("Save what is shown as CSV", "copy link to this view", "whole pictures"):
        assert words in names
    heads = [node for node in tree.every("button") if node.description.startswith("sort the runs")]
    assert len(heads) > 8 and "accuracy network" in [node.name for node in heads]


def test_pictures_and_charts_tell_what_they_show(tree: Node) -> None:
    images = tree.every("image")
    assert len(images) > 40 and [node for node in images if len(node.name) < 5] == []
    assert not any(node.role == "graphics-symbol" for node in tree.every()), "drawn, and not told"
    told = Counter((node.section(), node.name) for node in images)
    assert [one for one, count in told.items() if count > 1] == []
    # A chart that leaves its numbers to a table has one in its section.
    referring = [node for node in images if re.search("the table (below )?has ", node.name)]
    assert len(referring) > 8
    for node in referring:
        section = node.parent
        while section and section.role != "region":
            section = section.parent
        assert section and section.every("table"), node
    names = [node.name for node in images]
    assert (
        "val_nll of train/curve.csv by epoch, a line a run; the table below has best and last "
        "values" in names
    )
    across = (
        "evaluate.test.accuracy against resample.nside, a dot a run; the tables have the numbers"
    )
    assert across in names
    assert any(n.startswith("against run-0, better ") and ", worse " in n for n in names)
    power = next(name for name in names if name.startswith("Angular power spectra"))
    assert "prediction from 0.083 at degree 1 to 0.0012 at 16" in power


def test_headings_go_down_by_one_and_parts_have_names_of_their_own(tree: Node) -> None:
    headings = tree.every("heading")
    levels = [int(node.told["level"]) for node in headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(now - before <= 1 for before, now in pairwise(levels))
    assert [node for node in headings if not node.name.strip()] == []
    (main,) = tree.every("main")
    for landmark in ("banner", "navigation", "contentinfo"):
        assert len(tree.every(landmark)) == 1, landmark
    below = [node for node in headings if node.told["level"] > 1]
    assert below and all(node in main.every("heading") for node in below)
    regions = [node.name for node in tree.every("region")]
    assert [name for name, count in Counter(regions).items() if count > 1 or not name] == []
    # Whatever is read stands in one of them.
    within = {id(n) for part in ("banner", "main", "contentinfo", "region") for top in
              tree.every(part) for n in top.every()}  # fmt: skip
    assert [n for n in tree.every("StaticText") if n.name.strip() and id(n) not in within] == []
    # What the navigation calls a section is what stands above it.
    names = [node.name.lower() for node in headings]
    links = [node.name for node in tree.every("link")]
    for link in links[links.index("learning curves") :]:
        assert link in names, link


def test_tables_have_heads_for_columns_and_rows(tree: Node) -> None:
    tables = tree.every("table")
    assert len(tables) > 15
    names = Counter((node.section(), node.name) for node in tables)
    assert [name for name, count in names.items() if count > 1 or not name[1]] == []
    for table in tables:
        heads = table.every("columnheader")
        assert heads and all(node.name.strip() for node in heads), table
        _, *rows = table.every("row")
        assert rows and all(row.every("rowheader") for row in rows), table
        # Of all that are compared, one is the baseline, wherever that is told.
        marked = [node for node in table.every("columnheader", "rowheader")
                  if node.name.endswith("baseline") or " baseline " in node.name]  # fmt: skip
        assert len(marked) <= 1, marked
    over = [node.name for node in tree.every("rowheader") if node.name.startswith("mean of")]
    assert over == [
        "mean of 2 seeds \u00b1 standard deviation; seeds 0, 1 : run-0, run-1",
        "mean of 2 seeds \u00b1 standard deviation; seeds 0, 1 : run-2, run-3",
    ]


def test_nothing_is_read_that_is_not_on_the_page(opened: View) -> None:
    text = tree_of(opened).text()
    for words in ("<", "Spheres are drawn by a program"):
        assert words not in text, words
    assert text.count("This run has no such sample") == 1, "of the last"
    assert "1000" not in text, "a metric that is equal in all"
    opened.page.get_by_test_id("only-differences").uncheck()
    assert "1000" in tree_of(opened).text()
    opened.page.get_by_test_id("sample").select_option("2")
    opened.settled("document.querySelector('.sphere-none').checkVisibility()")
    told = tree_of(opened).text()
    assert told.count("This run has no such sample") == RUNS - 1, "of all but the last"


def test_a_filter_is_announced_and_takes_its_runs_out_of_all_that_is_read(opened: View) -> None:
    (count, *_) = tree_of(opened).every("status")
    assert count.told["live"] == "polite" and count.text() == f"{RUNS} of {RUNS} runs"
    opened.eval("page.change({ brushes: { 'evaluate.test.nll': [0, 0.9] } })")
    tree = tree_of(opened)
    (count, *_) = tree.every("status")
    assert count.text() == f"{RUNS - 1} of {RUNS} runs"
    heads = tree.every("columnheader", "rowheader", "heading", "listitem", "group", "image",
                       "DisclosureTriangle", "radio", "option")  # fmt: skip
    left = [node for node in heads if "run-0" in (node.name or node.text())]
    # It is in the title, and stays the baseline.
    assert [n for n in left if n.told.get("level") != 1 and "against run-0" not in n.name] == []
    assert any("run-1" in node.name for node in heads)
    opened.eval("page.change({ brushes: {} })")
    assert len(tree_of(opened).every("radio")) == RUNS


def test_the_baseline_that_is_read_moves_with_the_choice(opened: View) -> None:
    opened.page.get_by_test_id("baseline-2").click()
    tree = tree_of(opened)
    marked = {node.name for node in tree.every("columnheader") if "baseline" in node.name}
    assert marked == {"run-2 baseline"}
    rows = [node.name for node in tree.every("rowheader") if " baseline " in node.name]
    assert len(rows) == 1 and "run-2 baseline revision" in rows[0]


def test_what_is_done_is_said(opened: View) -> None:
    def said() -> str:
        return str(opened.eval("document.getElementById('said').textContent"))

    assert tree_of(opened).every("status")[1].told["live"] == "polite"
    head = opened.page.locator("#run-table thead").get_by_role("button", name="accuracy network")
    for words in ("upwards", "downwards"):
        head.click()
        assert said() == f"runs sorted by evaluate.test.accuracy, {words}"
    head.click()
    assert said() == "runs in the order given"
    with opened.page.expect_download():
        opened.page.get_by_test_id("export-csv").click()
    assert said() == "saved as comparison.csv"
    opened.page.locator("#link").click()
    opened.settled("document.getElementById('said').textContent.startsWith('link: ')")


def test_sliders_tell_values_with_their_units(opened: View) -> None:
    told = opened.eval(
        """() => Object.fromEntries([...document.querySelectorAll(
            "input[type=range], [role=slider]")].map((one) => [one.ariaLabel
              || one.labels[0].textContent.trim(), one.getAttribute("aria-valuetext")]))"""
    )
    assert all(told.values()), told
    for name, form in (
        ("longitude", r"-?\d+\u00b0"), ("latitude", r"-?\d+\u00b0"), ("zoom", r"[\d.]+ times"),
        ("turned by", r"[\d.]+\u00b0 about z, (exact|interpolated)"),
        ("How much of the left picture is seen", r"\d+ percent of the left picture"),
        ("lower end of model.block", "mlp"), ("upper end of train.lr", "0.002"),
    ):  # fmt: skip
        assert re.fullmatch(form, told[name]), (name, told[name])
    opened.page.locator(".sphere-lon").fill("-40")
    opened.page.locator(".sphere-near").fill("2.5")
    for name, text in (("lon", "-40\u00b0"), ("near", "2.5 times")):
        assert opened.page.locator(f".sphere-{name}").get_attribute("aria-valuetext") == text


def test_the_tab_key_goes_down_the_page(opened: View) -> None:
    order = opened.eval(
        """() => {
          const all = [...document.querySelectorAll("*")].filter((one) => one.tabIndex >= 0);
          window.last = document.body;
          return [all.length, all.filter((one) => one.tabIndex > 0).length,
            all.filter((one) => one.tagName === "CANVAS").length];
        }"""
    )
    assert order[1] == 0, "no order but that of the page"
    assert order[2] == RUNS, "a sphere a run, as one turns all"
    step = """() => {
      const now = document.activeElement, before = window.last;
      window.last = now;
      if (now === document.body) return "end";
      const follows = before.compareDocumentPosition(now) & (4 | 16);
      return follows ? "on" : now.outerHTML.slice(0, 80);
    }"""
    opened.page.keyboard.press("Tab")
    steps = []
    for _ in range(order[0] + 5):
        steps.append(opened.eval(step))
        if steps[-1] == "end":
            break
        opened.page.keyboard.press("Tab")
    assert {*steps[:-1]} == {"on"} and steps[-1] == "end", [s for s in steps if s != "on"]
    assert len(steps) > 80


def test_the_focus_is_never_lost(opened: View) -> None:
    focused = "document.activeElement.id || document.activeElement.ariaLabel"
    handle = opened.page.get_by_role("slider", name="upper end of evaluate.test.nll").first
    handle.focus()
    opened.page.keyboard.press("ArrowDown")
    assert len(opened.shown_rows()) == RUNS - 1
    assert opened.eval(focused) == "upper end of evaluate.test.nll"
    opened.page.set_viewport_size({"width": 1000, "height": 900})  # the axes are drawn anew
    opened.settled("document.querySelector('#coordinates-plot svg').clientWidth !== 1176")
    opened.page.wait_for_timeout(300)
    assert opened.eval(focused) == "upper end of evaluate.test.nll"
    reset = opened.page.locator("#reset")
    reset.focus()
    opened.page.keyboard.press("Enter")
    assert not reset.is_visible() and opened.eval(focused) == "only"
    head = opened.page.locator("#run-table thead button").first
    head.focus()
    opened.page.keyboard.press("Enter")
    assert opened.eval("document.activeElement.className") == "sort"
