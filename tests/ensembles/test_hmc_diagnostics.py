"""R-hat and ESS against numpyro's and known chains; distances against worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from geocore.ensembles.hmc_diagnostics import (
    chain_distance,
    compare,
    distance,
    effective_sample_size,
    mixing,
    split_rhat,
)


def autoregressive(chains: int, samples: int, rho: float, functions: int = 1) -> Tensor:
    """``v_t = rho v_(t-1) + sqrt(1 - rho^2) e_t``: ESS is that of ``(1 + rho) / (1 - rho)``."""
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(chains, samples, functions, generator=generator, dtype=torch.float64)
    values = [noise[:, 0]]
    for t in range(1, samples):
        values.append(rho * values[-1] + math.sqrt(1 - rho**2) * noise[:, t])
    return torch.stack(values, 1)


@pytest.mark.parametrize("samples", [100, 101])
@pytest.mark.parametrize("rho", [-0.3, 0.0, 0.6, 0.95])
def test_unranked_figures_are_numpyros(samples: int, rho: float) -> None:
    peer = pytest.importorskip("numpyro.diagnostics")
    values = autoregressive(4, samples, rho, 3)
    half = samples // 2
    halves = torch.cat([values[:, :half], values[:, -half:]]).numpy()
    expected = peer.gelman_rubin(halves)
    np.testing.assert_allclose(split_rhat(values, ranked=False).numpy(), expected, rtol=1e-10)
    # Ours is at most S log10(S), as Stan's; the peer's has no bound.
    draws = halves.shape[0] * half
    expected = np.minimum(peer.effective_sample_size(halves), draws * math.log10(draws))
    found = effective_sample_size(values, ranked=False).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_ess_of_an_autoregressive_chain(rho: float) -> None:
    values = autoregressive(4, 5000, rho, 8)
    expected = 20000 * (1 - rho) / (1 + rho)
    # The mean over 8 functions has an error of some 3 %.
    found = float(effective_sample_size(values).mean())
    assert found == pytest.approx(expected, rel=0.1)
    assert float(split_rhat(values).max()) < 1.02


def test_ranks_make_monotone_maps_and_heavy_tails_harmless() -> None:
    values = autoregressive(4, 200, 0.3)
    torch.testing.assert_close(split_rhat(values.exp()), split_rhat(values), rtol=1e-12, atol=0)
    ess = effective_sample_size(values)
    torch.testing.assert_close(effective_sample_size(values**3), ess, rtol=1e-12, atol=0)


def test_chains_apart_and_chains_that_drift_are_seen() -> None:
    values = autoregressive(4, 400, 0.0)
    assert float(split_rhat(values)) < 1.01
    apart = values + torch.arange(4.0)[:, None, None]
    assert float(split_rhat(apart)) > 1.3
    assert float(effective_sample_size(apart)) < 20
    drift = values + torch.linspace(-2, 2, 400)[:, None]
    assert float(split_rhat(drift)) > 1.3


def test_constants() -> None:
    still = torch.full((2, 10, 1), 0.5)
    assert float(split_rhat(still)) == 1
    assert float(effective_sample_size(still)) == 20
    stuck = torch.arange(2.0)[:, None, None].expand(2, 10, 1)
    assert math.isinf(float(split_rhat(stuck)))


def test_mixing_is_over_all_functions() -> None:
    values = torch.cat([autoregressive(4, 100, 0.0, 3), torch.zeros(4, 100, 1)], 2)
    values[..., 3] = autoregressive(4, 100, 0.0)[..., 0] + 3 * torch.arange(4.0)[:, None]
    found = mixing(values)
    assert found["rhat_max"] == float(split_rhat(values)[3]) > 1.5
    assert found["rhat_median"] < 1.05
    assert found["rhat_above"] == 0.25
    assert found["ess_min"] == float(effective_sample_size(values).min())


Q = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.4, 0.35, 0.25], [0.3, 0.3, 0.4]])
R = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.3, 0.45, 0.25], [0.2, 0.2, 0.6]])


def test_distance_of_worked_examples() -> None:
    found = distance(Q[None], R[None])
    assert found["agreement"] == 0.75
    assert found["total_variation"] == pytest.approx(0.125, abs=1e-7)
    assert found["mutual_information"] == 0  # of one member there is none
    # {[.9, .1], [.1, .9]}: H = .6931, MI = .3681; its mean alone has no MI.
    pair = torch.tensor([[[0.9, 0.1]], [[0.1, 0.9]]])
    found = distance(pair, pair.mean(0, keepdim=True))
    assert found["total_variation"] == pytest.approx(0, abs=1e-7)
    assert found["entropy"] == pytest.approx(0, abs=1e-7)
    assert found["mutual_information"] == pytest.approx(0.3681, abs=5e-5)


def test_chain_distance_is_the_mean_over_pairs() -> None:
    posterior = torch.stack([Q, Q, R])[:, None]
    found = chain_distance(posterior)
    single = distance(Q[None], R[None])
    assert found["total_variation"] == pytest.approx(2 / 3 * 0.125, abs=1e-7)
    assert found["agreement"] == pytest.approx((1 + 2 * 0.75) / 3)
    assert found["entropy"] == pytest.approx(2 / 3 * single["entropy"])
    # And beside a comparison: the reference is the mean of all chains.
    told = compare(Q[None], posterior)
    assert told["total_variation"] == pytest.approx(0.125 / 3, abs=1e-7)
    assert told["mutual_information"] > 0
    assert {name: told[f"chains_{name}"] for name in found} == found
    assert len(told) == 2 * len(found)


def test_bad_input_is_refused_in_a_line() -> None:
    with pytest.raises(ValueError, match=r"^values has shape \(2, 3\); expected .*4 samples$"):
        split_rhat(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"^values has numbers that are not finite"):
        effective_sample_size(torch.full((2, 8), math.nan))
    with pytest.raises(ValueError, match=r"^probabilities has shape .*2 chains$"):
        chain_distance(Q[None, None])
    with pytest.raises(ValueError, match=r"^second has shape \(1, 3, 3\); expected"):
        distance(Q[None], R[None, :3])
    with pytest.raises(ValueError, match="sum"):
        distance(Q[None] * 2, R[None])
