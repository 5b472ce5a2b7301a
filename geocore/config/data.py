"""Which images to take, and how to split them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from geocore.config.section import Section, Seed, rule

__all__ = ["DENSE_SOURCES", "DataParams"]

DENSE_SOURCES = ("scenes", "woodscape", "camvid", "canvas")
_NEEDED = {
    "scenes": ("scenes", "height", "width", "jitter", "tilt"),
    "woodscape": ("camera",),
    "canvas": ("canvases", "height", "width", "items_of", "items"),
}

Pixels = Annotated[int, Field(ge=2, le=8192)]
Counts = Annotated[
    tuple[int, ...],
    *rule(
        lambda counts: len(counts) == 3 and all(1 <= count <= 10**6 for count in counts),
        "a list of three integers from 1 to 1000000: train, val, test",
    ),
]
Span = Annotated[
    tuple[int, ...],
    *rule(
        lambda span: len(span) == 2 and 1 <= span[0] <= span[1] <= 100,
        "a list of two integers from 1 to 100: least, most",
    ),
]


class DataParams(Section):
    """``fetch``: a source, its folder, and the held-out split that is made once and stored.

    Sources with a class a pixel (``DENSE_SOURCES``) have keys of their own, null for the others.
    """

    title: ClassVar[str] = "data"

    source: Literal[
        "digits",
        "mnist",
        "fashion_mnist",
        "image_folder",
        "parquet_images",
        "scenes",
        "woodscape",
        "camvid",
        "canvas",
    ]
    path: str | None = Field(
        description="folder of image_folder and parquet_images, relative to the repository, "
        "else to the folder that GEOCORE_DATA names; of woodscape and camvid, if it is another "
        "than the one of that name there"
    )
    image_size: Pixels | None = Field(
        description="resize every image to this many pixels a side; null keeps them as they are"
    )
    height: Pixels | None = Field(description="rows of scenes, canvas, woodscape and camvid")
    width: Pixels | None = Field(
        description="columns of scenes and canvas; woodscape and camvid are reduced to "
        "height x width, null keeps them as they are"
    )
    scenes: Counts | None = Field(description="scenes rendered for training, validation and test")
    jitter: Annotated[float, Field(ge=0, le=30)] | None = Field(
        description="degrees that the upright camera of scenes may pitch and roll"
    )
    tilt: Annotated[float, Field(ge=0, le=180)] | None = Field(
        description="degrees that a test scene's further cameras are tilted and rolled"
    )
    camera: Literal["FV", "RV", "MVL", "MVR"] | None = Field(
        description="whose images of woodscape: front, rear, left or right mirror"
    )
    canvases: Counts | None = Field(
        description="canvases with items for training, validation and test"
    )
    items_of: Literal["digits", "mnist", "fashion_mnist"] | None = Field(
        description="whose images lie on a canvas"
    )
    items: Span | None = Field(description="least and most items on a canvas")
    item_size: Pixels | None = Field(
        description="resize the items of a canvas to this many pixels a side; null keeps them"
    )
    limit: Annotated[int, Field(ge=10)] | None = Field(
        description="at most this many samples, classes balanced; null takes all"
    )
    val_fraction: float = Field(gt=0, lt=0.5, description="share of what is not test")
    test_fraction: float = Field(
        gt=0, lt=0.5, description="used only where the source has no test split of its own"
    )
    seed: Seed

    @property
    def dense(self) -> bool:
        """Whether the source has a class for each pixel."""
        return self.source in DENSE_SOURCES

    @model_validator(mode="after")
    def _keys_of_the_source(self) -> DataParams:
        for key, applies in self._applies():
            value = getattr(self, key)
            if value is not None and not applies:
                shown = list(value) if isinstance(value, tuple) else value
                raise ValueError(f"data.{key} is {shown}; expected null for source {self.source}")
        for key in _NEEDED.get(self.source, ()):
            if getattr(self, key) is None:
                raise ValueError(f"data.{key} is null; expected a value for source {self.source}")
        if (self.height is None) != (self.width is None):
            raise ValueError(
                f"data.height is {_shown(self.height)} and data.width {_shown(self.width)}; "
                "expected both or neither"
            )
        return self

    def _applies(self) -> Iterator[tuple[str, bool]]:
        """Each key that is not every source's, and whether it is this one's."""
        scenes, canvas = self.source == "scenes", self.source == "canvas"
        yield "image_size", not self.dense
        yield "limit", not (scenes or canvas)
        yield "path", not (scenes or canvas)
        for key in ("height", "width"):
            yield key, self.dense
        for key in ("scenes", "jitter", "tilt"):
            yield key, scenes
        yield "camera", self.source == "woodscape"
        for key in ("canvases", "items_of", "items", "item_size"):
            yield key, canvas


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)
