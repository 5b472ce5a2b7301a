"""Rows in words, and their groups."""

from __future__ import annotations

from geocore.report.comparison import Difference, Missing, compare
from geocore.report.rows import Row, gate_row, grouped, row_of
from geocore.report.snapshot import Snapshot

HELD = {"metric": "nll", "value": 0.2, "bound": 0.3, "sense": "max", "passed": True}


def test_the_first_is_the_baseline_and_has_no_delta() -> None:
    pair = [Snapshot("a", "run", metrics={"t.nll": v}) for v in (0.5, 0.25)]
    (found,) = compare(pair).metrics
    row = row_of("metrics", found, name="loss", about="of all")
    assert (row.name, row.about) == ("loss", "of all")
    assert [(cell.text, cell.delta, cell.verdict) for cell in row.cells] == [
        ("0.5", "", ""),
        ("0.25", "−0.25", "better"),
    ]


def test_a_gate_s_bound_stands_once_if_it_is_one() -> None:
    row = gate_row(Difference("e.nll_max", (HELD, Missing.ABSENT, {**HELD, "passed": False})))
    assert row.about == "nll at most 0.3"
    assert [cell.text for cell in row.cells] == ["0.2 holds", "absent", "0.2 fails"]
    assert [cell.verdict for cell in row.cells] == ["better", "", "worse"]
    assert row.cells[1].missing
    moved = gate_row(Difference("e.nll_max", (HELD, {**HELD, "bound": 0.4})))
    assert moved.about == "nll"
    assert [cell.text for cell in moved.cells] == [
        "0.2 holds, at most 0.3",
        "0.2 holds, at most 0.4",
    ]


def test_groups_by_the_first_two_words_the_test_split_first() -> None:
    names = ["a.b.c", "evaluate.test.nll", "evaluate.per_class.0.f1", "alone", "train.val_nll"]
    groups = grouped([Row(name, "", ()) for name in names])
    assert [(group.name, [row.name for row in group.rows]) for group in groups] == [
        ("evaluate.test", ["nll"]),
        ("", ["alone"]),
        ("a.b", ["c"]),
        ("evaluate.per_class", ["0.f1"]),
        ("train", ["val_nll"]),
    ]
    many = grouped([Row(f"a.b.{n}", "", ()) for n in range(20)])
    assert [group.folded for group in (*groups, *many)] == [False] * 5 + [True]


def test_what_is_equal_has_one_value() -> None:
    pair = [Snapshot(n, "run", metrics={"t.nll": 0.5, "t.n": v}) for n, v in (("a", 1), ("b", 2))]
    n, nll = (row_of("metrics", row) for row in compare(pair, everything=True).metrics)
    assert (n.equal, n.same) == (False, "")
    assert (nll.equal, nll.same) == (True, "0.5")
    unknown = row_of("params", Difference("a", (1, Missing.UNKNOWN)))
    assert (unknown.equal, unknown.same) == (True, "")
    assert not gate_row(Difference("e.x", ({**HELD, "passed": False},) * 2)).equal
    assert gate_row(Difference("e.x", (HELD, HELD))).equal
