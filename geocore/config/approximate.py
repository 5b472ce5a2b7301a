"""Which ensembles approximate which posterior: one class of parameters a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field, model_validator

from geocore.config.section import Section, Seed, rule

__all__ = [
    "ApproximateParams",
    "Cifar10Params",
    "DigitsParams",
    "EnsemblesParams",
    "ReferencedParams",
    "ToyParams",
]

Family = Literal["none", "dropout", "dropconnect", "nonparametric"]
Positive = Annotated[int, Field(ge=1, le=4096)]
Chances = Annotated[
    tuple[Annotated[float, Field(gt=0, lt=1)], ...],
    *rule(
        lambda p: len(p) > 0 and len(set(p)) == len(p),
        "a list of different numbers above 0 and below 1, at least one",
    ),
]
Families = Annotated[
    tuple[Family, ...],
    *rule(
        lambda names: len(names) > 0 and len(set(names)) == len(names),
        f"a list of one or more of {', '.join(get_args(Family))}, each once",
    ),
]
Hidden = Annotated[
    tuple[Positive, ...],
    *rule(lambda widths: len(widths) > 0, "a list of at least one integer from 1 to 4096"),
]
Pair = Annotated[
    tuple[Positive, ...],
    *rule(lambda widths: len(widths) == 2, "a list of two integers from 1 to 4096"),
]
Three = Annotated[
    tuple[Positive, ...],
    *rule(lambda widths: len(widths) == 3, "a list of three integers from 1 to 4096"),
]
Depth = Annotated[
    int, *rule(lambda n: 8 <= n <= 110 and n % 6 == 2, "one of 8, 14, 20, ..., 110: 6 n + 2")
]


class ApproximateParams(Section):
    """``approximate``: one of the tasks; ``of`` says which keys it has.

    This class reads the task's name alone: what it takes for a section is refused for its name.
    """

    model_config = ConfigDict(extra="ignore")
    title: ClassVar[str] = "approximate"

    data: Literal["toy", "digits", "cifar10"]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> type[Section]:
        """The class of the task that ``raw`` names."""
        for kind in (ToyParams, DigitsParams, Cifar10Params):
            if raw.get("data") in get_args(kind.model_fields["data"].annotation):
                return kind
        return cls


class EnsemblesParams(ApproximateParams):
    """What all tasks share: the ensembles, their prior, how their members learn."""

    model_config = ConfigDict(extra="forbid")

    families: Families = Field(description="of the members; none is the deep ensemble")
    p: Chances = Field(description="dropped share of dropout and DropConnect, an ensemble each")
    members: int = Field(ge=1, le=4096, description="of an ensemble")
    repeats: int = Field(
        ge=1, le=100, description="ensembles of each kind, with seeds of their own"
    )
    prior: Literal["matching", "published"] = Field(
        description="matching: the prior speaks of the weights that are really used"
    )
    prior_scale: float = Field(gt=0, le=1000, description="standard deviation of each weight")
    epochs: int = Field(ge=1, le=100_000)
    batch_size: int = Field(ge=1, le=1_000_000)
    lr: float = Field(gt=0, le=10, description="of Adam")
    schedule: Literal["constant", "cosine"] = Field(description="of the learning rate")
    seed: Seed = Field(description="of data, members and chains")


class ReferencedParams(EnsemblesParams):
    """Tasks small enough for the posterior itself, by Hamiltonian Monte Carlo."""

    reference: Literal["hmc", "none"] = Field(description="none: without the posterior")
    chains: int = Field(ge=2, le=64, description="of the reference, at least 2: they are compared")
    warmup: int = Field(ge=10, le=1_000_000, description="iterations of a chain that adapt it")
    draws: int = Field(ge=4, le=1_000_000, description="iterations of a chain that are kept")
    tree_depth: int = Field(
        ge=1, le=14, description="an iteration follows at most 2^depth - 1 gradients"
    )


class ToyParams(ReferencedParams):
    """``toy``: two coordinates, two classes, and shells of growing distance around them."""

    data: Literal["toy"]
    points: int = Field(ge=2, le=1_000_000, description="samples, uniform in [0, 3] x [-3, 3]")
    hidden: Hidden = Field(description="widths of the hidden layers")
    shells: int = Field(ge=1, le=100, description="shells about the samples, of width 1 each")
    spacing: float = Field(ge=0.05, le=1, description="of the lattice on which all are asked")


class DigitsParams(ReferencedParams):
    """``digits``: the 1,797 digits of scikit-learn and a small convolutional network."""

    data: Literal["digits"]
    training: int = Field(ge=10, le=1700, description="digits to learn from; the others are asked")
    widths: Pair = Field(description="channels of the two convolutions")


class Cifar10Params(EnsemblesParams):
    """``cifar10``: photographs and a small residual network; no reference, but corruptions."""

    data: Literal["cifar10"]
    training: int = Field(ge=10, le=50_000, description="images to learn from, the first ones")
    asked: int = Field(ge=10, le=10_000, description="test images, the first ones")
    depth: Depth = Field(description="layers of the residual network")
    widths: Three = Field(description="channels of its three stages")

    @model_validator(mode="after")
    def _batches(self) -> Cifar10Params:
        if self.batch_size > self.training:
            raise ValueError(
                f"approximate.batch_size is {self.batch_size}; expected at most the "
                f"{self.training} images of approximate.training"
            )
        return self
