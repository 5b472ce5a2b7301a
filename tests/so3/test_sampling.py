"""Random rotations: uniform, and each sample's own whatever else is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geocore.so3.rotation import geodesic_distance, quaternion_to_matrix
from geocore.so3.sampling import random_rotations, uniform

N = 40_000
# Four standard errors of the mean of N draws of unit variance; the seed is fixed.
FOUR_SIGMA = 4 / N**0.5


def test_a_sample_does_not_depend_on_the_others_nor_on_their_order() -> None:
    whole = random_rotations("so3", 7, np.arange(1000))
    chosen = np.array([999, 3, 4, 5, 500, 0])
    assert torch.equal(random_rotations("so3", 7, chosen), whole[chosen])
    assert torch.equal(random_rotations("so3", 7, np.arange(250, 260)), whole[250:260])


def test_the_stream_is_pinned() -> None:
    """Philox4x64-10, key (seed, stream), the first block after the counter's value."""
    found = uniform(3, np.array([5]), stream=2)
    words = np.random.Philox(key=np.array([3, 2], np.uint64), counter=5).random_raw(4)
    np.testing.assert_array_equal(found[0], (words >> np.uint64(11)) * 2.0**-53)
    np.testing.assert_allclose(
        uniform(0, np.array([0]))[0],
        [0.011546754286331562, 0.24154919656271812, 0.11142585551493822, 0.5644146216071337],
        rtol=0,
        atol=0,
    )


def test_seeds_and_streams_differ() -> None:
    samples = np.arange(2000)
    draws = [uniform(0, samples), uniform(1, samples), uniform(0, samples, stream=1)]
    for i, first in enumerate(draws):
        for second in draws[:i]:
            correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
            assert abs(correlation) < 4 / first.size**0.5


def test_so3_has_the_moments_of_the_haar_measure() -> None:
    """E[R] = 0, E[R_ij R_kl] = delta_ik delta_jl / 3, E[tr^2] = 1, E[tr^4] = 3."""
    R = quaternion_to_matrix(random_rotations("so3", 0, np.arange(N)))
    assert R.mean(dim=0).abs().max() < FOUR_SIGMA
    flat = R.reshape(N, 9)
    second = flat.T @ flat / N
    assert (second - torch.eye(9).double() / 3).abs().max() < FOUR_SIGMA
    trace = R.diagonal(dim1=1, dim2=2).sum(dim=1)
    assert abs(float((trace**2).mean()) - 1) < 2 * FOUR_SIGMA
    assert abs(float((trace**4).mean()) - 3) < 16 * FOUR_SIGMA


def test_so3_angles_have_density_one_minus_cosine_over_pi() -> None:
    q = random_rotations("so3", 1, np.arange(N))
    angle = geodesic_distance(torch.tensor([1.0, 0, 0, 0]).double().expand_as(q), q).sort().values
    cumulative = (angle - angle.sin()) / torch.pi
    uniform_steps = (torch.arange(N).double() + 0.5) / N
    # The Kolmogorov-Smirnov statistic; 1.95 is its value at a probability of 0.001.
    assert (cumulative - uniform_steps).abs().max() < 1.95 / N**0.5


def test_z_is_uniform_about_z_and_leaves_it() -> None:
    R = quaternion_to_matrix(random_rotations("z", 0, np.arange(N)))
    assert torch.equal(R[:, :, 2], torch.tensor([0.0, 0, 1]).double().expand(N, 3))
    angle = torch.atan2(R[:, 1, 0], R[:, 0, 0])
    for order in (1, 2, 3):
        assert (order * angle).cos().mean().abs() < FOUR_SIGMA
        assert (order * angle).sin().mean().abs() < FOUR_SIGMA


def test_none_is_the_identity() -> None:
    q = random_rotations("none", 5, np.arange(3))
    assert torch.equal(q, torch.tensor([[1.0, 0, 0, 0]]).double().expand(3, 4))


def test_no_samples() -> None:
    assert random_rotations("so3", 0, np.arange(0)).shape == (0, 4)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="kind is 'x'; expected 'none', 'z' or 'so3'"):
        random_rotations("x", 0, np.arange(3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"samples is float64 of shape \(3,\)"):
        uniform(0, np.zeros(3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seed is -1"):
        uniform(-1, np.arange(3))
