"""The comparison's page in a real browser: what a reader does with it, and what it never does."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from geocore.report.snapshot import Snapshot
from tests.browser.conftest import Opener
from tests.browser.runs import EVIL, runs, snapshot, written
from tests.browser.view import View
from tests.report.scene import png

RUNS = 20
LOSS = "axis-evaluate.test.nll"
BELOW = "#pictures-section .pictures .frame"  # the wipe, whose frame shows two pictures
OPENED = 3.0  # seconds by the clock until they are there
FILTER = 100  # milliseconds in which they are filtered, as often as not


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty runs."""
    return written(tmp_path_factory.mktemp("page"), runs(RUNS))


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs."""
    return written(tmp_path_factory.mktemp("few"), runs(3))


def axis(view: View, testid: str) -> dict[str, float]:
    """Where the part of an axis that is brushed lies on the screen."""
    touch = view.page.get_by_test_id(testid).locator("rect.brush")
    touch.scroll_into_view_if_needed()
    box = touch.bounding_box()
    assert box is not None
    return {"x": box["x"] + box["width"] / 2, "y": box["y"], "height": box["height"]}


def test_it_loads_with_the_network_cut(page: Path, view: Opener) -> None:
    opened = view(page)
    waited, spent = opened.seconds()
    assert 0 < waited < OPENED, f"{spent:.2f} s of the processor"
    assert opened.shown_rows() == list(range(RUNS))
    assert opened.text("count") == f"{RUNS} of {RUNS} runs"
    for testid in ("run-table", "coordinates", "curves", "pictures", "theme", "export-csv"):
        assert opened.page.get_by_test_id(testid).is_visible(), testid
    assert opened.eval("location.hash") == ""


def counted(elements: str) -> str:
    return f"{elements}.filter((one) => one.checkVisibility()).length"


def test_brushing_an_axis_filters_everything_else(page: Path, view: Opener) -> None:
    opened = view(page)
    place = axis(opened, LOSS)
    lines = counted("[...document.querySelectorAll('#coordinates-plot path.line')]")
    figures = counted("[...document.querySelectorAll('#pictures-section figure')]")
    traces = "document.getElementById('curve-plot').data.filter((t) => t.visible !== false)"
    traces += ".length"
    assert opened.eval(lines) == RUNS
    before = opened.eval(traces)
    # The lower half of the axis: the runs with the smaller losses.
    middle, end = place["y"] + place["height"] / 2, place["y"] + place["height"]
    opened.drag(place["x"], middle, place["x"], end - 1)
    opened.settled(f"document.getElementById('count').textContent !== '{RUNS} of {RUNS} runs'")
    shown = opened.shown_rows()
    assert shown == list(range(RUNS - len(shown), RUNS))
    assert abs(len(shown) - RUNS / 2) <= 1
    assert opened.text("count") == f"{len(shown)} of {RUNS} runs"
    assert opened.eval(lines) == len(shown)
    opened.settled(f"({traces}) * {RUNS} === {before} * {len(shown)}")
    assert opened.eval(figures) == len(shown)
    opened.page.locator("#reset").click()
    assert opened.shown_rows() == list(range(RUNS))
    opened.settled(f"{traces} === {before}")


def test_filtering_takes_less_than_a_tenth_of_a_second(page: Path, view: Opener) -> None:
    opened = view(page)
    spent = [
        opened.milliseconds(
            f"page.change({{ brushes: {{ 'evaluate.test.nll': [0, {0.3 + 0.05 * turn}] }} }})"
        )
        for turn in range(10)
    ]
    assert len(opened.shown_rows()) < RUNS
    assert median(spent) < FILTER, spent


def test_a_brush_by_keyboard(page: Path, view: Opener) -> None:
    opened = view(page)
    upper = opened.page.get_by_test_id(LOSS).get_by_role("slider").nth(1)
    upper.focus()
    for _ in range(5):
        opened.page.keyboard.press("ArrowDown")
    assert opened.shown_rows() == list(range(5, RUNS)), "from run to run"
    assert int(upper.get_attribute("aria-valuenow") or 100) < 100
    opened.page.keyboard.press("Escape")
    assert opened.shown_rows() == list(range(RUNS))


def test_the_baseline_is_chosen_by_a_click(few: Path, view: Opener) -> None:
    opened = view(few)

    def deltas() -> list[str]:
        """Of the accuracy, a run each."""
        script = """() => {
          const { columns } = page.data;
          const column = columns.findIndex((c) => c.name === "evaluate.test.accuracy");
          const cells = `#run-table tr[data-run] td[data-column="${column}"]`;
          return [...document.querySelectorAll(cells)]
            .map((cell) => cell.querySelector(".delta")?.textContent ?? "");
        }"""
        found: list[str] = opened.eval(script)
        return found

    assert deltas() == ["", "+0.004 better", "+0.008 better"]
    opened.page.get_by_test_id("baseline-2").click()
    minus = "\u2212"
    assert [text.replace("-", minus) for text in deltas()] == [
        f"{minus}0.008 worse", f"{minus}0.004 worse", ""
    ]  # fmt: skip
    assert opened.page.get_by_test_id("row-2").get_attribute("class") == "base"


def seeded(place: int) -> Snapshot:
    """Run of a group of three seeds; it stopped after an epoch more than the one before."""
    group = place // 3
    return snapshot(
        place,
        params={"train.lr": 0.1 + group / 10, "train.seed": place % 3, "train.epochs": 12},
        metrics={
            "evaluate.test.accuracy": 0.9 + 0.001 * (place % 3) + 0.05 * group,
            "train.epochs": 5.0 + place,
        },
        code={"geocore/a.py": "a" * 40},
    )


def test_over_seeds_what_is_filtered_counts_nowhere(tmp_path: Path, view: Opener) -> None:
    opened = view(written(tmp_path, [seeded(place) for place in range(6)]))

    def groups() -> list[str]:
        told: list[str] = opened.page.locator("[data-group]").all_inner_texts()
        return [" ".join(text.split()) for text in told]

    first, second = groups()
    assert first.startswith("mean of 3 seeds") and "0.901 \u00b1 0.001" in first
    assert "0.951 \u00b1 0.001 +0.05 \u00b1 0.0014 better" in second
    # By a metric that is called as a parameter is: all but the first run.
    opened.eval("page.change({ brushes: { 'metrics.train.epochs': [0.15, 1] } })")
    assert opened.shown_rows() == [1, 2, 3, 4, 5]
    first, second = groups()
    assert first.startswith("mean of 2 of 3 seeds") and "0.9015 \u00b1 0.00071" in first
    assert "+0.0495 \u00b1 0.0012 better" in second
    assert opened.page.locator("#wipe-left option").all_text_contents() == [
        f"run-{run}" for run in range(1, 6)
    ]
    rows = list(csv.reader(io.StringIO(download(opened, "export-csv"))))
    epochs = rows[0].index("metrics.train.epochs")
    assert [row[epochs] for row in rows[1:]] == ["6", "7", "8", "9", "10", "6.5", "9"]
    opened.eval("page.change({ brushes: { 'metrics.train.epochs': [0.95, 1] } })")
    assert not opened.page.locator(".wipe").is_visible()


def test_only_what_differs_unless_all_is_asked_for(few: Path, view: Opener) -> None:
    opened = view(few)
    head = opened.page.locator("#run-table thead").get_by_text("evaluate.test.n", exact=False)
    equal = opened.page.get_by_text("train.epochs").first
    assert not equal.is_visible()
    opened.page.get_by_test_id("only-differences").uncheck()
    assert equal.is_visible()
    assert head.count() >= 0


def test_a_view_can_be_sent(page: Path, view: Opener) -> None:
    first = view(page)
    first.page.get_by_test_id("baseline-3").click()
    first.page.get_by_test_id("only-differences").uncheck()
    first.page.get_by_test_id("theme").select_option("dark")
    first.eval("page.change({ brushes: { 'evaluate.test.nll': [0, 0.4] }, wipe: 20 })")
    first.settled("location.hash.includes('brush=') && location.hash.includes('wipe=20')")
    address = first.eval("location.hash").lstrip("#")
    second = view(page, address)
    assert second.shown_rows() == first.shown_rows() != list(range(RUNS))
    assert second.page.get_by_test_id("baseline-3").is_checked()
    assert not second.page.get_by_test_id("only-differences").is_checked()
    assert second.page.get_by_test_id("theme").input_value() == "dark"
    assert second.page.get_by_test_id("wipe").input_value() == "20"
    assert second.text("count") == first.text("count")
    second.page.reload()
    second.settled(
        f"document.getElementById('count').textContent === {json.dumps(first.text('count'))}"
    )


STRANGE = (
    "base=99&wipe=-1&zoom=1e9", "base=NaN&theme=%3Cscript%3E", "brush=__proto__~0~1",
    "brush=evaluate.test.nll~1~0", "axis=nothing&curve=%22%3E%3Cimg%20onerror%3D1%3E", "%%%=%%",
    "__proto__=1&constructor=2&toString=3&brushes=x", "=" * 5000,
)  # fmt: skip


def test_an_address_is_a_strangers_text(few: Path, view: Opener) -> None:
    opened = view(few, STRANGE[0])  # as it is opened
    for fragment in STRANGE:  # and while it is
        opened.eval("(text) => { location.hash = text; }", fragment)
        opened.page.wait_for_timeout(50)
        assert opened.shown_rows() == [0, 1, 2], fragment
        assert opened.page.get_by_test_id("baseline-0").is_checked(), fragment
        assert opened.errors == [], fragment


def luminance(view: View, what: str) -> float:
    """0 is black, 1 is white."""
    colour = view.eval(f"getComputedStyle(document.body).{what}")
    red, green, blue = (float(part) for part in re.findall(r"[\d.]+", colour)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


def test_dark_and_light(few: Path, view: Opener) -> None:
    for scheme in ("light", "dark"):
        opened = view(few, color_scheme=scheme)
        assert (luminance(opened, "backgroundColor") > 0.5) == (scheme == "light")
        assert abs(luminance(opened, "backgroundColor") - luminance(opened, "color")) > 0.5
    for chosen in ("light", "dark"):  # whatever the system says
        opened.page.get_by_test_id("theme").select_option(chosen)
        assert (luminance(opened, "backgroundColor") > 0.5) == (chosen == "light")


def download(view: View, testid: str) -> str:
    with view.page.expect_download() as caught:
        view.page.get_by_test_id(testid).click()
    path = caught.value.path()
    return path.read_text(encoding="utf-8-sig")


def table(view: View) -> list[dict[str, str]]:
    """The CSV, a mapping a line."""
    return list(csv.DictReader(io.StringIO(download(view, "export-csv"))))


def test_what_is_shown_is_exported(page: Path, view: Opener) -> None:
    opened = view(page)
    opened.page.get_by_test_id("baseline-12").click()
    opened.eval("page.change({ brushes: { 'evaluate.test.nll': [0, 0.5] } })")
    shown = [f"run-{run}" for run in opened.shown_rows()]
    assert 0 < len(shown) < RUNS
    rows = table(opened)
    assert [row["run"] for row in rows] == shown
    assert [row["run"] for row in rows if row["baseline"]] == ["run-12"]
    last = rows[-1]
    assert last["train.lr"] == "0.02"
    assert float(last["evaluate.test.nll"]) == pytest.approx(0.12)
    assert last["evaluate.test.nll verdict"] == "better"
    assert float(last["evaluate.test.nll delta"]) == pytest.approx(-0.14)
    gate = "evaluate.accuracy_min"
    assert [last[f"{gate}{part}"] for part in (" sense", " bound", " passed")] == [
        "min", "0.92", "holds"
    ]  # fmt: skip
    value = json.loads(download(opened, "export-json"))
    assert shown == [run["name"] for run in value["runs"]]
    assert value["baseline"] == "run-12" and value["over_seeds"] == []
    found = value["runs"][-1]
    assert found["gates"][gate] == {
        "value": pytest.approx(0.976), "sense": "min", "bound": 0.92, "passed": True
    }  # fmt: skip
    assert found["metrics"]["evaluate.test.nll"] == {
        "value": pytest.approx(0.12), "delta": pytest.approx(-0.14), "verdict": "better"
    }  # fmt: skip
    assert found["code"] == {"geocore/a.py": f"{RUNS - 1 + 16:02x}" * 20} and found["data"] == {}


def test_means_and_spreads_are_exported(tmp_path: Path, view: Opener) -> None:
    opened = view(written(tmp_path, [seeded(place) for place in range(6)]))
    *lines, first, second = table(opened)
    assert len(lines) == 6 and lines[0]["evaluate.test.accuracy spread"] == ""
    assert second["run"] == "mean of run-3, run-4, run-5"
    metric = "evaluate.test.accuracy"
    assert [float(second[f"{metric}{part}"]) for part in ("", " spread", " delta")] == (
        pytest.approx([0.951, 0.001, 0.05])
    )
    assert float(second[f"{metric} delta spread"]) == pytest.approx(2**0.5 / 1000)
    assert second[f"{metric} verdict"] == "better"
    assert second["train.lr"] == "0.2" and second["train.seed"] == ""
    assert first[f"{metric} delta"] == "", "the baseline is one of its own"
    told = json.loads(download(opened, "export-json"))["over_seeds"][1]
    assert told["runs"] == ["run-3", "run-4", "run-5"]
    assert told["params"] == {"train.lr": 0.2, "train.seed": None}
    assert told["metrics"][metric] == {
        "mean": pytest.approx(0.951), "spread": pytest.approx(0.001), "delta": pytest.approx(0.05),
        "delta_spread": pytest.approx(2**0.5 / 1000), "verdict": "better",
    }  # fmt: skip


def test_the_spread_of_one_run_is_not_known(tmp_path: Path, view: Opener) -> None:
    alone = replace(seeded(0), params={"train.lr": 0.5, "train.seed": 0, "train.epochs": 12})
    opened = view(written(tmp_path, [alone, *(seeded(place) for place in range(3))]))
    (told,) = opened.page.locator("[data-group]").all_inner_texts()
    assert "0.901 \u00b1 0.001 +0.001 \u00b1 \u2013" in " ".join(told.split())
    assert not re.search("better|worse|within", told)
    line = table(opened)[-1]
    assert float(line["evaluate.test.accuracy delta"]) == pytest.approx(0.001)
    for part in ("delta spread", "verdict"):
        assert line[f"evaluate.test.accuracy {part}"] == ""


def test_names_stay_text_everywhere(tmp_path: Path, view: Opener) -> None:
    evil = [
        snapshot(
            place, name, about=name,
            params={name: name, "train.lr": 0.1 * place, "train.note": name},
            metrics={f"{name}.accuracy": 0.5 + place, f"evaluate.{name}": float(place)},
            gates={name: {"metric": name, "value": 1, "bound": 2, "sense": name, "passed": False}},
            code={name: name}, data={name: name}, notes=(name,),
            curves={f"{name}/curve.csv": {"epoch": [0.0, 1.0], f"{name} nll": [1.0 + place, 0.5]}},
            pictures={f"{name}/{name}.png": png(place)},
        )
        for place, name in enumerate(EVIL)
    ]  # fmt: skip
    opened = view(written(tmp_path, [*evil, snapshot(9)]))
    opened.page.get_by_test_id("only-differences").uncheck()
    for place, name in enumerate(EVIL):
        opened.page.get_by_test_id(f"baseline-{place}").click()
        assert name in opened.text(f"row-{place}")
    opened.eval("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for select in opened.page.locator("select:visible").all():
        for option in range(select.locator("option").count()):
            select.select_option(index=option)
    assert opened.eval("document.querySelectorAll('[onerror], [onload], [onclick]').length") == 0
    scripts = "[...document.scripts].filter((s) => s.textContent.trim() === 'alert(1)').length"
    assert opened.eval(scripts) == 0
    assert opened.eval("document.querySelectorAll('img[src=x]').length") == 0
    for name, text in (
        ("csv", download(opened, "export-csv")),
        ("json", download(opened, "export-json")),
    ):
        assert "alert(1)" in text, name
    assert opened.dialogs == []


def test_a_phone_scrolls_down_and_not_aside(page: Path, view: Opener) -> None:
    opened = view(page, width=390, height=844)
    wide = "document.scrollingElement.scrollWidth"
    assert opened.eval(wide) <= 390
    opened.page.get_by_test_id("only-differences").uncheck()
    opened.eval("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert opened.eval(wide) <= 390


def test_the_tab_key_reaches_every_control(few: Path, view: Opener) -> None:
    opened = view(few)
    # Of a group of radio buttons the key reaches the chosen one, the arrows the others.
    controls = opened.eval(
        """() => {
          const all = document.querySelectorAll(
            "a[href], button, input, select, textarea, summary, [tabindex]");
          const seen = [...all].filter((one) => one.checkVisibility({ visibilityProperty: true })
            && !one.disabled && one.tabIndex >= 0 && !(one.type === "radio" && !one.checked)
            && !one.closest("[inert]"));
          seen.forEach((one, number) => { one.dataset.tabbed = number; });
          return seen.map((one) => one.dataset.testid || one.id || one.outerHTML.slice(0, 60));
        }"""
    )
    reached: set[int] = set()
    for _ in range(len(controls) + 40):
        opened.page.keyboard.press("Tab")
        number = opened.eval("document.activeElement.dataset.tabbed")
        if number is not None:
            reached.add(int(number))
    missed = [controls[number] for number in range(len(controls)) if number not in reached]
    assert missed == []
    unnamed = opened.eval(
        """() => [...document.querySelectorAll("button, input, select, [role=slider]")]
          .filter((one) => one.checkVisibility() && !(one.getAttribute("aria-label")
            || one.innerText || one.labels?.length || one.getAttribute("aria-labelledby")))
          .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert unnamed == []


