"""Hamiltonian Monte Carlo: the closed form of linear regression, seeds, files, predictions."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from geocore.ensembles.hmc import FixedSteps, Nuts, Told, sample_posterior
from geocore.ensembles.hmc_backend import jax_cpu
from geocore.ensembles.hmc_diagnostics import (
    chain_distance,
    effective_sample_size,
    split_rhat,
)
from geocore.ensembles.hmc_networks import BayesianNetwork
from geocore.ensembles.hmc_posterior import (
    Posterior,
    joined,
    load_posterior,
    predictive,
    save_posterior,
)
from geocore.ensembles.seeds import member_seeds
from geocore.errors import UserError

pytest.importorskip("numpyro")

Data = tuple[BayesianNetwork, Tensor, Tensor]


@pytest.fixture(scope="module")
def regression() -> Data:
    """``y = x w + N(0, .5^2)``: N = 100, D = 5."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(100, 5, generator=generator, dtype=torch.float64)
    w = torch.randn(5, 1, generator=generator, dtype=torch.float64)
    y = x @ w + 0.5 * torch.randn(100, 1, generator=generator, dtype=torch.float64)
    return BayesianNetwork(nn.Sequential(nn.Linear(5, 1, bias=False)), 1.0, noise=0.5), x, y


@pytest.fixture(scope="module")
def regressed(regression: Data) -> Posterior:
    network, x, y = regression
    return sample_posterior(network, x, y, chains=4, warmup=500, samples=2500, seed=2, threads=1)


@pytest.fixture(scope="module")
def classes() -> Data:
    """Three classes in the plane, and a network of 20 parameters."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()
    network = BayesianNetwork(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3)), 1.5)
    return network, x, y


SHORT: dict[str, Any] = {
    "warmup": 20, "samples": 8, "seed": 3, "threads": 1, "kernel": Nuts(max_tree_depth=3),
}  # fmt: skip


@pytest.fixture(scope="module")
def short(classes: Data) -> Posterior:
    return sample_posterior(*classes, chains=2, **SHORT)


def test_linear_regression_has_its_closed_form(regression: Data, regressed: Posterior) -> None:
    _, x, y = regression
    precision = x.T @ x / 0.25 + torch.eye(5, dtype=torch.float64)
    covariance = precision.inverse()
    mean, sd = (covariance @ (x.T @ y / 0.25)).flatten(), covariance.diagonal().sqrt()
    draws = regressed.draws
    assert draws.dtype == torch.float64 and draws.shape == (4, 2500, 5)
    assert regressed.divergences == 0
    assert float(split_rhat(draws).max()) < 1.01
    flat = draws.flatten(0, 1)
    assert float(((flat.mean(0) - mean) / sd).abs().max()) < 0.1
    ratio = flat.std(0) / sd
    # 10,000 draws, at least 2,000 independent ones: the ratio's error is at most .016.
    assert float(effective_sample_size(draws).min()) > 2000
    assert 0.95 < float(ratio.min()) <= float(ratio.max()) < 1.05


def test_log_density_is_that_of_the_draws(regression: Data, regressed: Posterior) -> None:
    _, x, y = regression
    flat = regressed.draws[:, ::100].flatten(0, 1)
    half = torch.tensor(0.5, dtype=torch.float64)
    fit = torch.distributions.Normal(flat @ x.T, half).log_prob(y.T).sum(1)
    expected = fit + torch.distributions.Normal(half * 0, half * 2).log_prob(flat).sum(1)
    found = regressed.log_density[:, ::100].flatten()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def sampled_against_the_flag(classes: Data, dtype: torch.dtype) -> Posterior:
    """One chain, while jax's global flag for float64 says the opposite of ``dtype``."""
    import jax

    config: Any = jax.config
    before = config.jax_enable_x64
    config.update("jax_enable_x64", dtype == torch.float32)
    try:
        found = sample_posterior(*classes, chains=1, dtype=dtype, **SHORT)
        assert config.jax_enable_x64 == (dtype == torch.float32)  # as it was
    finally:
        config.update("jax_enable_x64", before)
    return found


def test_a_chain_follows_from_its_own_seed_whatever_jax_holds(
    classes: Data, short: Posterior
) -> None:
    alone = sampled_against_the_flag(classes, torch.float64)
    for name in ("draws", "log_density", "acceptance", "divergent", "gradients"):
        assert torch.equal(getattr(alone, name), getattr(short, name)[:1]), name
    assert alone.record["seeds"] == [member_seeds(3, 2)[0]]
    assert short.record["seeds"] == list(member_seeds(3, 2))
    assert not torch.equal(short.draws[0], short.draws[1])


def test_float32_where_it_is_asked_for(classes: Data, short: Posterior) -> None:
    found = sampled_against_the_flag(classes, torch.float32)
    assert found.draws.dtype == found.log_density.dtype == torch.float32
    # The first steps are the same path, rounded; a chain then goes its own way.
    assert found.record["seeds"] == short.record["seeds"][:1]
    assert bool(torch.isfinite(found.log_density).all())


def test_fixed_steps_take_just_these_and_are_told(classes: Data) -> None:
    told: list[Told] = []
    kernel = FixedSteps(leapfrogs=7, adapt_mass=False)
    chains = {"chains": 1, "warmup": 30, "samples": 30, "seed": 0, "threads": 1}
    found = sample_posterior(*classes, kernel=kernel, progress=told.append, **chains)  # type: ignore[arg-type]
    assert found.gradients.tolist() == [[7] * 30]
    assert [one.iteration for one in told] == [25, 30, 55, 60]
    assert [one.gradients for one in told] == [175, 35, 175, 35]
    assert found.record["kernel"] == "FixedSteps" and found.record["leapfrogs"] == 7


