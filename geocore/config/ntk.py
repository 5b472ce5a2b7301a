"""The infinitely wide network, and what its kernels learn from."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from geocore.config.section import Section, Seed

__all__ = ["NtkParams"]


class NtkParams(Section):
    """``ntk``: a network of ``geocore.kernels.network``, and regression with its kernels.

    ``backend`` computes them: ``geocore.kernels`` or neural-tangents. ``block`` is tracked: how a
    kernel is parted may move its last bits.
    """

    title: ClassVar[str] = "ntk"

    network: Literal["dense", "healpix"] = Field(description="what the kernels are the limit of")
    backend: Literal["geocore", "neural_tangents"] = Field(description="who computes the kernels")
    depth: int = Field(ge=1, le=32, description="hidden layers, or levels of patches and one more")
    activation: Literal["relu", "erf", "gelu"]
    weight_std: float = Field(gt=0, le=10)
    bias_std: float = Field(ge=0, le=10)
    subset: int = Field(ge=1, description="training samples, classes in their shares")
    seed: Seed = Field(description="which samples")
    block: int = Field(ge=1, le=4096, description="samples of a batch; a pair is cached together")
    ridge: float = Field(ge=0, le=1000, description="against the mean of the kernel's diagonal")
    solver: Literal["auto", "cholesky", "iterative"] = Field(
        description="of the regression: a factor, or conjugate gradients"
    )
