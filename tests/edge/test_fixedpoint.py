"""Fixed point: the grid, its ends, ties to even, and the narrowest format of a range."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocore.edge.fixedpoint import FixedPoint

FORMATS = [
    FixedPoint(8, 8, signed=False),
    FixedPoint(6, 7, signed=True),
    FixedPoint(4, -2, signed=True),
    FixedPoint(1, 0, signed=False),
]


@pytest.mark.parametrize("grid", FORMATS, ids=str)
def test_values_lie_on_the_grid_and_in_range(grid: FixedPoint) -> None:
    values = torch.linspace(-40, 40, 4001, dtype=torch.float64)
    integers = grid.quantise(values)
    assert integers.dtype == torch.int64
    assert integers.min() == grid.lowest and integers.max() == grid.highest
    inside = (values >= grid.lowest * grid.step) & (values <= grid.highest * grid.step)
    distance = (integers * grid.step - values).abs()[inside]
    assert distance.max() <= grid.step / 2
    # Once on the grid, for ever on the grid.
    assert torch.equal(grid.quantise(integers * grid.step), integers)


def test_ranges_are_those_of_twos_complement() -> None:
    signed, unsigned = FixedPoint(6, 4, signed=True), FixedPoint(6, 4, signed=False)
    assert (signed.lowest, signed.highest) == (-32, 31)
    assert (unsigned.lowest, unsigned.highest) == (0, 63)
    assert signed.step == 0.0625
    assert (str(signed), str(unsigned)) == ("fixed<6,2>", "ufixed<6,2>")


def test_ties_go_to_the_even_neighbour() -> None:
    grid = FixedPoint(8, 1, signed=True)
    halves = torch.tensor([-0.75, -0.25, 0.25, 0.75, 1.25])
    assert grid.quantise(halves).tolist() == [-2, 0, 0, 2, 2]


@given(st.integers(-(2**30), 2**30), st.integers(0, 2**30))
def test_the_covering_format_is_the_narrowest(low: int, width: int) -> None:
    high = low + width
    grid = FixedPoint.covering(low, high, 3)
    assert grid.lowest <= low and high <= grid.highest
    if grid.bits > 1:
        less = FixedPoint(grid.bits - 1, 3, signed=True)
        assert low < less.lowest or less.highest < high


def test_mistakes() -> None:
    for bits in (0, 65):
        with pytest.raises(ValueError, match=f"bits is {bits}; expected 1 to 64"):
            FixedPoint(bits, 3, signed=True)
    with pytest.raises(ValueError, match="fraction is 1001; expected -1000 to 1000"):
        FixedPoint(3, 1001, signed=True)
    with pytest.raises(ValueError, match="low is 2 and high 1; expected low <= high"):
        FixedPoint.covering(2, 1, 0)
