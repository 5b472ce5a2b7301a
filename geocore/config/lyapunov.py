"""What the networks learn whose stretching of input space is looked at, and what must hold."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field, model_validator

from geocore.config.section import Section, Seed, rule

__all__ = ["CircleLyapunov", "CommonLyapunov", "ImagesLyapunov", "LyapunovParams"]


def _growing(most: int) -> Any:
    return rule(
        lambda sizes: sizes and all(first < second for first, second in pairwise(sizes)),
        f"a list of growing integers from 1 to {most}, at least one",
    )


Depths = Annotated[tuple[Annotated[int, Field(ge=1, le=256)], ...], *_growing(256)]
Widths = Annotated[tuple[Annotated[int, Field(ge=1, le=65536)], ...], *_growing(65536)]


class LyapunovParams(Section):
    """``lyapunov``: a task, its networks, how they learn, and the bounds of its figures.

    ``of`` says which further keys a task has. This class reads the task alone: what it takes for a
    section is refused for its task.
    """

    model_config = ConfigDict(extra="ignore")
    title: ClassVar[str] = "lyapunov"

    task: Literal["circle", "images"]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> type[Section]:
        """The class of the task that ``raw`` names."""
        for kind in (CircleLyapunov, ImagesLyapunov):
            if raw.get("task") in get_args(kind.model_fields["task"].annotation):
                return kind
        return cls


class CommonLyapunov(LyapunovParams):
    """What all tasks share."""

    model_config = ConfigDict(extra="forbid")

    members: int = Field(ge=2, le=4096, description="networks of each kind, or of an ensemble")
    train: int = Field(ge=1, le=1_000_000, description="samples to train on")
    epochs: int = Field(ge=1, le=100_000)
    batch_size: int = Field(ge=1, le=1_000_000)
    lr: float = Field(gt=0, le=10, description="at its highest; it falls along a cosine")
    seed: Seed = Field(description="of data, weights and order")
    size: int = Field(ge=5, le=2001, description="points of a field's side")


class CircleLyapunov(CommonLyapunov):
    """Is a point of the plane inside a circle? By networks of several depths and widths."""

    task: Literal["circle"]
    depths: Depths = Field(description="hidden layers")
    widths: Widths = Field(description="units of each hidden layer")
    linear_widths: Widths = Field(description="of linear networks of normal weights, for their law")
    linear_depth: int = Field(ge=1, le=10_000)
    linear_networks: int = Field(ge=2, le=100_000)
    contrast_min: float = Field(
        ge=-100,
        le=100,
        description="ridge less centre of L lambda, the deepest, narrowest networks",
    )
    alignment_min: float = Field(
        ge=0, le=1, description="of the stretching direction and the boundary's normal"
    )
    auc_min: float = Field(ge=0, le=1, description="of lambda for points near the boundary")
    linear_errors_max: float = Field(
        gt=0, le=100, description="standard errors that linear networks may be off their law"
    )


class ImagesLyapunov(CommonLyapunov):
    """Classes of images, by perceptrons with a bottleneck of two units."""

    task: Literal["images"]
    source: Literal["digits", "mnist", "fashion_mnist"]
    test: int = Field(ge=10, le=100_000, description="images that are asked")
    width: int = Field(ge=1, le=65536, description="units of each hidden layer but the bottleneck")
    before: int = Field(ge=1, le=256, description="hidden layers in front of the bottleneck")
    after: int = Field(ge=1, le=256, description="hidden layers behind the bottleneck")
    ensembles: int = Field(ge=2, le=1000, description="each of so many members, for error bars")
    groups: int = Field(ge=2, le=1000, description="of equally many images, by their exponent")
    rise_errors_min: float = Field(
        ge=0,
        le=100,
        description="standard errors that the rank correlation of the exponent with the share of "
        "wrong members, and with the entropy, must be above 0",
    )

    @model_validator(mode="after")
    def _groups(self) -> ImagesLyapunov:
        if self.groups > self.test:
            raise ValueError(
                f"lyapunov.groups is {self.groups}; expected at most the {self.test} of "
                "lyapunov.test"
            )
        return self
