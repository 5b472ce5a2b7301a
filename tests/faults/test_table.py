"""The page of reliability: its sums are those of the rows, and the committed one says no loss."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults import rows as module
from tests.faults.rows import Row, generic, read_rows, record
from tests.faults.table import PAGE, page

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


def test_a_row_takes_the_place_of_an_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", tmp_path)
    for row in (Row("kill -9", "train", 4, wrong=1), *ROWS):
        record(row)
    assert list(read_rows(tmp_path)) == sorted(ROWS, key=lambda row: row.fault)
    assert [row.survived for row in read_rows(tmp_path)] == [False, True]
    assert not Row("kill -9", "train", 0).survived


def test_messages_are_the_same_in_every_run() -> None:
    key = "0123456789abcdef" * 2
    assert generic(f"x/y/{key}: at step 3 of {key} (12 KiB free); 1.5e-3") == (
        "PATH: at step N of KEY (N KiB free); N"
    )


def test_the_committed_page_says_no_loss_and_no_wrong_result() -> None:
    last = PAGE.read_text(encoding="utf-8").rstrip().splitlines()[-1]
    found = re.fullmatch(r"([\d,]+) injections: 0 lost, 0 wrong, (\d+) unclear\.", last)
    assert found and int(found[1].replace(",", "")) > 100_000
