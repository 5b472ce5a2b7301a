"""Serving a page from the command line: where it says it is, how it follows, how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geocore.report.live_server import PageServer
from geocore.runs.atomic import write_json
from tests.report.scene import METRICS, Project

ROOT = Path(__file__).parents[2]
# What a command does: the number of runs in the ledger is its page.
CODE = """
import sys
from pathlib import Path
import typer
_, home, host, port = sys.argv
sys.argv[1:] = []
sys.path.insert(0, home)
from geocore.cli.output import mistakes
from geocore.cli.serve import serve
root = Path.cwd()
def render():
    count = len(list((root / ".geocore/ledger").glob("*.json")))
    if count > 8:
        from geocore.errors import UserError
        raise UserError(f"{count} runs: too many\\x1b")
    return f"<html><head></head><body>{count} runs</body></html>"
def command() -> None:
    with mistakes():
        serve(["main", "<b>\\x1b"], render, root, host=host, port=int(port))
typer.run(command)
"""


@contextmanager
def started(root: Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A server in a process of its own; whatever happens it is gone behind the block."""
    env = {name: value for name, value in os.environ.items() if name != "GEOCORE_HOME"}
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, str(ROOT), host, str(port)],
        cwd=root, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def note(root: Path, count: int) -> None:
    for number in range(count):
        write_json(root / f".geocore/ledger/r{number}.json", {"run": number})


def test_it_says_where_follows_the_ledger_and_ends_quietly(tmp_path: Path) -> None:
    note(tmp_path, 1)
    with started(tmp_path) as process:
        told = line(process)
        found = re.fullmatch(
            r"main, <b>\\x1b: (http://127\.0\.0\.1:\d+/)  \(Ctrl-C ends it\)\n", told
        )
        assert found, told
        with urllib.request.urlopen(found[1], timeout=10) as page:
            assert b"1 runs" in page.read()
        note(tmp_path, 2)
        assert line(process) == "the runs have changed: the page is new\n"
        with urllib.request.urlopen(found[1], timeout=10) as page:
            assert b"2 runs" in page.read()
        note(tmp_path, 9)
        assert line(process) == "the page stays as it was: 9 runs: too many\\x1b\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "ended\n")


def test_what_is_wrong_at_once_is_a_line_and_no_server(tmp_path: Path) -> None:
    note(tmp_path, 9)
    with started(tmp_path) as process:
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (2, "", "error: 9 runs: too many\x1b\n")


def test_a_port_that_is_taken_is_a_line(tmp_path: Path) -> None:
    with PageServer() as other, started(tmp_path, port=other.port) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (2, "")
    assert err == (
        f"error: --port {other.port}: taken; give another one, or 0 for any that is free\n"
    )


def test_beyond_this_machine_only_with_a_warning(tmp_path: Path) -> None:
    with started(tmp_path, host="0.0.0.0") as process:
        assert line(process).startswith("warning: --host 0.0.0.0: whoever reaches this machine")
        assert "http://127.0.0.1:" in line(process)


def test_a_comparison_is_served(tmp_path: Path) -> None:
    """The command itself, on a project whose results change while somebody looks on."""
    project = Project(tmp_path)
    project.commit("first")
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from geocore.cli.app import main; main()"
    )
    command = [sys.executable, "-c", code, str(ROOT), "compare", "HEAD", "--serve", "--port", "0"]
    env = {name: value for name, value in os.environ.items() if name != "GEOCORE_HOME"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            found = re.fullmatch(r"HEAD, workspace: (http://\S+)  \(Ctrl-C.*\n", line(process))
            assert found
            with urllib.request.urlopen(found[1], timeout=10) as page:
                assert "0.8125" not in page.read().decode()
            project.write_metrics({"test": {**METRICS["test"], "accuracy": 0.8125}})
            assert line(process) == "the runs have changed: the page is new\n"
            with urllib.request.urlopen(found[1], timeout=10) as page:
                assert "0.8125" in page.read().decode()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
            assert (process.returncode, out, err) == (0, "", "ended\n")
        finally:
            process.kill()
