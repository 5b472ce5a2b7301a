"""The law of a block's cost is found again from blocks of other sizes."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from geocore.kernels import cost
from geocore.kernels.block import kernel_block
from geocore.kernels.composed import serial
from geocore.kernels.cost import BlockCost, fitted, peak_bytes, probe
from geocore.kernels.layers import Dense, Relu
from tests.kernels.test_protocol import Linear

SIZES = (4, 8, 16, 32)


@pytest.mark.parametrize("factors", list(itertools.product((0.0, 1e-3), (0.0, 1e-4), (0.0, 1e-5))))
def test_the_law_is_found(factors: tuple[float, float, float]) -> None:
    terms = [[1.0, 2.0 * n, float(n * n)] for n in SIZES]
    values = [sum(f * t for f, t in zip(factors, own, strict=True)) for own in terms]
    assert fitted(terms, values) == pytest.approx(factors, rel=1e-6, abs=1e-12)


def test_no_factor_is_below_zero() -> None:
    """Times that grow more slowly than their number: a start, and no negative pairs."""
    terms = [[1.0, 2.0 * n, float(n * n)] for n in SIZES]
    found = fitted(terms, [1.0, 1.1, 1.15, 1.2])
    assert min(found) >= 0 and found[0] > 0.9
    assert fitted([[1.0, 8.0, 16.0]], [2.0])[:3].count(0.0) == 2  # one size: one term alone


def test_a_block_by_the_law() -> None:
    found = BlockCost(1.0, 0.1, 0.01, 1000.0, 16.0, 2, (), ())
    assert found.seconds(10, 20) == pytest.approx(1 + 3 + 2)
    assert found.seconds(10) == pytest.approx(1 + 1 + 0.55)
    assert found.bytes(10, 20) == 1000 + 16 * 200


def test_what_is_tried_doubles_until_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is ours: 1 ms a pair, and 2 ms a sample on each side."""
    sizes: list[int] = []

    def timed(pool: object, workers: int, work: Callable[[], object]) -> float:
        work()
        n = sizes[-1]
        return 0.004 * n + 0.001 * n * n

    class Counting(Linear):
        def kernel(self, x1: Tensor, x2: Tensor | None = None):  # type: ignore[no-untyped-def]
            sizes.append(len(x1))
            return super().kernel(x1, x2)

    monkeypatch.setattr(cost, "_timed", timed)
    found = probe(Counting(), torch.rand(200, 3), 100, seconds=1.0)
    assert found.tried == (4, 8, 16)  # 16: .32 s; 32 would take more than a second
    assert found.sample == pytest.approx(0.002, rel=1e-6)
    assert found.pair == pytest.approx(0.001, rel=1e-6)
    assert probe(Counting(), torch.rand(6, 3), 100).tried == (4, 6)
    assert probe(Counting(), torch.rand(200, 3), 3).tried == (3,)


def test_memory_is_that_of_the_tensors_alive() -> None:
    def two_at_a_time() -> Tensor:
        x = torch.zeros(1000, dtype=torch.float64)
        for _ in range(5):
            x = x + 1
        return x[:10]

    assert peak_bytes(two_at_a_time) == 16000
    assert peak_bytes(lambda: torch.zeros(10).view(2, 5)) == 40


def test_a_real_block_is_predicted() -> None:
    """Memory counts, so it repeats: within a third at 8 times the pairs that were tried."""
    network = serial(Dense(), Relu(), Dense())
    x = torch.rand(200, 30, dtype=torch.float64)
    found = probe(network, x, 64, workers=2, seconds=0.2)
    # a quick machine's clock may show a start alone, so more pairs cost no less, not more
    assert found.workers == 2 and found.seconds(200, 200) >= found.seconds(64, 64) > 0
    held = peak_bytes(lambda: kernel_block(network, x[:180], x[20:]))
    assert found.bytes(180, 180) == pytest.approx(held, rel=0.34)


def test_bad_input() -> None:
    x = torch.rand(5, 3)
    for values in ((0, 1, 1.0), (4, 0, 1.0), (4, 1, 0.0)):
        block, workers, seconds = values
        with pytest.raises(ValueError, match="block, workers and seconds are"):
            probe(Linear(), x, block, workers=workers, seconds=seconds)
    with pytest.raises(ValueError, match=r"inputs are torch\.int64"):
        probe(serial(Dense()), torch.arange(6).view(2, 3), 2)
