"""The comparison's page: self-contained, nothing but text where names stand, equal for equal."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from geocore.errors import UserError
from geocore.report import page as page_module
from geocore.report.comparison import compare
from geocore.report.page import comparison_page
from geocore.report.programs import Script, plotly
from geocore.report.snapshot import Snapshot
from tests.report.reader import Page
from tests.report.scene import png

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}"
GATE = {"metric": "accuracy", "value": 0.95, "bound": 0.9, "sense": "min", "passed": True}
CURVE = {"epoch": [0.0, 1.0, 2.0], "val_nll": [2.3, 0.9, 0.4]}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Plotly's place a line: the real one is 5 MB to take apart."""
    monkeypatch.setattr(page_module, "plotly", lambda: Script("plotly.min.js", "'use strict';"))


def snapshot(name: str = "main", **changes: Any) -> Snapshot:
    about: dict[str, Any] = {
        "commit": "c" * 40,
        "about": "a subject",
        "params": {"train.lr": 0.1, "train.epochs": 3},
        "metrics": {"evaluate.test.accuracy": 0.95, "evaluate.test.nll": 0.2},
        "gates": {"evaluate.accuracy_min": GATE},
        "code": {"geocore/a.py": "a" * 40},
        "data": {"data/raw": "b" * 32},
        "curves": {"train/curve.csv": CURVE},
        "pictures": {"evaluate/pictures/confusion.png": png(1)},
    }
    return Snapshot(name, "revision", **{**about, **changes})


def other(name: str = "branch") -> Snapshot:
    return snapshot(
        name,
        params={"train.lr": 0.2, "train.epochs": 3},
        metrics={"evaluate.test.accuracy": 0.85, "evaluate.test.nll": 0.1},
        gates={"evaluate.accuracy_min": {**GATE, "value": 0.85, "passed": False}},
        code={"geocore/a.py": "d" * 40},
        data={"data/raw": "e" * 32},
        curves={"train/curve.csv": {**CURVE, "val_nll": [2.0, 0.8, 0.3]}},
        pictures={"evaluate/pictures/confusion.png": png(2)},
    )


def written(snapshots: Sequence[Snapshot], *, everything: bool = False) -> str:
    return comparison_page(compare(snapshots, everything=everything), snapshots)


def told(page: Page) -> Any:
    """What the page's programs read."""
    (text,) = (text for about, text in page.scripts if about.get("type") == "application/json")
    return json.loads(text)


def test_it_is_one_file_that_fetches_nothing_and_runs_what_stands_in_it() -> None:
    html = written([snapshot(), other()])
    page = Page(html)
    assert page.faults == []
    assert not page.names() & {"link", "iframe", "object", "embed", "base", "form"}
    assert page.fetched() == set()
    assert page.handlers() == set()
    (policy,) = [str(a["content"]) for tag, a in page.tags if "http-equiv" in a]
    *rest, scripts = policy.split("; ")
    assert rest == [
        "default-src 'none'", "base-uri 'none'", "form-action 'none'",
        "img-src data: blob:", "style-src 'unsafe-inline'",
    ]  # fmt: skip
    digests = [hashlib.sha256(text.encode()).digest() for text in page.programs()]
    hashed = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    assert scripts.split() == ["script-src", *hashed]
    assert len(hashed) > 8
    assert "@import" not in html
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert {t[1:] for t in page.attributes("href")} <= set(ids)
    assert set(page.attributes("aria-labelledby")) <= set(ids)


def test_no_program_writes_html() -> None:
    html = written([snapshot(), other()])
    _, *own = Page(html).programs()
    assert len(own) > 8
    for text in own:
        assert '"use strict";' in text
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in text
    assert sum(len(text) for text in own) < 150_000


def test_the_hooks_of_the_page() -> None:
    hooks = set(Page(written([snapshot(), other(), other("third")])).attributes("data-testid"))
    assert {
        "run-table", "row-0", "row-2", "baseline-0", "baseline-2", "only-differences", "count",
        "coordinates", "curves", "pictures", "wipe", "theme", "export-csv", "export-json",
    } <= hooks  # fmt: skip


def test_plotly_stands_once_and_only_where_it_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    def large(snapshots: Sequence[Snapshot]) -> int:
        return sum(len(text) > 1_000_000 for text in Page(written(snapshots)).programs())

    monkeypatch.setattr(page_module, "plotly", plotly)

    bare = [replace(one, curves={}) for one in (snapshot(), other())]
    assert large([snapshot(), other()]) == 1
    assert large(bare) == 0
    assert large([*bare, replace(bare[1], name="third")]) == 1
    monkeypatch.setattr(page_module, "plotly", lambda: None)
    drawn = Page(written([snapshot(), other()]))
    assert "noscript" not in drawn.names()
    assert "path" in drawn.names()


