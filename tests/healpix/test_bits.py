"""Bits apart and together again, against the definition bit by bit."""

from __future__ import annotations

import pytest
import torch

from geocore.healpix.bits import compress, spread


@pytest.mark.parametrize("bits", [0, 1, 2, 3, 4, 5, 8, 9, 16, 17, 20, 31])
def test_bit_i_goes_to_bit_2i_and_back(bits: int) -> None:
    generator = torch.Generator().manual_seed(bits)
    value = torch.cat([torch.randint(1 << bits, (100,), generator=generator), torch.tensor([0])])
    value[-1] = (1 << bits) - 1
    expected = sum((((value >> i) & 1) << 2 * i for i in range(bits)), torch.zeros_like(value))
    apart = spread(value, bits)
    assert torch.equal(apart, expected)
    noise = torch.randint(1 << 62, value.shape, generator=generator) << 1
    odd_and_above = noise & ~sum(1 << 2 * i for i in range(bits))
    assert torch.equal(compress(apart | odd_and_above, bits), value)
