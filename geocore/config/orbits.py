"""What the ensembles of emergent equivariance learn, how, and when they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field, model_validator

from geocore.config.foreign_json import shown
from geocore.config.section import PowerOfTwo, Section, Seed, rule

__all__ = [
    "CommonOrbits",
    "DigitsOrbits",
    "HealpixOrbits",
    "IsingOrbits",
    "OrbitsParams",
    "TextureOrbits",
    "VectorOrbits",
]

Times = Annotated[
    tuple[Annotated[int, Field(ge=0, le=1_000_000)], ...],
    *rule(
        lambda times: (
            len(times) >= 2
            and times[0] == 0
            and all(first < second for first, second in pairwise(times))
        ),
        "a list of growing integers from 0 to 1000000, at least two, the first of them 0",
    ),
]
Turns = Literal[4, 8, 16]
Side = Annotated[int, Field(ge=4, le=256)]


class OrbitsParams(Section):
    """``orbits``: a task, the networks, how many there are, how they learn, when they are asked.

    ``of`` says which further keys a task has. This class reads the task alone: what it takes for a
    section is refused for its task.
    """

    model_config = ConfigDict(extra="ignore")
    title: ClassVar[str] = "orbits"

    task: Literal["ising", "digits", "texture", "vector", "healpix"]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> type[Section]:
        """The class of the task that ``raw`` names."""
        for kind in (IsingOrbits, DigitsOrbits, TextureOrbits, VectorOrbits, HealpixOrbits):
            if raw.get("task") in get_args(kind.model_fields["task"].annotation):
                return kind
        return cls


class CommonOrbits(OrbitsParams):
    """What all tasks share."""

    model_config = ConfigDict(extra="forbid")

    width: int = Field(ge=1, le=65536, description="units, or channels, of each hidden layer")
    depth: int = Field(ge=1, le=16, description="hidden layers")
    members: int = Field(ge=2, le=65536, description="networks with, and as many without orbits")
    chunk: int = Field(ge=1, le=65536, description="members that are trained together and kept")
    train: int = Field(ge=1, le=1_000_000, description="samples to train on")
    test: int = Field(ge=1, le=100_000, description="inputs of each kind that are asked")
    batch_size: int = Field(
        ge=1, le=1_000_000, description="samples of a step; with augmentation whole orbits of them"
    )
    times: Times = Field(description="optimiser steps after which all are asked; it ends there")
    lr: float = Field(gt=0, le=10)
    optimiser: Literal["adamw", "sgd"]
    seed: Seed = Field(description="of data, weights and order")
    closed_max: float = Field(
        gt=0, le=1, description="largest relative deviation of the orbit-closed ensemble, float64"
    )

    @model_validator(mode="after")
    def _chunks(self) -> CommonOrbits:
        if self.chunk > self.members:
            raise ValueError(
                f"orbits.chunk is {self.chunk}; expected at most the {self.members} of "
                "orbits.members"
            )
        return self


class IsingOrbits(CommonOrbits):
    """Energies of spins on a periodic square lattice, under quarter turns."""

    task: Literal["ising"]
    side: int = Field(ge=2, le=64, description="spins of a lattice's side")


class _ImageOrbits(CommonOrbits):
    """What tasks on images share: quarter turns, or finer turns that interpolate."""

    network: Literal["mlp", "cnn"]
    image_size: Side | None = Field(description="pixels of a side; null: as the images are")
    order: Turns = Field(description="turns of 360 / order degrees are trained on")
    angles: Annotated[int, Field(ge=4, le=360)] | None = Field(
        description="turns that are asked for the continuum, a multiple of order; null: none"
    )

    @model_validator(mode="after")
    def _convolutions(self) -> _ImageOrbits:
        if self.network == "cnn" and self.depth != 2:
            raise ValueError(f"orbits.depth is {self.depth}; expected 2 for network cnn")
        return self

    @model_validator(mode="after")
    def _angles(self) -> _ImageOrbits:
        if self.angles is not None and self.angles % self.order:
            raise ValueError(
                f"orbits.angles is {self.angles}; expected a multiple of orbits.order, {self.order}"
            )
        return self


class DigitsOrbits(_ImageOrbits):
    """Classes of small images."""

    task: Literal["digits"]
    source: Literal["digits", "mnist", "fashion_mnist"]
    other: Literal["textures", "digits", "mnist"] = Field(
        description="further inputs that are asked and of which none is trained on"
    )


class TextureOrbits(_ImageOrbits):
    """Classes of textures as of histological slices: generated, or a folder's."""

    task: Literal["texture"]
    source: Literal["generated", "image_folder"]
    path: str | None = Field(
        description="folder of image_folder, a folder a class, relative to the repository, else "
        "to the folder that GEOCORE_DATA names; null for generated"
    )

    @model_validator(mode="after")
    def _source(self) -> TextureOrbits:
        generated = self.source == "generated"
        if generated != (self.path is None):
            expected = "null" if generated else "the folder of image_folder"
            raise ValueError(
                f"orbits.path is {shown(self.path)}; expected {expected} with orbits.source "
                f"{self.source}"
            )
        if self.image_size is None and generated:
            raise ValueError(
                "orbits.image_size is null; expected pixels with orbits.source generated"
            )
        return self


class VectorOrbits(CommonOrbits):
    """The cross product of two vectors, under the rotations of a cube."""

    task: Literal["vector"]
    rotations: int = Field(
        ge=1, le=1000, description="of SO(3), sampled, that are asked for the continuum"
    )


class HealpixOrbits(CommonOrbits):
    """Classes of digits on HEALPix maps, under the sixteen symmetries of the grid."""

    task: Literal["healpix"]
    nside: PowerOfTwo
