"""Work in another process: its answer, what it tells, its mistakes; nobody is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import geocore
from geocore.ensembles.conversation import ask, opened
from geocore.errors import UserError

WHO = "the worker"
MODULE = "squares"
TEXT = """
import os, sys
from geocore.errors import UserError
from geocore.ensembles.conversation import serve

def work(request, say):
    if "mistake" in request:
        raise UserError("p is 2; expected at most 1", "and so on")
    if "die" in request:
        os._exit(7)
    while "forever" in request:
        say("begun")
    for number in request["numbers"]:
        say([number, "squared"])
    return {"sum": sum(number**2 for number in request["numbers"]), "x": os.environ.get("X")}

sys.exit(serve(work))
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{MODULE}.py").write_text(TEXT, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def asked(request: dict[str, Any], told: list[Any], **variables: str) -> Any:
    with opened(MODULE, variables) as process:
        return ask(process, request, told.append, WHO)


def test_the_answer_and_what_is_told() -> None:
    told: list[Any] = []
    assert asked({"numbers": [2, 3]}, told, X="seen") == {"sum": 13, "x": "seen"}
    assert told == [[2, "squared"], [3, "squared"]]


def test_a_mistake_there_is_the_same_one_here() -> None:
    with pytest.raises(UserError) as caught:
        asked({"mistake": True}, [])
    assert caught.value.lines == ("p is 2; expected at most 1", "and so on")


def test_a_death_is_told() -> None:
    with pytest.raises(RuntimeError, match="the worker ended with code 7; expected an answer"):
        asked({"die": True}, [])


def test_who_is_no_longer_asked_for_ends() -> None:
    with opened(MODULE) as process:

        def stop(told: Any) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            ask(process, {"forever": True}, stop, WHO)
        assert process.poll() is None, "it works on"
    assert process.poll() == -9


def test_it_ends_with_whoever_asked() -> None:
    command = [sys.executable, "-m", MODULE]
    path = os.pathsep.join([str(Path(geocore.__file__).parents[1]), os.environ["PYTHONPATH"]])
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write('{"forever": true}\n')
        process.stdin.flush()
        assert process.stdout.readline() == '{"told": "begun"}\n'
        process.stdin.close()
        assert process.wait(timeout=20) == 1
