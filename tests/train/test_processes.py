"""How processes of one training find each other, and what they do where one is gone."""

from __future__ import annotations

import json
import socket
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from geocore.errors import UserError
from geocore.train import processes
from geocore.train.torchrun import Place
from tests.train.spawned import spawn

SECOND = Place(1, 2, 1, 2, ("127.0.0.1", 1))


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


def test_gpus_talk_by_nccl_and_processors_by_gloo(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, torch.device | None]] = []

    def refuse(backend: str, *, device_id: torch.device | None, **_: Any) -> None:
        asked.append((backend, device_id))
        raise RuntimeError("nobody there")

    monkeypatch.setattr("torch.distributed.init_process_group", refuse)
    monkeypatch.setattr(processes, "_store", lambda here: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    for kind in ("cpu", "cuda"):
        device = processes.own_device(SECOND, kind)
        with (
            pytest.raises(UserError, match="process 1 lost the others"),
            processes.joined(SECOND, device),
        ):
            pass
    assert asked == [("gloo", None), ("nccl", torch.device("cuda", 1))]


def test_a_process_without_a_gpu_of_its_own_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(
        UserError, match="process 1 of 2: this machine has 1 CUDA devices; expected"
    ):
        processes.own_device(SECOND, "cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_sums_and_rows_go_from_gpu_to_gpu(tmp_path: Path) -> None:
    size = min(3, torch.cuda.device_count())
    spawn(size, "tests.train.together", "by_gpus", str(tmp_path))
    rows = [[float(rank)] * 2 for rank in range(size) for _ in range(rank + 1)]
    for rank in range(size):
        told = json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8"))
        assert told == {"sum": [size * (size + 1) / 2] * 3, "rows": rows, "device": f"cuda:{rank}"}
