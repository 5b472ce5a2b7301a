"""Members of an ensemble that approximates a posterior: networks, training, what they predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from geocore.ensembles.engine import Samples, start_ensemble, train_ensemble
from geocore.ensembles.ensemble_state import EnsembleState
from geocore.ensembles.losses import CrossEntropy
from geocore.ensembles.plan import Plan
from geocore.ensembles.predicting import predict_members as passes
from geocore.ensembles.programs import program
from geocore.ensembles.stack import Stack
from geocore.measure.mixture_batch import RunningMixture
from geocore.models.stochastic.families import Family
from geocore.models.stochastic.networks import stochastic_cnn, stochastic_mlp
from geocore.models.stochastic.prior import prior_coefficients
from geocore.models.stochastic.resnet import stochastic_resnet
from geocore.runs.slots import Slots
from geocore.train.checkpoint import read_checkpoint, write_checkpoint

__all__ = ["Architecture", "Recipe", "fit_members", "predict_members"]

_WEIGHTS = "members.safetensors"
_AT_ONCE = 100  # inputs that are asked about at once: DropConnect draws a number a weight for each


@dataclass(frozen=True)
class Architecture:
    """A network but for its family: ``mlp``, ``cnn`` on grey 8 x 8, ``resnet`` on colour images.

    ``widths`` are all layers' widths of ``mlp``, input and output among them, and the channels of
    the others, which have ten classes; ``depth`` is the layers of ``resnet``.
    """

    kind: Literal["mlp", "cnn", "resnet"]
    widths: tuple[int, ...]
    depth: int = 0

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""
        return self.widths[-1] if self.kind == "mlp" else 10

    def network(self, family: Family, p: float, seed: int) -> nn.Module:
        """The network of that family, with the weights that follow from ``seed``."""
        if self.kind == "mlp":
            return stochastic_mlp(self.widths, family, p, seed=seed)
        if self.kind == "cnn":
            return stochastic_cnn(1, 8, 10, family, p, widths=self.widths, seed=seed)
        return stochastic_resnet(3, 10, family, p, depth=self.depth, widths=self.widths, seed=seed)


@dataclass(frozen=True)
class Recipe:
    """All that the members of one ensemble follow from, but for the samples.

    A member minimises ``mean NLL + 1 / (2 N s^2) sum_l c_l ||omega_l||^2`` with the prior's scale
    ``s`` and the coefficients of the form ``prior`` (``geocore.models.stochastic.prior``). With
    ``flips`` each image of a batch is a mirror image half the time.
    """

    architecture: Architecture
    family: Family
    p: float
    prior: Literal["matching", "published"]
    prior_scale: float
    epochs: int
    batch_size: int
    lr: float
    schedule: Literal["constant", "cosine"]
    flips: bool
    seeds: tuple[int, ...]

    def network(self, seed: int) -> nn.Module:
        """A member before it has learned."""
        return self.architecture.network(self.family, self.p, seed)

    def plan(self) -> Plan:
        """How all of them learn."""
        return Plan(
            epochs=self.epochs, batch_size=self.batch_size, lr=self.lr, schedule=self.schedule
        )

    def about(self) -> dict[str, Any]:
        """As plain values, of which a key can be made."""
        return asdict(self)


def fit_members(
    folder: Path,
    recipe: Recipe,
    samples: Samples,
    device: torch.device,
    *,
    slots: Slots | None = None,
    checkpoint_every: int = 0,
    on_step: Callable[[EnsembleState], None] = lambda state: None,
) -> dict[str, float]:
    """Train all members into ``folder``; their mean loss of the last epoch.

    With ``slots`` a checkpoint is left every so many steps, and the newest is gone on from.
    """
    state = start_ensemble(recipe.network, recipe.seeds, recipe.plan(), device)
    if slots is not None and (found := slots.newest()) is not None:
        read_checkpoint(found.folder, state)

    def keep(state: EnsembleState) -> None:
        if slots is not None:
            slots.save(state.step, lambda place: write_checkpoint(place, state))

    samples = Samples(samples.inputs.to(device), samples.targets.to(device))
    weight = 1 / (len(samples) * recipe.prior_scale**2)
    coefficients = prior_coefficients(recipe.network(recipe.seeds[0]), recipe.prior)
    members = train_ensemble(
        state,
        samples,
        None,
        CrossEntropy(),
        augment=_flipped if recipe.flips else None,
        prior={name: c * weight for name, c in coefficients.items()},
        checkpoint_every=checkpoint_every,
        on_checkpoint=keep,
        on_step=on_step,
    )
    stacked = {
        name: torch.stack([member.weights[name] for member in members]).cpu()
        for name in members[0].weights
    }
    save_file(stacked, folder / _WEIGHTS)
    nll = sum(float(member.best["train_nll"]) for member in members) / len(members)
    return {"train_nll": nll}


def predict_members(
    folder: Path, recipe: Recipe, asked: Mapping[str, Tensor], device: torch.device
) -> dict[str, Tensor]:
    """``NAME.log_q (n, classes)`` and ``NAME.expected_entropy (n,)`` of each asked set.

    Members are those that ``fit_members`` left in ``folder``; each makes one stochastic pass, with
    weights of its own for each input. Of their mixture ``q`` the logarithm is told, by logsumexp,
    and the mean of the members' entropies, float64.
    """
    weights = load_file(folder / _WEIGHTS)
    places = {seed: place for place, seed in enumerate(recipe.seeds)}

    def trained(seed: int) -> nn.Module:
        member = recipe.network(seed)
        member.load_state_dict({name: rows[places[seed]] for name, rows in weights.items()})
        return member

    running = program(Stack(trained, recipe.seeds, device))
    found: dict[str, Tensor] = {}
    for name, inputs in asked.items():
        unlabelled = torch.zeros(len(inputs), dtype=torch.int64, device=device)
        samples = Samples(inputs.to(device), unlabelled)
        mixture = RunningMixture(len(inputs), recipe.architecture.classes)
        for predicted in passes(running, samples, _AT_ONCE):
            outputs = predicted.outputs.double().cpu()
            for one in outputs.log_softmax(dim=-1):
                mixture.add(one, predicted.targets.cpu(), int(predicted.samples[0]))
        batch = mixture.batch()
        found[f"{name}.log_q"] = batch.log_probabilities
        found[f"{name}.expected_entropy"] = batch.expected_entropy
    return found


def _flipped(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half of the images ``(batch, channels, height, width)``, each by itself, left to right."""
    mirrored = torch.rand(len(x), generator=generator).to(x.device) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(-1), x), y
