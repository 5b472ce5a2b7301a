"""Progress goes to standard error, says how long still, and can be silent."""

from __future__ import annotations

import sys

import pytest

from geocore.pipeline.progress import Pace, Progress, duration


class Clock:
    """Seconds that go by when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def told(
    capsys: pytest.CaptureFixture[str], total: int, seconds: float, begin: int = 0
) -> list[str]:
    """The lines of work whose steps take ``seconds`` each."""
    clock = Clock()
    with Progress(clock=clock).bar("work", total) as bar:
        if begin:
            bar.start_at(begin)
        for _ in range(total - begin):
            clock.now += seconds
            bar.advance(note="n")
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_short_work_is_one_line_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert told(capsys, 3, 0.1) == ["work: 3/3 in 0.3 s; n"]


def test_lines_say_how_many_how_long_and_how_long_still(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert told(capsys, 10, 4.0) == [
        "work: 3/10, 30 %, 12 s, about 28 s left; n",
        "work: 6/10, 60 %, 24 s, about 16 s left; n",
        "work: 9/10, 90 %, 36 s, about 4.0 s left; n",
        "work: 10/10 in 40 s; n",
    ]


def test_a_long_work_keeps_its_log_short(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, 20 * 3600, 1.0)
    assert len(lines) < 300, "20 hours"
    assert lines[-2].startswith("work: 719"), "not more than five minutes without a line"


def test_what_was_there_before_counts_as_no_pace(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, 1000, 1.0, begin=980)
    assert lines == ["work: 990/1000, 99 %, 10 s, about 10 s left; n", "work: 1000/1000 in 20 s; n"]


def test_an_estimate_goes_by_the_recent_past() -> None:
    clock, done = Clock(), 0
    pace = Pace(2000, clock)
    assert pace.words(0) == ""
    for seconds, steps in ((0.1, 1000), (1.0, 300)):
        for _ in range(steps):
            clock.now += seconds
            done += 1
            pace.see(done)
    assert pace.left(done) == pytest.approx(700.0)
    assert pace.words(2000) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"),
        (200, "3 min 20 s"), (840, "14 min"), (3569, "59 min"), (3590, "1 h"), (7500, "2 h 5 min"),
        (50000, "14 h"), (86399, "1 d"), (90000, "1 d 1 h"),
    ],
)  # fmt: skip
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_bar_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    clock = Clock()
    with Progress(clock=clock).bar("limit: [red]members[/red]", 4) as bar:
        for _ in range(3):
            clock.now += 60
            bar.advance(note="chunk [2]")
    captured = capsys.readouterr()
    assert captured.out == ""
    for words in ("limit: [red]members[/red]", "3/4", "about 1 min left", "chunk [2]"):
        assert words in captured.err


def test_silent(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(shown=False)
    progress.say("hidden")
    with progress.bar("work", 2) as bar:
        bar.start_at(1)
        bar.advance()
        assert bar.done == 2
    assert capsys.readouterr() == ("", "")
