"""Calls side by side: all of them, and none after the first that failed."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from geocore.runs.at_once import at_once


def test_every_call_comes_with_its_place() -> None:
    assert sorted(at_once([partial(pow, n, 2) for n in range(5)], 2)) == [
        (n, n * n) for n in range(5)
    ]
    assert list(at_once([], 1)) == []


def test_they_work_at_once_and_begin_alike() -> None:
    meeting, begun = threading.Barrier(2, timeout=30), []
    found = dict(at_once([meeting.wait] * 2, 2, begin=lambda: begun.append(1)))
    assert sorted(found.values()) == [0, 1] and len(begun) == 2


def test_the_first_that_fails_ends_all_once_those_under_way_have_ended() -> None:
    failed, ended = threading.Event(), []

    def fail() -> None:
        failed.set()
        raise KeyError("x")

    def under_way() -> None:
        assert failed.wait(30)
        ended.append("under way")

    def never() -> None:
        ended.append("never")

    with pytest.raises(KeyError):
        list(at_once([under_way, fail, *[never] * 50], 2))
    assert ended.count("under way") == 1
    assert ended.count("never") < 50


def test_none_is_begun_where_nobody_takes_the_rest() -> None:
    made: list[int] = []

    def call(number: int) -> None:
        made.append(number)
        time.sleep(0.02)  # all of them would take 20 s

    found = at_once([partial(call, n) for n in range(1000)], 1)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert len(made) < 1000
