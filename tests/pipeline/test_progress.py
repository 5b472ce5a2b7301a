"""Progress goes to standard error, and can be silent."""

from __future__ import annotations

import pytest

from geocore.pipeline.progress import Progress


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress().bar("work", 3) as bar:
        for _ in range(3):
            bar.advance(note="n")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "work: 3/3 n\n"


def test_silent(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(shown=False)
    progress.say("hidden")
    with progress.bar("work", 2) as bar:
        bar.start_at(1)
        bar.advance()
        assert bar.done == 2
    assert capsys.readouterr() == ("", "")
