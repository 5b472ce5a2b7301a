"""Stages drawn: edges from what was recorded, everything right of what it reads from."""

from __future__ import annotations

from typing import Any

import pytest

from geocore.report.panels.graph import STATES, draw, edges_of, in_order, state_of
from tests.report.panels.scenes import stage

PIPELINE = {
    "gate": ["report", "evaluate"],
    "fetch": [],
    "train": ["fetch"],
    "evaluate": ["fetch", "train"],
    "report": ["evaluate", "train"],
}
LOCK = {
    "fetch": {"deps": {}, "outs": {"data/raw": "a"}},
    "train": {"deps": {"data/raw": "a"}, "outs": {"results/train": "b"}},
    "look": {"deps": {"results/train/model.json": "c"}, "outs": {}},
    "sum": {"deps": {"results": "d", "data/rawest": "e"}, "outs": {}},
}


def test_paths_tell_who_reads_from_whom() -> None:
    edges = edges_of({"lock": LOCK})
    assert edges == {"fetch": [], "train": ["fetch"], "look": ["train"], "sum": ["train"]}


def test_digests_tell_it_of_runs_that_no_lock_names() -> None:
    stages = {
        "fetch": stage("f", outs={"data/raw": "1"}),
        "train": stage("t", inputs={"raw": "1"}, outs={"results/train/w": "2"}),
        "evaluate": stage("e", inputs={"weights": "2", "other": "9"}),
    }
    assert edges_of({"stages": stages}) == {"fetch": [], "train": ["fetch"], "evaluate": ["train"]}


def test_equal_files_of_locked_stages_are_no_edge() -> None:
    lock = {"a": {"deps": {}, "outs": {"x": "1"}}, "b": {"deps": {"y": "1"}, "outs": {}}}
    stages = {"a": stage("a", outs={"x": "1"}), "b": stage("b", inputs={"y": "1"})}
    assert edges_of({"lock": lock, "stages": stages}) == {"a": [], "b": []}


@pytest.mark.parametrize("record", [{}, {"stages": None, "lock": []}, {"lock": {"a": 3}}])
def test_records_that_say_nothing(record: dict[str, Any]) -> None:
    assert all(not sources for sources in edges_of(record).values())


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (None, "unknown"),
        ({}, "unknown"),
        ({"state": "strange"}, "unknown"),
        ({"state": "running"}, "running"),
        ({"state": "failed", "pieces": {"found": 1}}, "failed"),
        ({"state": "died"}, "failed"),
        ({"state": "done"}, "made"),
        ({"state": "done", "pieces": {"found": 3}}, "found"),
        ({"state": "done", "pieces": {"found": 3, "made": 1}}, "made"),
    ],
)
def test_states(told: dict[str, Any] | None, state: str) -> None:
    assert state_of(told) == state
    assert state in STATES


def test_every_stage_stands_right_of_all_that_it_reads_from() -> None:
    drawing = draw(PIPELINE, {"train": "found"})
    assert drawing is not None
    at = {node.name: node for node in drawing.nodes}
    assert {(a, b) for a, b, _ in drawing.arrows} == {
        (source, target) for target, sources in PIPELINE.items() for source in sources
    }
    for source, target, path in drawing.arrows:
        assert at[source].x + drawing.box[0] < at[target].x
        assert path.startswith(f"M{at[source].x + drawing.box[0]} {at[source].y + 21.0}")
        assert path.endswith(f"{at[target].x} {at[target].y + 21.0}")
    assert at["train"].state == "found" and at["gate"].state == "unknown"


def test_boxes_lie_inside_and_do_not_touch() -> None:
    wide = {"root": [], **{f"leaf{n}": ["root"] for n in range(7)}, "end": ["root", "leaf3"]}
    drawing = draw(wide, {})
    assert drawing is not None
    width, height = drawing.box
    for number, node in enumerate(drawing.nodes):
        assert 0 <= node.x <= drawing.width - width and 0 <= node.y <= drawing.height - height
        for other in drawing.nodes[:number]:
            assert abs(node.x - other.x) >= width or abs(node.y - other.y) >= height


def test_order_puts_sources_first() -> None:
    order = in_order(PIPELINE)
    assert all(order.index(s) < order.index(t) for t, several in PIPELINE.items() for s in several)
    assert sorted(order) == sorted(PIPELINE)


def test_circles_and_strangers_are_drawn_without_the_edge_that_closes_them() -> None:
    drawing = draw({"a": ["c"], "b": ["a"], "c": ["b", "elsewhere"]}, {})
    assert drawing is not None
    assert [(a, b) for a, b, _ in drawing.arrows] == [("a", "b"), ("b", "c")]


def test_nothing_and_too_much() -> None:
    assert draw({}, {}) is None
    assert draw({str(n): [] for n in range(81)}, {}) is None
    assert draw(PIPELINE, {}) == draw(PIPELINE, {})


def test_a_stage_of_another_study_is_named_by_it_below() -> None:
    drawing = draw({"project of digits/rotated_16": [], "train": []}, {"train": "made"})
    assert drawing is not None
    first, second = drawing.nodes
    assert (first.name, first.shown) == ("project of digits/rotated_16", "project")
    assert first.words == "not recorded, rotate…" and len(first.words) == 21
    assert (second.shown, second.words) == ("train", "computed")