def test_the_wipe_shows_more_of_the_left_picture(few: Path, view: Opener) -> None:
    opened = view(few)
    wipe = opened.page.get_by_test_id("wipe")
    wipe.scroll_into_view_if_needed()
    over = "document.querySelector('.wipe .over')"
    seen = f"getComputedStyle({over}).clipPath + {over}.style.cssText"
    before = opened.eval(seen)
    wipe.fill("80")
    assert opened.eval(seen) != before
    assert opened.eval("page.state.wipe") == 80


def frames(view: View) -> list[list[float]]:
    """Of each picture seen: its left and upper edge and its width, in widths of its frame."""
    found: list[list[float]] = view.eval(
        """() => [...document.querySelectorAll('#pictures-section .frame img')]
          .filter((image) => image.checkVisibility())
          .map((image) => {
            const inner = image.getBoundingClientRect(), frame = image.closest('.frame');
            const outer = frame.getBoundingClientRect(); // with its border
            return [(inner.left - outer.left - frame.clientLeft) / frame.clientWidth,
              (inner.top - outer.top - frame.clientTop) / frame.clientHeight,
              inner.width / frame.clientWidth];
          })"""
    )
    return found


def looks(view: View, left: float, top: float, zoom: float) -> None:
    """All pictures, those under the wipe too, show one part; the address has it."""
    found = frames(view)
    assert len(found) == 5
    for one in found:
        # A pointer's place counts the frame's border of a pixel, of some 350.
        assert one == pytest.approx([left, top, zoom], rel=0.002, abs=0.01), found


