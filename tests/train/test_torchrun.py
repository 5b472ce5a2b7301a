"""How several processes are started, what they are told, and what is told of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from geocore.errors import UserError
from geocore.train.torchrun import Place, launch_words, place

ROOT = Path(__file__).parents[2]
STARTED = {
    "TORCHELASTIC_USE_AGENT_STORE": "True", "RANK": "1", "WORLD_SIZE": "3", "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1234",
}  # fmt: skip
LAUNCH = """
import sys
from geocore.train.torchrun import launch, launch_words
sys.exit(launch(launch_words(), "member", ["word"]))
"""


def test_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in STARTED:
        monkeypatch.delenv(name, raising=False)
    assert place() is None
    for name, value in STARTED.items():
        monkeypatch.setenv(name, value)
    assert place() == Place(1, 3, 1, 3, ("127.0.0.1", 1234), 0)
    monkeypatch.setenv("WORLD_SIZE", "1")  # of a torchrun of one
    assert place() is None


@pytest.mark.parametrize(("text", "words"), [("", None), ("1", None), (" --nnodes 2 ", 2)])
def test_words(monkeypatch: pytest.MonkeyPatch, text: str, words: int | None) -> None:
    monkeypatch.setenv("GEOCORE_TORCHRUN", text)
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    assert launch_words() == (words and ["--nnodes", str(words)])


def test_what_torchrun_has_started_starts_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one process of a torchrun of one is alone, and was asked for all the same."""
    monkeypatch.setenv("GEOCORE_TORCHRUN", "--nproc-per-node 1")
    for name, value in {**STARTED, "RANK": "0", "WORLD_SIZE": "1"}.items():
        monkeypatch.setenv(name, value)
    assert place() is None and launch_words() is None


def test_words_that_do_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOCORE_TORCHRUN", "--rdzv-id 'x")
    with pytest.raises(UserError, match=r"No closing quotation; expected words for torchrun"):
        launch_words()


@pytest.mark.parametrize("text", ["0", "two", "2.5"])
def test_no_words(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("GEOCORE_TORCHRUN", text)
    with pytest.raises(UserError, match=r"GEOCORE_TORCHRUN is .*; expected a number of processes"):
        launch_words()


def launched(folder: Path, member: str, asked: str = "2") -> subprocess.CompletedProcess[str]:
    """What becomes of ``GEOCORE_TORCHRUN=asked`` where ``member`` is the module to be run."""
    (folder / "member.py").write_text(member)
    dropped = (*STARTED, "OMP_NUM_THREADS")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    environment = {**kept, "GEOCORE_TORCHRUN": asked, "PYTHONPATH": f"{ROOT}:{folder}"}
    return subprocess.run(
        [sys.executable, "-c", LAUNCH],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_each_process_is_told_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All on this machine, and the store of torchrun on no other interface; no folder is left."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    member = """
import os, sys
from pathlib import Path
import psutil
from geocore.train.torchrun import place
here = place()
assert here.size == 2 and here.local == here.rank and here.loopback
assert sys.argv[1:] == ["word"] and int(os.environ["OMP_NUM_THREADS"]) >= 1
parent = psutil.Process(os.getppid())
places = {c.laddr.ip for c in parent.net_connections("inet") if c.status == "LISTEN"}
Path(f"place{here.rank}").write_text(str(sorted(places)))
"""
    done = launched(tmp_path, member)
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"place{rank}").read_text() for rank in (0, 1)] == ["['127.0.0.1']"] * 2
    assert not list(scratch.iterdir())


def test_the_exit_code_is_that_of_the_process_that_failed(tmp_path: Path) -> None:
    member = """
import sys, time
from geocore.train.torchrun import place
if place().rank == 0:
    print("error: so it is", file=sys.stderr)
    sys.exit(2)
time.sleep(60)
"""
    done = launched(tmp_path, member)
    assert (done.returncode, done.stderr) == (2, "error: so it is\n")


def test_a_process_that_was_killed_is_told_in_a_line(tmp_path: Path) -> None:
    member = """
import os, signal, time
from geocore.train.torchrun import place
if place().rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(60)
"""
    done = launched(tmp_path, member)
    assert (done.returncode, done.stderr) == (
        1,
        "error: process 1 was ended by SIGKILL, and the others with it; "
        "run it again and it goes on\n",
    )


def test_words_that_torchrun_does_not_know(tmp_path: Path) -> None:
    for words in ("--nproc-per-node 2 --so", "--nproc-per-node 0"):
        done = launched(tmp_path, "", words)
        assert done.returncode == 1  # UserError, which the flow tells in a line
        assert f"UserError: GEOCORE_TORCHRUN is '{words}': " in done.stderr
