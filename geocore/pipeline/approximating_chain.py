"""A chain of the reference, here or in a process of its own.

That is ``python -m geocore.pipeline.approximating_chain``.

How it is asked and answers: ``geocore.ensembles.conversation``.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from geocore.ensembles.conversation import Say, ask, opened, serve
from geocore.ensembles.hmc import Nuts, Told, sample_posterior
from geocore.ensembles.hmc_networks import BayesianNetwork
from geocore.ensembles.hmc_posterior import save_posterior
from geocore.pipeline.approximating_members import Architecture

__all__ = ["Chain", "draw_apart", "draw_here"]

_SAMPLES = "samples.safetensors"


@dataclass(frozen=True)
class Chain:
    """All that a chain follows from, but for the samples and the threads."""

    architecture: Architecture
    prior_scale: float
    warmup: int
    draws: int
    tree_depth: int
    seed: int
    dtype: Literal["float32", "float64"]

    @property
    def kernel(self) -> Nuts:
        """The sampler, which adapts itself in the warm-up."""
        return Nuts(max_tree_depth=self.tree_depth)

    def about(self) -> dict[str, Any]:
        """As plain values, of which a key can be made; without ``dtype``."""
        return {
            "architecture": asdict(self.architecture),
            "prior_scale": self.prior_scale,
            "warmup": self.warmup,
            "draws": self.draws,
            "kernel": asdict(self.kernel),
            "seed": self.seed,
        }

    def network(self) -> BayesianNetwork:
        """The network whose weights are drawn."""
        module = self.architecture.network("none", 0.0, 0)
        if not isinstance(module, nn.Sequential):
            kind = self.architecture.kind
            raise ValueError(f"architecture is {kind}; expected mlp or cnn, a chain of layers")
        return BayesianNetwork(module, self.prior_scale)


def draw_here(folder: Path, chain: Chain, x: Tensor, y: Tensor, threads: int, say: Say) -> None:
    """Draw the chain and save it into ``folder``."""

    def tell(told: Told) -> None:
        say(f"iteration {told.iteration} of {told.iterations}, acceptance {told.acceptance:.2f}")

    posterior = sample_posterior(
        chain.network(),
        x,
        y,
        chains=1,
        warmup=chain.warmup,
        samples=chain.draws,
        seed=chain.seed,
        kernel=chain.kernel,
        dtype=getattr(torch, chain.dtype),
        threads=threads,
        progress=tell,
    )
    save_posterior(posterior, folder)


def draw_apart(folder: Path, chain: Chain, x: Tensor, y: Tensor, threads: int, say: Say) -> None:
    """``draw_here`` in a process of its own, to the last bit: jax runs one program at a time.

    Raises ``UserError`` as it does, ``RuntimeError`` if the process died.
    """
    samples = folder / _SAMPLES
    save_file({"x": x.contiguous(), "y": y.contiguous()}, samples)
    request = {"folder": str(folder.resolve()), "chain": asdict(chain), "threads": threads}
    try:
        with opened("geocore.pipeline.approximating_chain") as process:
            ask(process, request, say, "a chain's process")
    finally:
        samples.unlink()


def main() -> int:
    """Draw what the request asks for; the exit code of a user's mistake is 2."""
    return serve(_draw)


def _draw(request: dict[str, Any], say: Say) -> None:
    folder, about, threads = Path(request["folder"]), request["chain"], request["threads"]
    drawn = about.pop("architecture")
    drawn["widths"] = tuple(drawn["widths"])
    chain = Chain(architecture=Architecture(**drawn), **about)
    tensors = load_file(folder / _SAMPLES)
    torch.set_num_threads(max(1, threads))
    draw_here(folder, chain, tensors["x"], tensors["y"], threads, say)


if __name__ == "__main__":
    sys.exit(main())
