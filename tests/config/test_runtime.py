"""How many processes a stage takes."""

from __future__ import annotations

import os

import pytest

from geocore.config.runtime import RuntimeParams


@pytest.mark.parametrize(
    ("cores", "device", "threads", "workers", "parts", "expected"),
    [
        (2, "cpu", 1, 0, 4, 2),
        (8, "cpu", 2, 0, 16, 4),
        (8, "cpu", 1, 0, 3, 3),
        (2, "cpu", 4, 0, 4, 1),
        (8, "cpu", 0, 0, 4, 1),
        (8, "cuda", 1, 0, 4, 1),
        (2, "cuda", 1, 3, 4, 3),
        (2, "cpu", 1, 1, 4, 1),
    ],
)
def test_processes(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    device: str,
    threads: int,
    workers: int,
    parts: int,
    expected: int,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    runtime = RuntimeParams(
        device=device,  # type: ignore[arg-type]
        threads=threads,
        workers=workers,
        checkpoint_every=1,
        progress=False,
    )
    assert runtime.processes(parts) == expected
