"""Draws of a posterior: what is kept of them, their file, and what they predict."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.func import functional_call, vmap

from geocore.config.foreign_json import parse_json
from geocore.ensembles.hmc_networks import BayesianNetwork
from geocore.errors import UserError
from geocore.runs.atomic import replacing, write_json

__all__ = ["Posterior", "joined", "load_posterior", "predictive", "save_posterior"]

_TENSORS = ("draws", "log_density", "acceptance", "divergent", "gradients")
_AT_ONCE = 1 << 22  # numbers of all layers of a block: what a cache holds


@dataclass(frozen=True)
class Posterior:
    """Draws ``theta ~ p(theta | data)`` of several chains, warm-up left out.

    ``draws`` is ``(chains, samples, parameters)``, flat as ``BayesianNetwork`` has it, with the
    parameters' names and shapes in ``shapes``. One number a draw, ``(chains, samples)``, have
    ``log_density`` (``log p(theta, y | x)``), ``acceptance`` (the mean probability of the path),
    ``divergent`` (bool: the integrator's energy ran off) and ``gradients`` (what the path cost).
    ``record`` holds the settings: what JSON can.
    """

    draws: Tensor
    log_density: Tensor
    acceptance: Tensor
    divergent: Tensor
    gradients: Tensor
    shapes: dict[str, tuple[int, ...]]
    record: dict[str, Any]

    def __post_init__(self) -> None:
        if self.draws.ndim != 3 or 0 in self.draws.shape:
            found = tuple(self.draws.shape)
            raise ValueError(f"draws has shape {found}; expected (chains, samples, parameters)")
        for name in _TENSORS[1:]:
            if getattr(self, name).shape != self.draws.shape[:2]:
                found = tuple(getattr(self, name).shape)
                raise ValueError(f"{name} has shape {found}; expected {self.draws.shape[:2]}")

    @property
    def divergences(self) -> int:
        """How many draws ended a path that diverged."""
        return int(self.divergent.sum())


def joined(posteriors: Sequence[Posterior]) -> Posterior:
    """The chains of all, in order, as one posterior.

    Raises ``ValueError`` for none, and for other settings, shapes or numbers of samples.
    """
    if not posteriors:
        raise ValueError("posteriors is empty; expected at least one")
    own = ("seeds", "adapted_step_sizes")  # a chain's own: a list each
    first = posteriors[0]
    for other in posteriors[1:]:
        common = [{k: v for k, v in p.record.items() if k not in own} for p in (first, other)]
        if common[0] != common[1] or first.shapes != other.shapes:
            raise ValueError("posteriors have other settings or networks; expected the same")
        if first.draws.shape[1:] != other.draws.shape[1:]:
            raise ValueError("posteriors have other numbers of samples; expected the same")
    record = dict(first.record)
    for name in own:
        record[name] = [value for p in posteriors for value in p.record.get(name, [])]
    tensors = [torch.cat([getattr(p, name) for p in posteriors]) for name in _TENSORS]
    return _posterior(tensors, first.shapes, record)


def predictive(
    posterior: Posterior,
    network: BayesianNetwork,
    x: Tensor,
    *,
    thin: int = 1,
    block: int | None = None,
) -> Tensor:
    """``p(c | x_i, theta)`` of each draw: ``(chains, samples, n, classes)`` float64.

    ``x (n, ...)`` as the network takes it; every ``thin``-th draw; ``block`` draws at a time, by
    default as many as keep all layers near 2^22 numbers. With a ``noise`` the outputs themselves.
    Raises ``ValueError`` for another network than that of the draws, and for bad ``x``.
    """
    if posterior.shapes != network.shapes:
        raise ValueError(f"network has {network.shapes}; expected {posterior.shapes}")
    for name, value in (("thin", thin), ("block", block)):
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    outputs = network.check_data(x)
    kept = posterior.draws[:, ::thin].double()
    flat = kept.flatten(0, 1)
    if block is None:
        # What lies between input and output is larger than both, by some 10 times.
        block = max(1, _AT_ONCE // (10 * max(x.numel(), len(x) * outputs)))
    inputs = x.double().to(flat.device)
    module = copy.deepcopy(network.module).to(flat.device)

    def outputs_of(parameters: Tensor) -> Tensor:
        out: Tensor = functional_call(module, network.unflatten(parameters), (inputs,))
        return out

    many = vmap(outputs_of)
    found = torch.empty(len(flat), len(x), outputs, dtype=torch.float64, device=flat.device)
    with torch.no_grad():
        for first in range(0, len(flat), block):
            out = many(flat[first : first + block])
            found[first : first + block] = out if network.noise is not None else out.softmax(-1)
    probabilities: Tensor = found.unflatten(0, kept.shape[:2])
    return probabilities


def save_posterior(posterior: Posterior, folder: Path) -> None:
    """``posterior.safetensors`` and ``posterior.json`` in ``folder``: each whole or not there."""
    with replacing(folder / "posterior.safetensors") as temporary:
        tensors = {name: getattr(posterior, name).cpu().contiguous() for name in _TENSORS}
        save_file(tensors, temporary)
    shapes = [[name, list(shape)] for name, shape in posterior.shapes.items()]
    write_json(folder / "posterior.json", {"shapes": shapes, "record": posterior.record})


def load_posterior(folder: Path) -> Posterior:
    """What ``save_posterior`` wrote; ``UserError`` if a file is missing or damaged."""
    try:
        tensors = load_file(folder / "posterior.safetensors")
        told = parse_json((folder / "posterior.json").read_bytes())
        shapes = {name: tuple(shape) for name, shape in told["shapes"]}
        return _posterior([tensors[name] for name in _TENSORS], shapes, told["record"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        found = f"{type(error).__name__}: {error}"
        raise UserError(f"{folder} holds no posterior ({found}); expected a saved one") from None


def _posterior(
    tensors: Sequence[Tensor], shapes: dict[str, tuple[int, ...]], record: dict[str, Any]
) -> Posterior:
    draws, log_density, acceptance, divergent, gradients = tensors  # as in _TENSORS
    return Posterior(draws, log_density, acceptance, divergent, gradients, shapes, record)
