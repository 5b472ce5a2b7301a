"""Around a stage's tasks: its threads, and one line where Prefect's server is gone."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
import torch

from flows.stage import _set_threads, run_flow
from geocore.pipeline.stage import Job
from tests.pipeline.stages import RUNTIME


@pytest.mark.parametrize(("asked", "threads"), [(2, 2), (0, 3)])
def test_threads(monkeypatch: pytest.MonkeyPatch, asked: int, threads: int) -> None:
    """For torch that is there already, and for one that is imported later; 0 leaves them."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        runtime = RUNTIME.model_copy(update={"threads": asked})
        _set_threads(cast(Job, SimpleNamespace(section=lambda _: runtime)))
        assert torch.get_num_threads() == threads
        assert os.environ["OMP_NUM_THREADS"] == str(threads)
    finally:
        torch.set_num_threads(before)


def test_a_server_that_is_gone_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    def gone() -> None:
        raise httpx.ConnectError("Connection refused")

    assert run_flow("train", lambda: None, before=gone) == 1
    assert capsys.readouterr().err == (
        "error: train: Prefect's server does not answer any more (Connection refused); what is "
        "finished is kept: run it again\n"
    )