def hold(view: View, frames: str, number: int = 0) -> dict[str, float]:
    """Where a frame is on the screen, once it rests: what is scrolled past is drawn, and grows."""
    frame = view.page.locator(frames).nth(number)
    before, box = None, frame.bounding_box()
    while box != before:
        frame.scroll_into_view_if_needed()
        view.page.wait_for_timeout(200)
        before, box = box, frame.bounding_box()
    assert box is not None
    return {key: box[key] for key in ("x", "y", "width", "height")}


def test_all_pictures_are_zoomed_and_moved_as_one(few: Path, view: Opener) -> None:
    opened = view(few)
    looks(opened, 0, 0, 1)
    closer, whole = (opened.page.locator(f"#zoom [data-zoom={how}]") for how in ("in", "reset"))
    closer.click()
    looks(opened, -0.25, -0.25, 1.5)  # about the middle
    opened.page.locator("#zoom [data-zoom=out]").click()
    looks(opened, 0, 0, 1)
    # The wheel about where it points, with Ctrl alone: that place stays under the pointer.
    box = hold(opened, BELOW, 1)
    opened.page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.75 * box["height"])
    opened.page.mouse.wheel(0, -1)
    looks(opened, 0, 0, 1)
    box = hold(opened, BELOW, 1)
    opened.page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.75 * box["height"])
    opened.page.keyboard.down("Control")
    for turn in range(1, 5):
        opened.page.mouse.wheel(0, -100)
        opened.settled(f"Math.abs(page.state.zoom - 1.2 ** {turn}) < 1e-9")
    opened.page.keyboard.up("Control")
    zoom = 1.2**4
    left, top = 0.25 * (1 - zoom), 0.75 * (1 - zoom)
    looks(opened, left, top, zoom)
    # A hand on one moves all of them, and none beyond its edge.
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.drag(x, y, x + 0.1 * box["width"], y + 0.2 * box["height"])
    looks(opened, left + 0.1, top + 0.2, zoom)
    opened.page.mouse.move(x, y)  # which was let go of
    looks(opened, left + 0.1, top + 0.2, zoom)
    opened.drag(x, y, x + box["width"], y - 3 * box["height"])
    looks(opened, 0, 1 - zoom, zoom)
    opened.eval("page.address()")  # which is written a little later, else
    second = view(few, opened.eval("location.hash").lstrip("#"))
    looks(second, 0, 1 - zoom, zoom)
    whole.click()
    looks(opened, 0, 0, 1)
    hold(opened, BELOW, 2)
    opened.page.locator(BELOW).nth(2).dblclick()
    looks(opened, -0.5, -0.5, 2)


