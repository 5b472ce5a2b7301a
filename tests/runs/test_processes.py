"""Whether a process lives: told for the living, the dead, the zombie and a reused number."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from geocore.runs.processes import alive, start_ticks


def test_this_process_lives_and_has_the_start_it_had() -> None:
    assert alive(os.getpid())
    assert alive(os.getpid(), start_ticks(os.getpid()))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs procfs")
def test_a_reused_number_is_another_process() -> None:
    ticks = start_ticks(os.getpid())
    assert ticks is not None
    assert not alive(os.getpid(), ticks - 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs procfs")
def test_a_zombie_is_dead_before_and_after_it_is_reaped() -> None:
    child = subprocess.Popen(["true"])
    deadline = time.monotonic() + 10
    while alive(child.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(child.pid)
    child.wait()
    assert not alive(child.pid)
    assert start_ticks(child.pid) is None