def test_what_is_equal_stands_once_and_waits_for_the_switch() -> None:
    page = Page(written([snapshot(), other()], everything=True))
    (row,) = [about for tag, about in page.tags if tag == "tr" and about.get("data-column") == "0"]
    assert row["class"] == "equal"
    assert "train.epochs" in page.text
    assert "3 in all" in " ".join(page.text.split())
    columns = told(page)["columns"]
    assert [column["name"] for column in columns if not column["equal"]] == [
        "train.lr", "evaluate.accuracy_min", "evaluate.test.accuracy", "evaluate.test.nll",
    ]  # fmt: skip
    assert columns[0]["values"] == [3, 3]


def test_runs_that_differ_in_seeds_alone_have_a_mean_and_a_spread() -> None:
    def run(seed: int, accuracy: float) -> Snapshot:
        params = {"train.lr": 0.1, "train.seed": seed}
        metrics = {"evaluate.test.accuracy": accuracy}
        return snapshot(f"s{seed}", params=params, metrics=metrics)

    page = Page(written([run(0, 0.5), run(1, 0.7), replace(other(), name="apart")]))
    assert told(page)["groups"] == [[0, 1]]
    text = " ".join(page.text.split())
    assert "mean of 2 seeds ± standard deviation; seeds 0, 1" in text
    assert "0.6 ± 0.1414" in text


def test_the_table_of_runs_says_who_keeps_the_gates_in_words() -> None:
    both = {"a.x": GATE, "a.y": {**GATE, "passed": False}}
    runs = [snapshot(gates=both), snapshot("b", gates={}), other("c"), snapshot("d")]
    text = " ".join(Page(written(runs)).text.split())
    for words in ("1 of 2 fails", "none measured", "1 of 1 fails", "1 holds"):
        assert words in text


def test_twenty_runs_weigh_less_than_fifteen_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "plotly", plotly)
    heavy = b"\x89PNG\r\n\x1a\n" + bytes(120_000)
    runs = [
        replace(
            snapshot(f"r{number}", metrics={f"evaluate.x.m{k}": k + number for k in range(400)}),
            pictures={f"evaluate/{k}.png": heavy + bytes([number]) for k in range(8)},
        )
        for number in range(20)
    ]
    html = written(runs, everything=True)
    assert len(html.encode()) < 15e6
    assert "too heavy" in html


def test_it_shows_what_differs() -> None:
    text = " ".join(Page(written([snapshot(), other()])).text.split())
    for words in (
        "main against branch", "baseline", "train.lr", "0.1 0.2", "0.95 holds", "0.85 fails",
        "at least 0.9", "0.85 −0.1 worse", "0.1 −0.1 better", "geocore/a.py aaaaaaa ddddddd",
        "data/raw bbbbbbb eeeeeee", "evaluate: confusion", "epoch 2", "cccccccccccc", "a subject",
        "Equal in all of them: 1 parameter, 0 metrics",
    ):  # fmt: skip
        assert words in text, words
    assert "train.epochs" not in text


def test_names_and_values_stay_text_everywhere() -> None:
    evil = snapshot(
        EVIL,
        commit=EVIL,
        about=EVIL,
        notes=(EVIL,),
        params={EVIL: EVIL},
        metrics={f"{EVIL}.x.accuracy": 0.5, "evaluate.test.accuracy": 0.1},
        gates={EVIL: {**GATE, "metric": EVIL, "sense": EVIL, "passed": False}},
        code={EVIL: EVIL},
        data={EVIL: EVIL},
        curves={f"{EVIL}/curve.csv": {"epoch": [0.0, 1.0], f"{EVIL} nll": [2.0, 1.0]}},
        pictures={f"{EVIL}/{EVIL}.png": png(1)},
    )
    seeded = replace(evil, name="seeded", params={EVIL: EVIL, "train.seed": EVIL})
    again = replace(seeded, params={EVIL: EVIL, "train.seed": 1})
    html = written(
        [evil, snapshot(), replace(evil, pictures={f"{EVIL}/{EVIL}.png": png(2)}), seeded, again],
        everything=True,
    )
    page = Page(html)
    assert page.faults == []
    harmless = Page(written([snapshot()] * 5))
    assert len(page.scripts) == len(harmless.scripts)
    assert page.programs() == harmless.programs()
    assert told(page)["runs"][0]["name"] == EVIL
    assert page.handlers() == set()
    assert page.fetched() == set()
    assert "49" not in page.text.split()
    assert "<script>alert" not in html.replace("<script>" + page.programs()[0], "")
    for tag in ("title", "h1"):
        assert tag in page.names()
    assert page.text.count("<script>alert(1)</script>") > 20
    assert any(EVIL in alternative for alternative in page.attributes("alt"))