def test_all_pictures_are_zoomed_and_moved_by_keyboard(few: Path, view: Opener) -> None:
    opened = view(few)
    opened.page.locator(".wipe .frame").focus()
    for key, expected in (
        ("+", (-0.25, -0.25, 1.5)), ("ArrowLeft", (-0.15, -0.25, 1.5)),
        ("ArrowDown", (-0.15, -0.35, 1.5)), ("ArrowDown", (-0.15, -0.45, 1.5)),
        ("ArrowDown", (-0.15, -0.5, 1.5)), ("ArrowRight", (-0.25, -0.5, 1.5)),
        ("ArrowUp", (-0.25, -0.4, 1.5)), ("-", (0, 0, 1)), ("ArrowLeft", (0, 0, 1)),
        ("+", (-0.25, -0.25, 1.5)), ("Escape", (0, 0, 1)),
    ):  # fmt: skip
        opened.page.keyboard.press(key)
        looks(opened, *expected)
    for _ in range(9):
        opened.page.keyboard.press("+")
    looks(opened, -7.5, -7.5, 16)  # and no closer


def test_where_nothing_is_zoomed_a_drag_moves_the_wipe(few: Path, view: Opener) -> None:
    opened = view(few)
    box = hold(opened, ".wipe .frame")
    y = box["y"] + box["height"] / 2
    opened.drag(box["x"] + box["width"] / 2, y, box["x"] + box["width"] / 5, y)
    assert opened.eval("page.state.wipe") == pytest.approx(20, abs=1)
    looks(opened, 0, 0, 1)


