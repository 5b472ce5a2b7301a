"""A tethered command ends with whoever started it, and its output comes line by line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from flows.tethered import run_tethered
from tests.flows.project import ROOT, user_environment

# A command with a child that does not hear Ctrl-C.
STUBBORN = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", '''
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("child", flush=True)
time.sleep(60)
'''])
time.sleep(60)
"""
# Whoever starts a command: hands its lines on, and in the end tells what came of it.
OWNER = """
import json, os, pathlib, sys
from flows.tethered import run_tethered
ended = run_tethered([sys.executable, "-c", sys.argv[1]], folder=pathlib.Path.cwd(),
                     environment=os.environ, say=lambda line: print(line, flush=True))
print(json.dumps(ended))
"""


def start(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OWNER, code],
        cwd=ROOT,
        env=user_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "import sys; print('one', flush=True); print('two', file=sys.stderr); exit(255)",
            [255, ["one", "two"]],
        ),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\n')", [0, ["\N{REPLACEMENT CHARACTER}"]]),
        ("import os; os.kill(os.getpid(), 9)", [-9, []]),
        ("import os; os.kill(os.getpid(), 15)", [-15, []]),
    ],
)
def test_exit_code_and_lines(code: str, expected: list[Any]) -> None:
    told, _ = start(code).communicate(timeout=60)
    *said, ended = told.splitlines()
    assert json.loads(ended) == expected
    assert said == expected[1]


def test_a_listener_that_is_gone_ends_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[str] = []

    def say(line: str) -> None:
        heard.append(line)
        raise BrokenPipeError

    # More than a pipe holds: were it drained no longer, the command would never end.
    code = "for n in range(20000): print(n, flush=n == 0)"
    command = [sys.executable, "-c", code]
    ended = run_tethered(command, folder=ROOT, environment=user_environment(), say=say)
    assert (ended[0], ended[1][-1], heard) == (0, "19999", ["0"])
    assert capfd.readouterr().err == ""


@pytest.fixture
def owner() -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """Somebody who has started the stubborn command, and all the processes that this takes."""
    process = start(STUBBORN)
    family: list[psutil.Process] = []
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "child\n"
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 3  # the holder, the command, its child
        yield process, family
    finally:
        process.kill()
        for member in family:
            if member.is_running():
                member.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_goes_on_when_its_owner_ends(
    owner: tuple[subprocess.Popen[str], list[psutil.Process]], number: signal.Signals
) -> None:
    process, family = owner
    process.send_signal(number)
    process.wait(timeout=60)
    # Whoever could still act has waited for the end.
    _, alive = psutil.wait_procs(family, timeout=1 if number == signal.SIGINT else 20)
    assert alive == []
