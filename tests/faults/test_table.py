"""The page of reliability: its sums are those of the rows, and the committed one says no loss."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import pytest

from geocore.pipeline.dvcfile import read_dvc
from tests.faults.rows import Book, Row, generic, read_rows
from tests.faults.stages import CHECKPOINTED, PIPELINE, STAGES, STORED, TABLE_OF
from tests.faults.table import PAGE, page
from tests.faults.whole import ROOT, Whole, state

ROWS = [
    Row("kill -9", "train", 5, redone=1.5),
    Row("disk full", "fetch", 3, lost=1, message="error: a|b `c`"),
]


def test_a_line_a_row_and_the_sums() -> None:
    lines = page(ROWS).splitlines()
    assert lines[-3] == "| disk full | `fetch` | 3 | 1 | 0 | 0 | `error: a/b 'c'` |"
    assert lines[-4] == "| kill -9 | `train` | 5 | 0 | 0 | 0 |  |"
    assert lines[-1] == "8 injections: 1 lost, 0 wrong, 0 unclear."


def test_seconds_stay_out_of_the_page() -> None:
    assert page(ROWS) == page([Row("kill -9", "train", 5), ROWS[1]])


def test_a_row_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    book = Book()
    book.folder = tmp_path
    for row in (Row("kill -9", "train", 4, wrong=1), *ROWS):
        book.record(row)
    assert list(read_rows(tmp_path)) == sorted(ROWS, key=lambda row: row.fault)
    assert [row.survived for row in read_rows(tmp_path)] == [False, True]
    assert not Row("kill -9", "train", 0).survived


def report(test: str, outcome: Literal["passed", "failed"]) -> pytest.TestReport:
    return pytest.TestReport(test, ("x", 0, "x"), {}, outcome, None, "call")


@pytest.mark.parametrize(
    ("how", "now", "goes_on"),
    [
        ("stopped", "a", True),
        ("stopped", "b", False),
        ("failed", "a", False),
        ("ended", "a", False),
    ],
)
def test_a_whole_run_that_was_stopped_goes_on_and_any_other_begins_anew(
    tmp_path: Path, how: str, now: str, goes_on: bool
) -> None:
    whole, book = Whole(tmp_path, "a"), Book()
    book.folder = tmp_path
    if how == "failed":
        whole.pytest_runtest_logreport(report("test_kill.py::y", "failed"))
    whole.pytest_runtest_logreport(report("test_kill.py::x", "passed"))
    book.record(ROWS[0])
    if how == "ended":
        whole.end()
    assert set(Whole(tmp_path, now).passed) == ({"test_kill.py::x"} if goes_on else set())
    assert len(list(read_rows(tmp_path))) == goes_on


def test_another_seed_or_another_code_is_another_run(tmp_path: Path) -> None:
    (tmp_path / "geocore").mkdir()
    (tmp_path / "geocore/x.py").write_text("a = 1")
    first = state(tmp_path, "0")
    assert state(tmp_path, "0") == first != state(tmp_path, "1")
    (tmp_path / "geocore/x.py").write_text("a = 2")
    assert state(tmp_path, "0") != first


def test_every_stage_is_struck() -> None:
    """A stage that comes to the pipeline, or a verb that comes to the studies, comes here too."""
    assert set(read_dvc(ROOT)) == set(PIPELINE)
    flows, bodies = (
        {path.stem for path in (ROOT / folder).glob("*.py")}
        for folder in ("flows", "geocore/pipeline")
    )
    assert (flows & bodies) - {"__init__", "stage"} == set(STAGES)
    assert set(CHECKPOINTED) < set(STORED) and set(TABLE_OF) < set(STORED)


def test_messages_are_the_same_in_every_run() -> None:
    key = "0123456789abcdef" * 2
    assert generic(f"x/y/{key}: at step 3 of {key} (12 KiB free); 1.5e-3") == (
        "PATH: at step N of KEY (N KiB free); N"
    )


def test_the_committed_page_says_no_loss_no_wrong_result_and_no_riddle() -> None:
    last = PAGE.read_text(encoding="utf-8").rstrip().splitlines()[-1]
    found = re.fullmatch(r"([\d,]+) injections: 0 lost, 0 wrong, 0 unclear\.", last)
    assert found and int(found[1].replace(",", "")) > 100_000