def test_predictions_are_those_of_the_torch_network(classes: Data, short: Posterior) -> None:
    network, x, _ = classes
    found = predictive(short, network, x[:5], block=3)
    assert found.shape == (2, 8, 5, 3) and found.dtype == torch.float64
    for chain, sample in [(0, 0), (1, 3), (1, 7)]:
        with torch.no_grad():
            own = network.with_parameters(short.draws[chain, sample])(x[:5]).softmax(-1)
        torch.testing.assert_close(found[chain, sample], own, rtol=0, atol=1e-12)
    thinned = predictive(short, network, x[:5], thin=3)
    torch.testing.assert_close(thinned, found[:, ::3], rtol=0, atol=1e-12)
    other = BayesianNetwork(nn.Sequential(nn.Linear(2, 3)))
    with pytest.raises(ValueError, match=r"^network has .*expected \{'0\.weight'"):
        predictive(short, other, x)
    with pytest.raises(ValueError, match=r"^thin is 0; expected at least 1$"):
        predictive(short, network, x, thin=0)


def test_a_posterior_is_saved_and_joined(short: Posterior, tmp_path: Path) -> None:
    save_posterior(short, tmp_path / "here")
    again = load_posterior(tmp_path / "here")
    assert again.shapes == short.shapes and again.record == short.record
    for name in ("draws", "log_density", "acceptance", "divergent", "gradients"):
        assert torch.equal(getattr(again, name), getattr(short, name)), name
    both = joined([short, again])
    assert torch.equal(both.draws, torch.cat([short.draws, short.draws]))
    assert both.record["seeds"] == 2 * short.record["seeds"]
    again.record["warmup"] = 7
    with pytest.raises(ValueError, match=r"^posteriors have other settings or networks"):
        joined([short, again])
    with pytest.raises(ValueError, match=r"^posteriors is empty"):
        joined([])


def test_a_missing_or_damaged_file_is_a_line(short: Posterior, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no posterior"):
        load_posterior(tmp_path / "nowhere")
    save_posterior(short, tmp_path)
    path = tmp_path / "posterior.json"
    path.write_text(json.dumps({"record": {}}))
    with pytest.raises(UserError, match=r"holds no posterior \(KeyError") as error:
        load_posterior(tmp_path)
    assert len(error.value.lines) == 1
    (tmp_path / "posterior.safetensors").write_bytes(b"12")
    with pytest.raises(UserError, match="holds no posterior"):
        load_posterior(tmp_path)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"chains": 0}, "chains is 0; expected at least 1"),
        ({"warmup": 0}, "warmup is 0; expected at least 1"),
        ({"samples": 3}, "samples is 3; expected at least 4"),
        ({"seed": -1}, "seed is -1; expected 0 to 2^31 - 1"),
        (
            {"dtype": torch.float16},
            "dtype is torch.float16; expected torch.float64 or torch.float32",
        ),
    ],
)
def test_bad_options_are_refused(classes: Data, options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError) as error:
        sample_posterior(*classes, **options)
    assert str(error.value) == line


def test_bad_kernels_and_data_are_refused(classes: Data) -> None:
    network, x, y = classes
    with pytest.raises(ValueError, match=r"^max_tree_depth is 0; expected 1 to 14$"):
        Nuts(max_tree_depth=0)
    with pytest.raises(ValueError, match=r"^leapfrogs is 0; expected at least 1$"):
        FixedSteps(leapfrogs=0)
    with pytest.raises(ValueError, match=r"^step_size is 0; expected a positive number$"):
        Nuts(step_size=0)
    with pytest.raises(ValueError, match=r"^acceptance is 1; expected between 0 and 1$"):
        FixedSteps(acceptance=1)
    with pytest.raises(ValueError, match=r"^y is 1 to 3; expected classes from 0 to 2$"):
        sample_posterior(network, x, y + 1)
    with pytest.raises(ValueError, match=r"^x has 60 numbers that are not finite"):
        sample_posterior(network, x * float("nan"), y)


def test_a_missing_package_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "numpyro", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"not installed; expected .*'geocore\[posterior\]'"):
        jax_cpu()


@pytest.mark.slow
def test_chains_of_the_toy_agree_in_what_they_predict() -> None:
    # The toy of arXiv:2212.08123, with less warm-up and fewer draws than a study takes.
    generator = torch.Generator().manual_seed(0)
    corner, edges = torch.tensor([0.0, -3.0]), torch.tensor([3.0, 6.0])
    x = corner + edges * torch.rand(2000, 2, generator=generator, dtype=torch.float64)
    y = (x.norm(dim=1) >= 2.4).long()
    relu = nn.ReLU()
    layers = (nn.Linear(2, 10), relu, nn.Linear(10, 10), relu, nn.Linear(10, 2))
    network = BayesianNetwork(nn.Sequential(*layers))
    posterior = sample_posterior(
        network, x, y, chains=2, warmup=200, samples=200, kernel=Nuts(max_tree_depth=7), threads=1
    )
    assert posterior.divergences <= 2
    # Four chains of 500 draws at depth 8: -297.3 on average, .5 from chain to chain; total
    # variation .0006 at the data.
    for mean in posterior.log_density.mean(1).tolist():
        assert mean == pytest.approx(-297, abs=12)
    assert chain_distance(predictive(posterior, network, x[:400]))["total_variation"] < 0.01
    # Permuted units: the same functions from weights that lie apart.
    assert float(split_rhat(posterior.draws).median()) > 1.1
