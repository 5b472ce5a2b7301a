"""A pair of batches: checked, kept and read, and taken as large as is good."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from geocore.kernels.block import default_block, kernel_block, read_block, write_block
from geocore.kernels.composed import InfiniteNetwork, serial
from geocore.kernels.convolution import Convolution
from geocore.kernels.group_layers import GroupConvolution, GroupPool, LiftingConvolution
from geocore.kernels.layers import Dense, Flatten, GlobalAveragePool, Relu
from tests.kernels.test_protocol import Linear

DENSE = serial(Dense(), Relu(), Dense())
C4 = serial(
    LiftingConvolution(3, padding="circular"), Relu(), GroupConvolution(3, padding="circular"),
    Relu(), GlobalAveragePool(), GroupPool(), Dense(),
)  # fmt: skip


@pytest.mark.parametrize("network", [DENSE, serial(Dense())])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_read_is_what_was_kept(
    tmp_path: Path, network: InfiniteNetwork, dtype: torch.dtype
) -> None:
    x1, x2 = torch.rand(3, 5, dtype=dtype), torch.rand(4, 5, dtype=dtype)
    for other in (None, x2):
        write_block(tmp_path, kernel_block(network, x1, other))
        found, expected = read_block(tmp_path), network.kernel(x1, other)
        assert torch.equal(found.nngp, expected.nngp) and torch.equal(found.ntk, expected.ntk)
        assert found.ntk.dtype == dtype


def test_a_kernel_that_overflows() -> None:
    with pytest.raises(ValueError, match="the nngp has an entry inf; expected inputs and weights"):
        kernel_block(serial(Dense()), torch.full((2, 3), 1e30))  # 1e60 is none of float32
    with pytest.raises(ValueError, match="a variance before Relu is inf; expected one whose squa"):
        kernel_block(DENSE, torch.full((2, 3), 1e30))
    kernel_block(DENSE, torch.full((2, 3), 1e30, dtype=torch.float64))


def test_the_more_a_pair_holds_the_smaller_a_block() -> None:
    x = torch.rand(2, 1, 8, 8)
    assert default_block(DENSE, x[:, 0, 0]) == 1024
    assert default_block(C4, x) == 128  # 4 x 64^2 numbers a pair: 2^28 of them
    assert default_block(C4, torch.rand(1, 1, 28, 28)) == 64
    flat = serial(Convolution(3), Relu(), Flatten(), Dense())
    assert default_block(flat, x) == 1024
    assert default_block(Linear(), x) == 256
