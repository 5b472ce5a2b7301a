"""Kernel locks: one holder at a time, named to who waits, gone with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from geocore.errors import UserError
from geocore.runs import locks
from geocore.runs.locks import hold

_HOLD = """
import os, sys, time
from pathlib import Path
from geocore.runs.locks import hold
with hold(Path(sys.argv[1]), "train"):
    if sys.argv[2] == "fork":
        ready, tell = os.pipe()
        if os.fork() == 0:
            os.write(tell, b"x")
            os.close(1)
            time.sleep(60)
            os._exit(0)
        os.read(ready, 1)
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(path: Path, how: str = "plain") -> Iterator[subprocess.Popen[str]]:
    """A process group that holds the lock until its stdin is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_who_cannot_wait_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "x.lock"
    with holder(path) as process:
        with pytest.raises(UserError) as caught, hold(path, "me", wait=False, what="piece 1a2b.."):
            pass
        assert str(caught.value) == f"piece 1a2b.. is held by 'train' (process {process.pid})"


def test_who_waits_is_told_once_and_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    lines: list[str] = []
    with holder(path) as process:

        def told(line: str) -> None:
            lines.append(line)
            assert process.stdin is not None
            process.stdin.close()

        with hold(path, "me", on_wait=told):
            assert process.wait(10) == 0
    assert lines == [f"x.lock is held by 'train' (process {process.pid}); waiting"]


@pytest.mark.parametrize("how", ["plain", "fork"])
def test_a_killed_holder_frees_the_lock_even_if_its_children_live(tmp_path: Path, how: str) -> None:
    path = tmp_path / "x.lock"
    with holder(path, how) as process:
        process.kill()
        process.wait()
        with hold(path, "me", wait=False):
            pass


def test_threads_exclude_one_another(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with hold(path, "second", on_wait=lambda _: waiting.set()):
            order.append("second")

    thread = threading.Thread(target=second)
    with hold(path, "first"):
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("closes", [True, False])
def test_a_child_forked_while_a_thread_waits_does_not_keep_the_lock(
    tmp_path: Path, closes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The child shares what the waiting thread has opened. It closes that if Python forked it; if a
    # library did, it does not, and the lock must still be free once it is let go here.
    if not closes:
        monkeypatch.setattr(locks._close_in_child, "__code__", (lambda: None).__code__)
    path = tmp_path / "x.lock"
    waiting = threading.Event()

    def second() -> None:
        with hold(path, "second", on_wait=lambda _: waiting.set()):
            pass

    thread = threading.Thread(target=second)
    with hold(path, "first"):
        thread.start()
        assert waiting.wait(10)
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
    try:
        thread.join(10)
        with hold(path, "third", wait=False):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_thread_does_not_wait_for_itself(tmp_path: Path) -> None:
    with (
        hold(tmp_path / "x", "me"),
        pytest.raises(RuntimeError, match="held by this very thread"),
        hold(tmp_path / "x", "me"),
    ):
        pass
    with hold(tmp_path / "x", "me again"):
        pass


def test_a_removed_file_is_not_a_second_lock(tmp_path: Path) -> None:
    # The waiter gets the lock of a file that nobody else can find any more: it has to start over.
    path = tmp_path / "x.lock"
    waiting, inside, leave = threading.Event(), threading.Event(), threading.Event()

    def second() -> None:
        with hold(path, "second", on_wait=lambda _: waiting.set()):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=second)
    with hold(path, "first"):
        thread.start()
        assert waiting.wait(10)
        path.unlink()
    assert inside.wait(10)
    with pytest.raises(UserError, match="held by 'second'"), hold(path, "third", wait=False):
        pass
    leave.set()
    thread.join(10)
