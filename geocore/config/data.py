"""Which images to take, and how to split them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from geocore.config.section import Section, Seed

__all__ = ["DataParams"]


class DataParams(Section):
    """``fetch``: a source, its folder, and the held-out split that is made once and stored."""

    title: ClassVar[str] = "data"

    source: Literal["digits", "mnist", "fashion_mnist", "image_folder", "parquet_images"]
    path: str | None = Field(
        description="folder of image_folder and parquet_images, relative to the repository, "
        "else to the folder that GEOCORE_DATA names"
    )
    image_size: Annotated[int, Field(ge=2, le=8192)] | None = Field(
        description="resize every image to this many pixels a side; null keeps them as they are"
    )
    limit: Annotated[int, Field(ge=10)] | None = Field(
        description="at most this many samples, classes balanced; null takes all"
    )
    val_fraction: float = Field(gt=0, lt=0.5, description="share of what is not test")
    test_fraction: float = Field(
        gt=0, lt=0.5, description="used only where the source has no test split of its own"
    )
    seed: Seed
