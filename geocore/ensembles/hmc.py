"""Draws from a network's posterior by Hamiltonian Monte Carlo, through numpyro."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geocore.ensembles.hmc_backend import jax_cpu
from geocore.ensembles.hmc_networks import BayesianNetwork
from geocore.ensembles.hmc_posterior import Posterior, joined
from geocore.ensembles.seeds import member_seeds

__all__ = ["FixedSteps", "Nuts", "Told", "sample_posterior"]

_BLOCK = 25  # iterations of one compiled call: between two calls the caller hears of the chain


@dataclass(frozen=True)
class Nuts:
    """The no-U-turn sampler: at most ``2^max_tree_depth - 1`` gradients an iteration.

    ``step_size`` is where dual averaging begins, towards a mean acceptance of ``acceptance``;
    with ``adapt_mass`` the masses become the inverse of the variances, one by one. All of it
    happens in the warm-up alone. Source: Hoffman and Gelman, arXiv:1111.4246.
    """

    max_tree_depth: int = 8
    step_size: float = 0.01
    acceptance: float = 0.8
    adapt_mass: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.max_tree_depth <= 14:
            raise ValueError(f"max_tree_depth is {self.max_tree_depth}; expected 1 to 14")
        _check_adaptation(self.step_size, self.acceptance)


@dataclass(frozen=True)
class FixedSteps:
    """Plain HMC: ``leapfrogs`` steps of the integrator, then accept or reject.

    The other three are those of ``Nuts``. The length of a path is the steps' number times their
    adapted size; in a direction of which it is a whole period the chain stands still.
    Source: Neal, arXiv:1206.1901.
    """

    leapfrogs: int = 100
    step_size: float = 0.01
    acceptance: float = 0.8
    adapt_mass: bool = True

    def __post_init__(self) -> None:
        if self.leapfrogs < 1:
            raise ValueError(f"leapfrogs is {self.leapfrogs}; expected at least 1")
        _check_adaptation(self.step_size, self.acceptance)


@dataclass(frozen=True)
class Told:
    """What a caller hears of chain ``chain`` now and then, about its last ``_BLOCK`` iterations.

    ``iteration`` of ``iterations`` are done, warm-up included.
    """

    chain: int
    iteration: int
    iterations: int
    acceptance: float
    divergences: int
    gradients: int


def sample_posterior(
    network: BayesianNetwork,
    x: Tensor,
    y: Tensor,
    *,
    chains: int = 4,
    warmup: int = 300,
    samples: int = 500,
    seed: int = 0,
    kernel: Nuts | FixedSteps | None = None,
    dtype: torch.dtype = torch.float64,
    threads: int = 0,
    progress: Callable[[Told], None] | None = None,
) -> Posterior:
    """``samples`` draws of each of ``chains`` chains from ``p(theta | x, y)``, after ``warmup``.

    ``x (n, ...)`` and ``y`` as ``network.check_data`` says. ``kernel`` is ``Nuts()`` unless given.
    A chain begins at a draw from the prior, and all of it follows from its own seed, the
    ``chain``-th of ``member_seeds(seed, chains)``: more chains keep the first ones. Chains run one
    after the other, in one compiled function: side by side as a vectorised one they took 1.6 times
    as long, for each iteration waits for the longest path. Equal bytes need equal ``threads``
    (of jax, see ``jax_cpu``) and equal machines.

    Everything is computed in ``dtype``, float64 or float32, whatever jax's global flag for float64
    says; that flag stays as it is.

    Raises ``ValueError`` for numbers below 1, another dtype, a bad seed and bad data; ``UserError``
    where numpyro is not installed. Source: Phan et al., arXiv:1912.11554 (numpyro).
    """
    least = {"chains": (chains, 1), "warmup": (warmup, 1), "samples": (samples, 4)}
    for name, (value, lowest) in least.items():
        if value < lowest:
            raise ValueError(f"{name} is {value}; expected at least {lowest}")
    if dtype not in (torch.float64, torch.float32):
        raise ValueError(f"dtype is {dtype}; expected torch.float64 or torch.float32")
    seeds = member_seeds(seed, chains)
    kernel = Nuts() if kernel is None else kernel
    wide = dtype == torch.float64
    arrays = network.arrays(x, y, np.float64 if wide else np.float32)
    device = jax_cpu(threads)
    import jax
    from jax.experimental import enable_x64

    # Here and not for the whole process, which may hold other jax code.
    with enable_x64(wide), jax.default_device(device):
        sampler = _Sampler(network, arrays, kernel, warmup)
        drawn = [sampler.chain(place, own, samples, progress) for place, own in enumerate(seeds)]
    return joined(drawn)


class _Sampler:
    """numpyro's functional HMC over one network and its data: compiled once for all chains."""

    def __init__(
        self,
        network: BayesianNetwork,
        arrays: tuple[Any, Any],
        kernel: Nuts | FixedSteps,
        warmup: int,
    ) -> None:
        import jax
        from numpyro.infer.hmc import hmc

        self.network, self.kernel, self.warmup = network, kernel, warmup
        self.arrays = tuple(jax.numpy.asarray(values) for values in arrays)

        def potential(x: Any, target: Any) -> Callable[[Any], Any]:
            return lambda flat: -network.log_density(flat, x, target)

        path: dict[str, int | None]
        if isinstance(kernel, Nuts):
            algorithm, path = "NUTS", {"max_tree_depth": kernel.max_tree_depth}
        else:
            # Without a length in time the number of steps stays and their size adapts.
            algorithm, path = "HMC", {"num_steps": kernel.leapfrogs, "trajectory_length": None}
        begin, step = hmc(potential_fn_gen=potential, algo=algorithm)

        def begun(flat: Any, key: Any, x: Any, target: Any) -> Any:
            return begin(
                flat,
                warmup,
                step_size=kernel.step_size,
                target_accept_prob=kernel.acceptance,
                adapt_mass_matrix=kernel.adapt_mass,
                model_args=(x, target),
                rng_key=key,
                **path,
            )

        def block(state: Any, x: Any, target: Any, length: Any) -> Any:
            # ``length`` is no constant of the program, so that one program does for all blocks.
            def told(state: Any) -> tuple[Any, ...]:
                each = (state.accept_prob, state.diverging, state.num_steps)
                return (state.z, -state.potential_energy, *each)

            def one(place: Any, carried: Any) -> Any:
                state, kept = carried
                state = step(state, (x, target))
                return state, tuple(
                    values.at[place].set(value)
                    for values, value in zip(kept, told(state), strict=True)
                )

            empty = tuple(
                jax.numpy.zeros((_BLOCK, *value.shape), value.dtype) for value in told(state)
            )
            return jax.lax.fori_loop(0, length, one, (state, empty))

        self._begun, self._block = jax.jit(begun), jax.jit(block)

    def chain(
        self, place: int, seed: int, samples: int, progress: Callable[[Told], None] | None
    ) -> Posterior:
        import jax

        network, dtype = self.network, self.arrays[0].dtype
        start = np.random.default_rng(seed).normal(0, network.prior_scale, network.parameters)
        key = jax.random.PRNGKey(seed)
        state = self._begun(jax.numpy.asarray(start, dtype), key, *self.arrays)
        kept, done, total = [], 0, self.warmup + samples
        while done < total:
            # A block ends where the warm-up does.
            length = min(_BLOCK, (self.warmup if done < self.warmup else total) - done)
            state, told = self._block(state, *self.arrays, length)
            values = [np.array(value)[:length] for value in told]
            if done >= self.warmup:
                kept.append(values)
            done += length
            if progress is not None:
                mean, divergent, steps = values[2].mean(), values[3].sum(), values[4].sum()
                progress(Told(place, done, total, float(mean), int(divergent), int(steps)))
        draws, density, acceptance, divergent, steps = (
            torch.from_numpy(np.concatenate(parts))[None] for parts in zip(*kept, strict=True)
        )
        record = {
            "kernel": type(self.kernel).__name__,
            **asdict(self.kernel),
            "warmup": self.warmup,
            "prior_scale": network.prior_scale,
            "noise": network.noise,
            "seeds": [seed],
            "adapted_step_sizes": [float(state.adapt_state.step_size)],
        }
        return Posterior(
            draws, density, acceptance, divergent, steps.to(torch.int64), network.shapes, record
        )


def _check_adaptation(step_size: float, acceptance: float) -> None:
    if not 0 < step_size < float("inf"):
        raise ValueError(f"step_size is {step_size}; expected a positive number")
    if not 0 < acceptance < 1:
        raise ValueError(f"acceptance is {acceptance}; expected between 0 and 1")
