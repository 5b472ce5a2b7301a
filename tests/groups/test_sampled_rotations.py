"""Sampled rotations: the same ones for a seed, acting on maps of either grid and on vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geocore.groups.orbit import full_orbit, orbit
from geocore.groups.sampled_rotations import SampledRotations
from geocore.healpix.grid import ALL_FACES, pixel_centres
from geocore.healpix.rotate import MapRotation
from geocore.measure.orbit import orbit_deviation, pulled_back
from geocore.so3.quadrature import colatitudes
from geocore.so3.rotation import quaternion_to_matrix
from geocore.so3.s2_rotation import S2Rotation
from geocore.so3.sampling import random_rotations


def on_healpix(nside: int, count: int, seed: int = 0) -> SampledRotations:
    return SampledRotations(lambda R: MapRotation(nside, ALL_FACES, R, torch.float64), count, seed)


def test_the_identity_and_then_the_seed_s_rotations() -> None:
    group, more = on_healpix(1, 3, seed=7), on_healpix(1, 5, seed=7)
    assert list(group) == [0, 1, 2] and more.order == 5
    assert torch.equal(group.matrices[0], torch.eye(3, dtype=torch.float64))
    assert torch.equal(more.matrices[:3], group.matrices)
    drawn = quaternion_to_matrix(random_rotations("so3", 7, np.arange(1, 3)))
    assert torch.equal(group.matrices[1:], drawn)
    assert not torch.equal(on_healpix(1, 3, seed=8).matrices, group.matrices)


def test_healpix_maps_turn_by_interpolation_and_the_first_not_at_all() -> None:
    group, centres = on_healpix(16, 4), pixel_centres(16)
    a = torch.tensor([0.3, -0.8, 0.5], dtype=torch.float64)
    x = (centres @ a)[None, :, None]
    found = orbit(group, x)
    assert torch.equal(found[0], x)
    for R, image in zip(group.matrices[1:], found[1:], strict=True):
        error = (image[0, :, 0] - centres @ (R @ a)).abs()
        assert float(error.mean()) < 0.001  # second order of the pixel size, see MapRotation


def test_band_limited_functions_turn_exactly_and_their_integral_stays() -> None:
    bandlimit = 6
    group = SampledRotations(lambda R: S2Rotation(bandlimit, R, torch.float64), 5, seed=1)
    beta, weights = colatitudes("driscoll-healy", bandlimit)
    alpha = torch.pi / bandlimit * torch.arange(2 * bandlimit, dtype=torch.float64)
    z, x = beta.cos()[:, None], beta.sin()[:, None] * alpha.cos()
    f = (1 + z + x * z + 3 * x**2)[None, ..., None]
    found = orbit(group, f)
    assert float((found[1:] - found[:1]).abs().amax(dim=(1, 2, 3, 4)).min()) > 0.1
    # Means of f and f^2 are invariants; products of degree 4 are still integrated exactly.
    moments = torch.stack([found, found**2], dim=-1).mean(dim=3)[..., 0, :]
    outputs = torch.einsum("gnbk,b->gnk", moments, weights)
    assert float(orbit_deviation(outputs).max()) < 1e-12
    # x^2 has mean 1/3; the weights sum to 2 or 1 as the grid counts them.
    mean = outputs[:, 0, 0] / weights.sum()
    torch.testing.assert_close(mean, torch.full_like(mean, 2), rtol=0, atol=1e-12)


def test_vectors_turn_along() -> None:
    group, centres = on_healpix(8, 6, seed=2), pixel_centres(8)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(10, 3, generator=generator, dtype=torch.float64)
    maps = (vectors @ centres.T)[..., None]
    inputs, targets = full_orbit(group, maps, vectors, group.act_on_vectors)
    assert inputs.shape == (60, 768, 1) and targets.shape == (60, 3)
    # The mean of f(d) d is a third of the vector: equivariant, so constant once pulled back.
    dipoles = (3 * inputs[..., 0] @ centres / len(centres)).unflatten(0, (6, 10))
    torch.testing.assert_close(dipoles.flatten(0, 1), targets, rtol=0, atol=0.05)
    assert float(orbit_deviation(dipoles).min()) > 0.1
    assert float(orbit_deviation(pulled_back(dipoles, group.matrices)).max()) < 0.05
    assert group.act_on_vectors(1, vectors.float()).dtype == torch.float32


def test_its_mean_matrix_falls_as_the_root_of_the_count() -> None:
    # E[R] = 0 and E |R|^2 = 3 by Haar: of 400 rotations the mean has length sqrt(3 / 400).
    matrices = SampledRotations(lambda R: torch.nn.Identity(), 401, 3).matrices[1:]
    assert float(matrices.mean(dim=0).norm()) == pytest.approx((3 / 400) ** 0.5, rel=0.5)


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match=r"^count is 0; expected at least 1$"):
        on_healpix(1, 0)
    with pytest.raises(ValueError, match=r"^seed is -1, stream 0; expected no negative seed"):
        on_healpix(1, 2, seed=-1)
    group = on_healpix(1, 2)
    for element in (-1, 2):
        with pytest.raises(ValueError, match=rf"^element is {element}; expected 0 to 1$"):
            group.act(element, torch.ones(1, 12, 1, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"^v has shape \(2,\); expected \(\.\.\., 3\)$"):
        group.act_on_vectors(1, torch.ones(2))
