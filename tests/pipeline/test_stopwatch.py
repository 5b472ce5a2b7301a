"""The clock: which calls are timed, how many make a timing, which timing is told."""

from __future__ import annotations

import platform

import pytest
import torch

from geocore.pipeline import stopwatch
from geocore.pipeline.stopwatch import machine, seconds


class Work:
    """Calls of ``usual`` seconds on a clock of its own, but for those that ``slow`` numbers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, usual: float, *slow: int) -> None:
        self.usual, self.slow, self.calls, self.now = usual, slow, 0, 0.0
        monkeypatch.setattr("geocore.pipeline.stopwatch.time.perf_counter", lambda: self.now)

    def __call__(self) -> None:
        self.calls += 1
        self.now += 1.0 if self.calls in self.slow else self.usual


def test_the_median_of_timings_that_are_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first call builds tables; of five timings of five calls one is disturbed.
    work = Work(monkeypatch, 0.01, 1, 14)
    assert seconds(work, 5) == pytest.approx(0.01)
    assert work.calls == 2 + 5 * 5, "five calls of 10 ms are 50 ms"


@pytest.mark.parametrize(
    ("usual", "at_least", "at_most", "calls"),
    [(0.01, 0.02, 1000, 2), (0.03, 0.02, 1000, 1), (1e-6, 0.05, 100, 100), (0.0, 0.05, 7, 7)],
)
def test_how_many_calls_make_a_timing(
    monkeypatch: pytest.MonkeyPatch, usual: float, at_least: float, at_most: int, calls: int
) -> None:
    work = Work(monkeypatch, usual)
    found = seconds(work, 3, at_least=at_least, at_most=at_most)
    assert found == pytest.approx(usual)
    assert work.calls == 2 + 3 * calls


def test_a_timing_waits_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is only queued takes no time; the wait for it does."""
    work = Work(monkeypatch, 0.0)
    waited = []

    def synchronize(device: torch.device) -> None:
        waited.append(device)
        work.now += 0.5

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    device = torch.device("cuda", 0)
    assert seconds(work, 1, device=device) == pytest.approx(0.5)
    assert waited == [device] * 4, "before and after each of two timings"


def test_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    found = machine()
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert found["name"]
    # Linux tells more than the architecture where it tells a model.
    monkeypatch.setattr(stopwatch, "_CPUINFO", stopwatch._CPUINFO.with_name("missing"))
    assert machine()["name"] == (platform.processor() or platform.machine())


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="repeats is 0; expected at least 1"):
        seconds(lambda: None, 0)
