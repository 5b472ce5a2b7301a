"""Kernels on SO(3) against the mean over finite networks of random weights, by fixed seeds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geocore.kernels.empirical import empirical_ntk
from geocore.kernels.layers import Dense, Erf, Layer, LayerNorm, Relu
from geocore.kernels.so3_layers import RotationConvolution, RotationPool, SphericalLift
from geocore.kernels.so3_network import SphericalNetwork, so3_serial
from geocore.kernels.so3_twin import spherical_twin
from geocore.so3.driscoll_healy import driscoll_healy_directions

WIDTH, DRAWS = 96, 32


def smooth() -> Tensor:
    """Two samples of two polynomials each, on a Driscoll-Healy grid."""
    x, y, z = driscoll_healy_directions(3).unbind(-1)
    one = [1 + x + 0.5 * y * z, 0.5 - z + x * y]
    other = [0.3 + y - 0.6 * x * x, 1 + 0.4 * z * z - 0.5 * x]
    return torch.stack([torch.stack(one), torch.stack(other)])


def network(*after: Layer) -> SphericalNetwork:
    return so3_serial(
        SphericalLift(3, 6, weight_std=1.2, bias_std=0.2),
        Relu(),
        RotationConvolution(weight_std=1.1, bias_std=0.3),
        Erf(),
        RotationPool(),
        *after,
    )


def test_finite_networks_have_the_kernels_on_average() -> None:
    """The NNGP is the mean over the last weights, too: that one need not be drawn."""
    net, x = network(Dense(bias_std=0.2)), smooth()
    generator = torch.Generator().manual_seed(5)
    both: tuple[list[Tensor], list[Tensor]] = ([], [])
    for _ in range(DRAWS):
        twin = spherical_twin(net, 2, WIDTH, degrees=4, generator=generator)
        hidden = twin[:-1](x)
        weights = list(twin.parameters())
        gradients = [
            torch.cat([g.flatten() for g in torch.autograd.grad(v, weights, retain_graph=True)])
            for v in twin[-1](hidden)[:, 0]
        ]
        jacobian, features = torch.stack(gradients), hidden.detach()
        both[0].append(features @ features.T / WIDTH + 0.2**2)
        both[1].append(jacobian @ jacobian.T)
    for kind, draws, expected in zip(("nngp", "ntk"), both, net.kernel(x), strict=True):
        found = torch.stack(draws)
        error, standard = found.mean(0) - expected, found.std(0) / DRAWS**0.5
        assert (error.abs() <= 3 * standard).all(), f"{kind}: {error / standard} standard errors"
        assert (error.abs() <= 0.05 * expected.abs()).all(), f"{kind}: {error / expected}"


def test_a_twin_is_invariant_and_has_a_tangent_kernel() -> None:
    """Under 60 degrees about z, which moves the points of either grid onto each other."""
    twin = spherical_twin(network(Dense(), Relu(), Dense()), 2, 5, 3)
    x = torch.cat([smooth(), smooth().roll(1, dims=-1)])
    tangent = empirical_ntk(twin, x, form="trace")
    torch.testing.assert_close(tangent[:2, :2], tangent[2:, 2:], rtol=1e-11, atol=0)
    with torch.no_grad():
        outputs = twin(x)
    assert outputs.shape == (4, 3)
    torch.testing.assert_close(outputs[:2], outputs[2:], rtol=0, atol=1e-12)
    assert not torch.allclose(outputs[0], outputs[1], rtol=0, atol=1e-2)


def test_what_has_no_twin_is_named() -> None:
    with pytest.raises(ValueError, match="followed by no Dense"):
        spherical_twin(so3_serial(SphericalLift(2), RotationPool()), 1, 4)
    normed = so3_serial(SphericalLift(2), LayerNorm(), RotationPool(), Dense())
    with pytest.raises(ValueError, match="LayerNorm has no finite twin on SO"):
        spherical_twin(normed, 1, 4)
    with pytest.raises(ValueError, match="expected at least 1, and degrees of at most 6"):
        spherical_twin(network(Dense()), 2, 4, degrees=7)
