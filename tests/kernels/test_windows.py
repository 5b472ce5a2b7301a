"""Joint window sums against sums over positions one by one, and sizes against torch's."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from geocore.kernels import windows
from geocore.kernels.windows import (
    Padding,
    map_sum,
    output_size,
    padding_amounts,
    window_sum,
)

PADDINGS: tuple[Padding, ...] = ("valid", "same", "circular")


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("size", "taps", "stride"), [(5, 3, 1), (6, 3, 2), (6, 2, 1), (4, 1, 3)])
def test_two_axes_move_jointly(padding: Padding, size: int, taps: int, stride: int) -> None:
    x = torch.rand(2, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before = padding_amounts(size, taps, stride, padding)[0]
    count = output_size(size, taps, stride, padding)
    expected = torch.zeros(2, count, count, dtype=torch.float64)
    for i, j, t in itertools.product(range(count), range(count), range(taps)):
        p, q = stride * i + t - before, stride * j + t - before
        if padding == "circular":
            expected[:, i, j] += x[:, p % size, q % size]
        elif 0 <= p < size and 0 <= q < size:
            expected[:, i, j] += x[:, p, q]
    torch.testing.assert_close(window_sum(x, (1, 2), taps, stride, padding), expected)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(
    ("taps", "stride"),
    [((3, 3), 1), ((3, 3), 2), ((2, 4), 1), ((1, 1), 2), ((1, 3), 1), ((5, 3), 3)],
)
def test_sums_of_maps_are_those_of_both_axes(
    taps: tuple[int, int], stride: int, padding: Padding
) -> None:
    """And no result lies where its input does."""
    x = torch.rand(2, 3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = window_sum(x, (2,), taps[0], stride, padding)
    expected = window_sum(expected, (3,), taps[1], stride, padding)
    for maps in (x, x.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)):
        found = map_sum(maps, taps, stride, padding)
        torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
        assert found.data_ptr() != maps.data_ptr()
    with pytest.raises(ValueError, match="kernel_size is 7 on 5 pixels"):
        map_sum(x, (1, 7))


@pytest.mark.filterwarnings("ignore:Using padding")
@pytest.mark.parametrize("taps", [1, 2, 3, 5])
def test_sizes_and_padding_are_those_of_torch(taps: int) -> None:
    """One axis alone is a convolution with ones, of torch's padding ``same``."""
    x = torch.rand(1, 1, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ones = torch.ones(1, 1, taps, dtype=torch.float64)
    expected = F.conv1d(x, ones, padding="same")
    torch.testing.assert_close(window_sum(x, (2,), taps, 1, "same"), expected)


@pytest.mark.parametrize("taps", [4, 9])
def test_windows_may_go_round_the_torus(taps: int) -> None:
    """The sum over 3 pixels counts some more than once."""
    x = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)
    before = padding_amounts(3, taps, 1, "circular")[0]
    expected = [sum(x[(i + t - before) % 3] for t in range(taps)) for i in range(3)]
    assert window_sum(x, (0,), taps, 1, "circular").tolist() == expected


def test_a_window_larger_than_the_map_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel_size is 5 on 4 pixels"):
        window_sum(torch.zeros(4), (0,), 5)


@pytest.mark.parametrize("taps", [2, 3, 4, 5])
@pytest.mark.parametrize("axis", [0, 1])
def test_small_and_large_sums_are_the_same_to_the_last_bit(
    monkeypatch: pytest.MonkeyPatch, taps: int, axis: int
) -> None:
    x = torch.rand(5, 6, 7, generator=torch.Generator().manual_seed(2))
    small = window_sum(x, (axis,), taps, 1, "circular")
    monkeypatch.setattr(windows, "_SMALL", 0)
    assert torch.equal(window_sum(x, (axis,), taps, 1, "circular"), small)
