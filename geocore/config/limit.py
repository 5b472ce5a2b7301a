"""What infinitely wide networks are asked: accuracies, widths, a theorem, ensembles, the sphere."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field, model_validator

from geocore.config.foreign_json import shown
from geocore.config.section import PowerOfTwo, Section, Seed, rule

__all__ = [
    "AccuracyLimit",
    "CurveLimit",
    "EnsembleLimit",
    "LimitParams",
    "SphereLimit",
    "TheoremLimit",
    "WidthLimit",
]


def _growing(count: int, words: str) -> Any:
    return rule(
        lambda sizes: (
            len(sizes) >= count and all(first < second for first, second in pairwise(sizes))
        ),
        f"a list of growing integers {words}",
    )


Sizes = Annotated[
    tuple[Annotated[int, Field(ge=2, le=100_000)], ...],
    *_growing(1, "from 2 to 100000, at least one"),
]
Widths = Annotated[
    tuple[Annotated[int, Field(ge=1, le=65536)], ...],
    *_growing(2, "from 1 to 65536, at least two"),
]
Steps = Annotated[
    tuple[Annotated[int, Field(ge=0, le=1_000_000)], ...],
    *_growing(2, "from 0 to 1000000, at least two"),
]
Side = Annotated[int, Field(ge=4, le=64)]


class LimitParams(Section):
    """``limit``: a task. ``of`` says which further keys it has.

    This class reads the task alone: what it takes for a section is refused for its task.
    """

    model_config = ConfigDict(extra="ignore")
    title: ClassVar[str] = "limit"

    task: Literal["accuracy", "sphere", "width", "theorem", "ensemble"]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> type[Section]:
        """The class of the task that ``raw`` names."""
        for kind in (AccuracyLimit, SphereLimit, WidthLimit, TheoremLimit, EnsembleLimit):
            if raw.get("task") in get_args(kind.model_fields["task"].annotation):
                return kind
        return cls


class _Common(LimitParams):
    model_config = ConfigDict(extra="forbid")

    seed: Seed = Field(description="of data and of all that is drawn")


class CurveLimit(_Common):
    """What accuracies against the number of samples share: samples, runs, regression, blocks."""

    pool: int = Field(ge=4, le=100_000, description="images of which each run draws its own")
    sizes: Sizes = Field(description="samples to learn from")
    test: int = Field(ge=1, le=100_000, description="images that are asked in each run")
    runs: int = Field(ge=2, le=1000, description="draws of samples, from which errors come")
    depth: int = Field(ge=1, le=16, description="convolutions, or hidden layers")
    ridge: float = Field(ge=0, le=1, description="in parts of the kernel's mean diagonal")
    block: int = Field(ge=1, le=10_000, description="samples of a block's side")
    dtype: Literal["float32", "float64"] = Field(description="that kernels are computed in")
    gain_min: float = Field(
        ge=-1, le=1, description="least mean gain in accuracy of the tangent kernel by symmetry"
    )

    @model_validator(mode="after")
    def _fits(self) -> CurveLimit:
        if self.sizes[-1] + self.test > self.pool:
            raise ValueError(
                f"limit.pool is {self.pool}; expected at least the largest of limit.sizes and "
                f"limit.test together, {self.sizes[-1] + self.test}"
            )
        return self


class AccuracyLimit(CurveLimit):
    """Equivariant against plain kernels on images, each turned by an element of C_n."""

    task: Literal["accuracy"]
    source: Literal["digits", "mnist", "fashion_mnist", "generated", "image_folder"]
    path: str | None = Field(
        description="folder of image_folder, a folder a class, relative to the repository, else "
        "to the folder that GEOCORE_DATA names; null for the others"
    )
    image_size: Side | None = Field(description="pixels of a side; null: as the images are")
    order: Literal[4, 8] = Field(description="images are turned by 360 / order degrees, any times")

    @model_validator(mode="after")
    def _source(self) -> AccuracyLimit:
        if (self.source == "image_folder") != (self.path is not None):
            expected = "the folder of image_folder" if self.path is None else "null"
            raise ValueError(
                f"limit.path is {shown(self.path)}; expected {expected} with limit.source "
                f"{self.source}"
            )
        if self.source == "generated" and self.image_size is None:
            raise ValueError(
                "limit.image_size is null; expected pixels with limit.source generated"
            )
        return self


class SphereLimit(CurveLimit):
    """SO(3)-invariant against plain kernels on spherical digits, each turned by a rotation."""

    task: Literal["sphere"]
    source: Literal["digits", "mnist", "fashion_mnist"]
    nside: PowerOfTwo = Field(description="of the maps that images are laid on")
    bandlimit: int = Field(ge=2, le=32, description="degrees of the coefficients that are kept")
    sampling: int = Field(ge=2, le=64, description="of the rotations that kernels are sampled at")

    @model_validator(mode="after")
    def _degrees(self) -> SphereLimit:
        if self.bandlimit > 3 * self.nside:
            raise ValueError(
                f"limit.bandlimit is {self.bandlimit}; expected at most 3 limit.nside, "
                f"{3 * self.nside}"
            )
        if self.sampling < self.bandlimit:
            raise ValueError(
                f"limit.sampling is {self.sampling}; expected at least limit.bandlimit, "
                f"{self.bandlimit}"
            )
        return self


class WidthLimit(_Common):
    """How finite networks tend to their kernels as they widen."""

    task: Literal["width"]
    widths: Widths = Field(description="channels of each hidden layer")
    draws: int = Field(ge=2, le=100_000, description="networks of each width")
    inputs: int = Field(ge=2, le=100, description="smooth images that are asked")
    image_size: Side = Field(description="pixels of a side")


class TheoremLimit(_Common):
    """Training on whole orbits against the symmetrised kernel, at several times."""

    task: Literal["theorem"]
    source: Literal["ising", "digits"]
    side: int | None = Field(ge=2, le=64, description="spins of a lattice's side; null for digits")
    train: int = Field(ge=2, le=10_000, description="samples to learn from")
    test: int = Field(ge=1, le=10_000, description="inputs of each kind that are asked")
    depth: int = Field(ge=1, le=16, description="convolutions, or hidden layers")
    law_max: float = Field(
        gt=0, le=1, description="largest relative difference of the two predictors, float64"
    )

    @model_validator(mode="after")
    def _source(self) -> TheoremLimit:
        if (self.source == "ising") != (self.side is not None):
            expected = "a number" if self.side is None else "null"
            raise ValueError(
                f"limit.side is {shown(self.side)}; expected {expected} with limit.source "
                f"{self.source}"
            )
        return self


class EnsembleLimit(_Common):
    """Ensembles of wide networks on whole orbits and without: predicted and trained."""

    task: Literal["ensemble"]
    side: int = Field(ge=2, le=64, description="spins of a lattice's side")
    train: int = Field(ge=2, le=10_000, description="samples to learn from")
    test: int = Field(ge=1, le=10_000, description="inputs of each kind that are asked")
    width: int = Field(ge=1, le=65536, description="units of each hidden layer of trained members")
    depth: int = Field(ge=1, le=16, description="hidden layers")
    members: int = Field(ge=4, le=65536, description="trained with, and as many without orbits")
    chunk: int = Field(ge=1, le=65536, description="members that are trained together and kept")
    steps: Steps = Field(description="of gradient descent, after which all are asked")
    lr: float = Field(gt=0, le=1000, description="of the mean of half the squared error")
    law_max: float = Field(
        gt=0, le=1, description="largest relative deviation of the mean of infinitely many, float64"
    )

    @model_validator(mode="after")
    def _chunks(self) -> EnsembleLimit:
        if self.chunk > self.members:
            raise ValueError(
                f"limit.chunk is {self.chunk}; expected at most the {self.members} of limit.members"
            )
        return self
