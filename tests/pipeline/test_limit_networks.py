"""The study's networks: what turns leave alone, and what not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.pipeline.limit_networks import (
    dense_network,
    invariant_network,
    plain_network,
    spherical_network,
)
from geocore.pipeline.limit_samples import as_vectors, turned_coefficients
from geocore.so3.sampling import random_rotations


def images(count: int, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 1, size, size, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("depth", [1, 2])
def test_quarter_turns_leave_the_c4_kernel_alone(depth: int) -> None:
    """To 1e-12; the plain and the dense kernel only turns of both inputs together."""
    x = images(3, 5)
    turned = x.rot90(1, (-2, -1))
    network = invariant_network(depth, 4)
    for one, two in zip(network.kernel(x, turned), network.kernel(x, x), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=0)
    for other in (plain_network(depth), dense_network(depth)):
        own = other.kernel(x, x).ntk
        torch.testing.assert_close(other.kernel(turned, turned).ntk, own, rtol=1e-12, atol=0)
        assert float((other.kernel(x, turned).ntk / own - 1).abs().max()) > 1e-3


def test_eighths_of_a_turn_have_filters_of_their_own_element_alone() -> None:
    """So the network over C8 has a kernel, and it is another one than that over C4."""
    x = images(2, 6)
    eighth, quarter = (invariant_network(2, n).kernel(x).ntk for n in (8, 4))
    assert float((eighth / quarter - 1).abs().max()) > 1e-3
    assert float(torch.linalg.eigvalsh(eighth)[0]) > 0


def test_rotations_of_the_sphere_leave_the_so3_kernel_alone() -> None:
    """Up to the quadrature over rotations, within 1e-3; the dense kernel changes by more."""
    generator = torch.Generator().manual_seed(2)
    drawn = torch.randn(3, 1, 4, 4, 2, dtype=torch.float64, generator=generator)
    f = torch.view_as_complex(drawn).tril()
    f = torch.cat([f[..., :1].real.to(f.dtype), f[..., 1:]], dim=-1)
    turned = turned_coefficients(f, random_rotations("so3", 0, np.arange(3)))
    network = spherical_network(2, 4, 10)
    for one, two in zip(network.kernel(turned, f), network.kernel(f, f), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=0)
    plain, own = (dense_network(2).kernel(as_vectors(g), as_vectors(f)).ntk for g in (turned, f))
    assert float((plain / own - 1).abs().max()) > 0.1
