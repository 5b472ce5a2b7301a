"""The reference: chains of draws from the posterior, each a part, and what they predict."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geocore.config.approximate import ReferencedParams
from geocore.config.runtime import RuntimeParams
from geocore.ensembles.hmc_backend import jax_cpu
from geocore.ensembles.hmc_diagnostics import mixing
from geocore.ensembles.hmc_networks import BayesianNetwork
from geocore.ensembles.hmc_posterior import Posterior, joined, load_posterior, predictive
from geocore.ensembles.seeds import member_seeds
from geocore.errors import UserError
from geocore.measure.mixture_batch import RunningMixture
from geocore.pipeline.approximating_chain import Chain, draw_apart, draw_here
from geocore.pipeline.approximating_mixtures import Mixed
from geocore.pipeline.approximating_tasks import Task
from geocore.pipeline.piece import make_part
from geocore.pipeline.progress import Bar
from geocore.pipeline.stage import Job
from geocore.runs.at_once import at_once
from geocore.runs.store import Piece

__all__ = ["Reference", "draw_chains", "reference_of"]

_MIXED = 200  # inputs on which R-hat and ESS are taken


class Reference:
    """Chains of the posterior: ``of[name]`` are the chains' mixtures on an asked set."""

    def __init__(self, of: dict[str, list[Mixed]], record: dict[str, Any]) -> None:
        self.of, self.record = of, record


def draw_chains(job: Job, task: Task, params: ReferencedParams, bar: Bar) -> list[Piece]:
    """A part a chain, which its own seed decides: more chains keep the first ones.

    Several at a time, each in a process of its own, where ``runtime.workers`` allows it: their
    bytes are the same. Raises ``UserError`` where jax or numpyro is not installed.
    """
    runtime = job.section(RuntimeParams)
    try:
        jax_cpu(runtime.threads)
    except UserError as error:
        raise UserError(f"{error}, or approximate.reference: none") from None
    seeds = member_seeds(params.seed, params.chains)
    processes = runtime.processes(len(seeds))
    drawing = draw_here if processes == 1 else draw_apart
    done = 0

    def part(place: int) -> Piece:
        nonlocal done
        chain = _chain(task, params, seeds[place])

        def say(words: str) -> None:
            bar.start_at(done, f"chain {place + 1}: {words}")

        def fill(folder: Path) -> None:
            inputs, targets = task.samples.inputs, task.samples.targets
            drawing(folder, chain, inputs, targets, runtime.threads, say)

        found = make_part(
            job,
            "approximate-chain",
            fill,
            parameters=chain.about(),
            inputs={"samples": task.digests["samples"]},
            code=["geocore.pipeline.approximating_chain"],
            dtype=chain.dtype,
        )
        done += 1
        bar.start_at(done, f"chain {place + 1}")
        return found

    if processes == 1:
        return [part(place) for place in range(len(seeds))]
    calls = [partial(part, place) for place in range(len(seeds))]
    parts = dict(at_once(calls, processes, wait=False))
    return [parts[place] for place in range(len(seeds))]


def reference_of(parts: list[Piece], task: Task, params: ReferencedParams) -> Reference:
    """What the chains predict, and how well they have mixed, in their predictions."""
    posteriors = [load_posterior(part.folder) for part in parts]
    network = _chain(task, params, 0).network()
    found = {
        name: [_mixed(posterior, network, inputs) for posterior in posteriors]
        for name, inputs in task.asked.items()
    }
    return Reference(found, _record(joined(posteriors), network, task, params.tree_depth))


def _chain(task: Task, params: ReferencedParams, seed: int) -> Chain:
    return Chain(
        architecture=task.architecture,
        prior_scale=params.prior_scale,
        warmup=params.warmup,
        draws=params.draws,
        tree_depth=params.tree_depth,
        seed=seed,
        dtype="float32" if task.dtype == torch.float32 else "float64",
    )


def _mixed(posterior: Posterior, network: BayesianNetwork, inputs: Tensor) -> Mixed:
    """One chain's mixture, as many inputs at a time as keep its predictions small."""
    parts = []
    for x in inputs.split(500):
        log_p = predictive(posterior, network, x)[0].log()
        mixture = RunningMixture(len(x), log_p.shape[-1])
        unlabelled = torch.zeros(len(x), dtype=torch.int64)
        for draw in log_p:
            mixture.add(draw, unlabelled)
        parts.append(mixture.batch())
    return Mixed(
        torch.cat([part.log_probabilities for part in parts]),
        torch.cat([part.expected_entropy for part in parts]),
    )


def _record(
    posterior: Posterior, network: BayesianNetwork, task: Task, tree_depth: int
) -> dict[str, Any]:
    """How the chains went; ``longest_paths`` is the share that the depth of the tree has ended."""
    longest = 2**tree_depth - 1
    inputs = next(iter(task.asked.values()))
    some = inputs[:: max(1, len(inputs) // _MIXED)]
    # Of two classes the probability of one says all.
    probabilities = predictive(posterior, network, some)[..., 1:]
    return {
        "acceptance": float(posterior.acceptance.double().mean()),
        "divergences": posterior.divergences,
        "gradients": int(posterior.gradients.sum()),
        "longest_paths": float((posterior.gradients >= longest).double().mean()),
        **mixing(probabilities),
    }
