"""What processes of one training tell each other where the one that started them is gone."""

from __future__ import annotations

import socket
import time
from datetime import timedelta

import pytest

from geocore.train import processes
from geocore.train.torchrun import Place


def test_the_first_does_not_wait_for_a_torchrun_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed, it leaves the first process behind, which ends by saying so to nobody."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    patience = processes._CONNECT
    assert patience <= timedelta(minutes=1)
    monkeypatch.setattr(processes, "_CONNECT", timedelta(seconds=1))
    began = time.monotonic()
    processes.dismiss(Place(0, 2, 0, 2, ("127.0.0.1", port)))
    assert time.monotonic() - began < 60
