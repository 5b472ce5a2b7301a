"""The comparison's page: self-contained, nothing but text where names stand, equal for equal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from geocore.errors import UserError
from geocore.report import pictures as pictures_module
from geocore.report.comparison import compare
from geocore.report.page import comparison_page
from geocore.report.snapshot import Snapshot
from tests.report.reader import Page
from tests.report.scene import png

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}"
GATE = {"metric": "accuracy", "value": 0.95, "bound": 0.9, "sense": "min", "passed": True}
CURVE = {"epoch": [0.0, 1.0, 2.0], "val_nll": [2.3, 0.9, 0.4]}


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


def written(snapshots: Sequence[Snapshot]) -> str:
    return comparison_page(compare(snapshots), snapshots)


def test_it_is_one_file_that_runs_and_fetches_nothing() -> None:
    html = written([snapshot(), other()])
    page = Page(html)
    assert page.faults == []
    assert not page.names() & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert page.fetched() == set()
    assert page.handlers() == set()
    policy = [a["content"] for tag, a in page.tags if "http-equiv" in a]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert "url(" not in html
    assert "@import" not in html
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert {t[1:] for t in page.attributes("href")} <= set(ids)
    assert set(page.attributes("aria-labelledby")) <= set(ids)


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
    html = written([evil, snapshot(), replace(evil, pictures={f"{EVIL}/{EVIL}.png": png(2)})])
    page = Page(html)
    assert page.faults == []
    assert "script" not in page.names()
    assert page.handlers() == set()
    assert page.fetched() == set()
    assert "49" not in page.text.split()
    assert "<script" not in html
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
    assert "Parameters" not in page.text
    assert "1 with one version only" in page.text


def test_equal_input_gives_equal_bytes() -> None:
    assert written([snapshot(), other()]) == written([snapshot(), other()])


def test_three_and_more_with_what_is_missing() -> None:
    bare = Snapshot("bare", "run", scopes={"params": "train"})
    many = [snapshot(), other(), bare, *(replace(other(), name=f"r{n}") for n in range(9))]
    page = Page(written(many))
    assert page.faults == []
    assert "main, branch, bare, r0" in page.text
    assert "not recorded" in page.text
    assert "absent" in page.text
    assert any("dashed" in kind for kind in page.attributes("class"))
    assert "nan" not in " ".join(page.attributes("d")).lower()


def test_pictures_that_are_too_heavy_are_said_to_be_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pictures_module, "_BUDGET", 10)
    page = Page(written([snapshot(), other()]))
    assert page.text.count("Left out: the page would be too heavy.") == 2
    assert "img" not in page.names()


def test_without_jinja2_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UserError) as caught:
        written([snapshot(), other()])
    assert caught.value.lines == (
        "jinja2 is not installed, and a page needs it: pip install 'geocore[report]'",
    )