def test_characters_that_act_are_shown_as_what_they_are() -> None:
    page = Page(written([snapshot("a\u202eb\x1b[31m\udcff"), snapshot("b")]))
    assert "a\\u202eb\\x1b[31m\\udcff" in page.text


def test_equal_snapshots_make_a_page_that_says_so() -> None:
    page = Page(written([snapshot("a"), snapshot("b")]))
    assert "No difference" in page.text
    assert "train.lr" not in page.text
    assert "1 with one version only" in page.text


def links(html: str) -> dict[str, bool]:
    """The navigation's words, and whether a link is there on request alone."""
    inside = html.split("<nav", 1)[1].split("</nav>", 1)[0].split("<li")[1:]
    return {item.split(">")[2].split("<")[0]: 'class="equal"' in item for item in inside}


def test_a_section_has_a_link_whether_it_differs_or_not() -> None:
    held, failed = {**GATE}, {**GATE, "value": 0.85, "passed": False}
    same = [snapshot("a", gates={"x.a": held, "x.b": failed}), snapshot("b", gates={
        "x.a": held, "x.b": failed})]  # fmt: skip
    found = links(written(same, everything=True))
    assert found["1 gate"] is False, "it holds nowhere, and is shown"
    assert found["2 parameters"] and found["2 metrics"] and found["1 file of code"]
    found = links(written([snapshot("a"), snapshot("b")], everything=True))
    assert found["1 gate"] is True
    found = links(written([snapshot(), other()], everything=True))
    assert found["1 parameter"] is False and found["2 metrics"] is False


def test_what_studies_have_in_common_is_said_once() -> None:
    pair = [snapshot(f"studies/d/{name}", study=f"studies/d/{name}") for name in ("x/a", "b")]
    html = written(pair)
    page = Page(html)
    assert page.faults == [] and "x/a against b" in page.text
    assert page.text.count("studies/d") == 1
    assert [run["name"] for run in told(page)["runs"]] == ["x/a", "b"]
    mixed = [pair[0], snapshot("studies/d/b")]  # a branch of that name is no study
    assert "studies/d/x/a against studies/d/b" in Page(written(mixed)).text


def test_many_notes_are_folded() -> None:
    def opened(count: int) -> list[str | None]:
        notes = tuple(f"note {n}" for n in range(count))
        page = Page(written([snapshot(notes=notes), other()]))
        assert ("note 0" in page.text) == (count > 0)
        return [
            pairs.get("open", "closed")
            for tag, pairs in page.tags
            if tag == "details" and pairs.get("class") == "notes"
        ]

    assert opened(0) == []
    assert opened(3) == [None], "an attribute without a value"
    assert opened(4) == ["closed"]


def test_gates_bounds_and_digests_are_there_for_the_export() -> None:
    data = told(Page(written([snapshot(), other()], everything=True)))
    (gate,) = [column for column in data["columns"] if column["section"] == "gates"]
    assert gate["gates"] == [
        {"sense": "min", "bound": 0.9, "passed": True},
        {"sense": "min", "bound": 0.9, "passed": False},
    ]
    assert {file["name"]: file["values"] for file in data["files"]} == {
        "geocore/a.py": ["a" * 40, "d" * 40], "data/raw": ["b" * 32, "e" * 32]
    }  # fmt: skip


def test_equal_input_gives_equal_bytes() -> None:
    assert written([snapshot(), other()]) == written([snapshot(), other()])


def test_three_and_more_with_what_is_missing() -> None:
    bare = Snapshot("bare", "run", scopes={"params": "train"})
    many = [snapshot(), other(), bare, *(replace(other(), name=f"r{n}") for n in range(9))]
    page = Page(written(many))
    assert page.faults == []
    assert "12 runs compared" in page.text
    assert "not recorded" in page.text
    assert "absent" in page.text
    assert any("round1" in kind for kind in page.attributes("class"))
    assert "nan" not in " ".join(page.attributes("d")).lower()


def test_pictures_that_are_too_heavy_are_said_to_be_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_module, "_PICTURES", (10, 10))
    page = Page(written([snapshot(), other()]))
    assert page.text.count("Left out: the page would be too heavy.") == 2
    assert page.fetched() == set()
    assert not any(source.startswith("data:") for source in page.attributes("src"))


def test_without_jinja2_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UserError) as caught:
        written([snapshot(), other()])
    assert caught.value.lines == (
        "jinja2 is not installed, and a page needs it: pip install 'geocore[report]'",
    )