def test_it_prints(few: Path, view: Opener) -> None:
    opened = view(few)
    opened.page.emulate_media(media="print")
    assert not opened.page.get_by_test_id("export-csv").is_visible()
    assert opened.page.get_by_test_id("run-table").is_visible()
    assert len(opened.page.pdf()) > 10_000


def test_on_paper_no_table_is_cut(page: Path, view: Opener) -> None:
    opened = view(page, width=718)  # of A4 between its margins
    opened.page.get_by_test_id("only-differences").uncheck()
    opened.page.emulate_media(media="print")
    opened.eval("dispatchEvent(new Event('beforeprint'))")
    assert opened.eval("document.scrollingElement.scrollWidth") <= 718
    wide = "[...document.querySelectorAll('.scroll')].filter((s) => s.checkVisibility() "
    assert opened.eval(wide + "&& s.scrollWidth > s.clientWidth + 1 && s.querySelector('table'))"
                       ".map((s) => s.getAttribute('aria-label'))") == []  # fmt: skip


def test_without_programs_it_can_be_read(few: Path, view: Opener, browser: object) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)  # type: ignore[attr-defined]
    try:
        plain = context.new_page()
        plain.goto(few.resolve().as_uri())
        assert "run-1" in plain.inner_text("#run-table")
        assert not plain.get_by_test_id("export-csv").is_visible()
    finally:
        context.close()


def test_one_run_beside_another_alone(tmp_path: Path, view: Opener) -> None:
    one = snapshot(0)
    opened = view(written(tmp_path, [one, replace(one, name="same")]))
    assert "No difference" in opened.page.inner_text("main")
    assert opened.shown_rows() == [0, 1]
