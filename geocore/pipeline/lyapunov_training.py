"""Networks whose stretching is looked at: how they learn, and as what they are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from geocore.ensembles.engine import Samples, start_ensemble, train_ensemble
from geocore.ensembles.ensemble_state import EnsembleState
from geocore.ensembles.losses import CrossEntropy, SquaredError
from geocore.ensembles.plan import Plan
from geocore.explain.tanh_network import tanh_network
from geocore.runs.slots import Slots
from geocore.train.checkpoint import read_checkpoint, write_checkpoint

__all__ = ["Recipe", "fit", "weights_of"]

_WEIGHTS = "networks.safetensors"


@dataclass(frozen=True)
class Recipe:
    """All that networks follow from, but for the samples.

    ``widths`` of inputs, hidden layers with tanh, outputs. Numbers are learned by SGD on the
    squared error, with tanh of the outputs too, classes by Adam on the cross-entropy of the
    softmax; the rate falls along a cosine, and each network has an order of its own of the samples.
    """

    widths: tuple[int, ...]
    learns: Literal["numbers", "classes"]
    epochs: int
    batch_size: int
    lr: float
    seeds: tuple[int, ...]

    def network(self, seed: int) -> nn.Sequential:
        """One of them before it has learned."""
        return tanh_network(self.widths, seed, bounded=self.learns == "numbers")

    def plan(self) -> Plan:
        """How all of them learn."""
        return Plan(
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            optimiser="sgd" if self.learns == "numbers" else "adamw",
            schedule="cosine",
        )

    def about(self) -> dict[str, Any]:
        """As plain values, of which a key can be made."""
        return asdict(self)


def fit(
    folder: Path,
    recipe: Recipe,
    samples: Samples,
    device: torch.device,
    *,
    slots: Slots | None = None,
    checkpoint_every: int = 0,
    tell: Callable[[int], None] = lambda step: None,
) -> None:
    """Train all networks into ``folder``; ``tell`` is called with the step after each one.

    With ``slots`` a checkpoint is left every so many steps, and the newest is gone on from.
    """
    state = start_ensemble(recipe.network, recipe.seeds, recipe.plan(), device)
    if slots is not None and (found := slots.newest()) is not None:
        read_checkpoint(found.folder, state)

    def keep(state: EnsembleState) -> None:
        if slots is not None:
            slots.save(state.step, lambda place: write_checkpoint(place, state))

    loss = SquaredError() if recipe.learns == "numbers" else CrossEntropy()
    members = train_ensemble(
        state,
        Samples(samples.inputs.to(device), samples.targets.to(device)),
        None,
        loss,
        checkpoint_every=checkpoint_every,
        on_checkpoint=keep,
        on_step=lambda state: tell(state.step),
    )
    stacked = {
        name: torch.stack([member.weights[name] for member in members]).cpu()
        for name in members[0].weights
    }
    save_file(stacked, folder / _WEIGHTS)


def weights_of(folder: Path) -> dict[str, Tensor]:
    """What ``fit`` left there: by name the weights of all networks, ``(networks, *shape)``."""
    return load_file(folder / _WEIGHTS)
